// Several clients that want the same name at the same moment: of those whose condition only one can
// meet, exactly one is told that it won. A lost answer that made the winner ask again must not
// turn its victory into a refusal, nor give two of them the prize.

import type { LumeoErrorCode } from "@lumeofs/client";
import type { Outcome } from "../ledger.js";
import type { Caller } from "./caller.js";
import type { Content } from "./content.js";

export interface RacesPlan {
  /** Folder that nobody else uses. */
  readonly folder: string;
  readonly restMsMax: number;
}

const BYTES_MAX = 4096;

/** Works until the drill ends. @param callers  With a client of their own each. */
export async function race(callers: readonly Caller[], plan: RacesPlan): Promise<void> {
  const [first] = callers as readonly [Caller, ...Caller[]];
  for (let n = 0; !first.isOver; n++) {
    const path = `${plan.folder}/prize-${n}`;
    const isThere = await raceToPut(callers, path, () => ({ ifNoneMatch: "*" }));
    await first.rest(plan.restMsMax);
    if (!isThere) continue;
    const stat = await first.ledger.call("stat", path, () => first.client.stat(path));
    if (stat.kind === "refused") first.ledger.anomaly(`stat of ${path}: ${stat.code}`);
    if (stat.kind !== "ok") continue;
    const { etag } = stat.value;
    if (!(await raceToPut(callers, path, () => ({ ifMatch: etag })))) continue;
    await first.read("read small", path);
    if (first.random.fraction() < 0.5) await raceToRemove(callers, path);
    await first.rest(plan.restMsMax);
  }
}

/** @returns Whether exactly one won and no outcome is unknown. */
async function raceToPut(
  callers: readonly Caller[],
  path: string,
  condition: () => { readonly ifNoneMatch: "*" } | { readonly ifMatch: string },
): Promise<boolean> {
  const [first] = callers as readonly [Caller, ...Caller[]];
  const before = first.model.possible(path);
  const runs = callers.map((caller) => ({ caller, content: caller.invent(1, BYTES_MAX) }));
  const outcomes = await Promise.all(
    runs.map(({ caller, content }) => caller.putInRace(path, content, condition())),
  );
  const contentsOf = (kind: Outcome<unknown>["kind"]): readonly Content[] =>
    runs.filter((_, i) => outcomes[i]?.kind === kind).map(({ content }) => content);
  const [winners, doubtful] = [contentsOf("ok"), contentsOf("unknown")];
  judge(first, path, winners.length, doubtful.length);
  first.model.settle(path, 0 < winners.length ? winners : [...before, ...doubtful]);
  return winners.length === 1 && doubtful.length === 0;
}

async function raceToRemove(callers: readonly Caller[], path: string): Promise<void> {
  const [first] = callers as readonly [Caller, ...Caller[]];
  const before = first.model.possible(path);
  const outcomes = await Promise.all(
    callers.map((caller) => {
      const action = (): Promise<void> => caller.client.remove(path);
      const effects = [{ path, content: undefined }];
      return caller.change({ kind: "race to remove", effects, action, isRight: isMissing });
    }),
  );
  const count = (kind: Outcome<unknown>["kind"]): number =>
    outcomes.filter((outcome) => outcome.kind === kind).length;
  judge(first, path, count("ok"), count("unknown"));
  first.model.settle(path, 0 < count("ok") ? [undefined] : [...before, undefined]);
}

function judge({ ledger }: Caller, path: string, winners: number, doubtful: number): void {
  if (1 < winners) ledger.anomaly(`${winners} callers won the race for ${path}`);
  if (winners + doubtful === 0) ledger.anomaly(`nobody won the race for ${path}`);
}

function isMissing(code: LumeoErrorCode): boolean {
  return code === "LUMEO_NOT_FOUND";
}
