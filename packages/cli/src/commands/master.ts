// The group of masters.

import type { MasterAgreement, MasterStatus, NewMaster, StateCheck } from "@lumeofs/client";
import { UsageError } from "../args.js";
import type { Context } from "../context.js";
import { codeOf, EXIT, type ExitStatus } from "../exit-status.js";
import { formatCount } from "../format.js";
import { table } from "../table.js";

export interface MasterAddOptions {
  readonly learner?: boolean;
}

/** Shows the masters as the leading one knows them. */
export async function masterList(context: Context): Promise<ExitStatus> {
  const client = await context.client();
  const masters = await client.masters.list(context.call);
  const last = Math.max(0, ...masters.map((one) => one.matchIndex));
  const rows = masters.map((one) => [
    ...[one.id, one.address, one.role, one.standing],
    ...[formatCount(one.lastApplied), formatCount(last - one.matchIndex)],
  ]);
  const text = await table(["MASTER", "ADDRESS", "ROLE", "PART", "APPLIED", "BEHIND"], rows);
  await context.output.line(text, { masters });
  return EXIT.ok;
}

/** Takes masters into the group, and waits until they vote. */
export async function masterAdd(
  context: Context,
  texts: readonly string[],
  { learner = false }: MasterAddOptions,
): Promise<ExitStatus> {
  const masters = texts.map(parseMaster);
  const client = await context.client();
  const told = new Map<string, string>();
  await client.masters.add(masters, {
    ...context.call,
    asLearners: learner,
    onProgress: (added, leader) => {
      for (const one of added) tell(context, told, describe(one, leader));
    },
  });
  const ids = masters.map(({ id }) => id);
  const what = learner ? "gets the log" : "votes";
  const text = ids.map((id) => `${id} ${what}`).join("\n");
  context.output.result(text, { added: ids, standing: learner ? "learner" : "voter" });
  return EXIT.ok;
}

/** Lets learners vote. */
export async function masterPromote(context: Context, ids: readonly string[]): Promise<ExitStatus> {
  const client = await context.client();
  await client.masters.promote(ids, context.call);
  context.output.result(ids.map((id) => `${id} votes`).join("\n"), { promoted: ids });
  return EXIT.ok;
}

/** Takes masters out of the group. */
export async function masterRemove(context: Context, ids: readonly string[]): Promise<ExitStatus> {
  const client = await context.client();
  await client.masters.remove(ids, context.call);
  const text = ids.map((id) => `${id} is removed: stop it, and delete its folder`).join("\n");
  context.output.result(text, { removed: ids });
  return EXIT.ok;
}

/** Hands the leadership over. */
export async function masterTransfer(
  context: Context,
  to: string | undefined,
): Promise<ExitStatus> {
  const client = await context.client();
  const leader = await client.masters.transferLeadership(to, context.call);
  context.output.result(`${leader} leads`, { leader });
  return EXIT.ok;
}

const AGREEMENT_TEXTS: Readonly<Record<MasterAgreement, string>> = {
  agrees: "agrees",
  differs: "DIFFERS",
  unconfirmed: "no majority",
  unknown: "unknown",
};
/** Of a hash, as people see it; `--json` has all of it. */
const HASH_SHOWN = 16;

/**
 * Has the masters compare their states, and waits for the result.
 *
 * Exit code 1 if states differ, 6 if not all are known.
 */
export async function masterCheck(context: Context): Promise<ExitStatus> {
  const client = await context.client();
  let check: StateCheck | undefined;
  try {
    const onProgress = (known: StateCheck): void => {
      if (check === undefined) {
        context.output.note(
          `The masters compare their states at entry ${formatCount(known.index)}`,
        );
      }
      check = known;
    };
    check = await client.masters.check({ ...context.call, onProgress });
  } catch (error) {
    if (check === undefined || codeOf(error) !== "LUMEO_TIMEOUT") throw error;
    context.output.warn("Not all had a result in time: --timeout 10m waits longer");
  }
  await context.output.line(await describeCheck(check), check);
  if (check.verdict === "equal") return EXIT.ok;
  return check.verdict === "different" ? EXIT.failed : EXIT.unavailable;
}

async function describeCheck({ index, verdict, masters }: StateCheck): Promise<string> {
  const rows = masters.map(({ id, agreement, hash }) => [
    ...[id, AGREEMENT_TEXTS[agreement], hash.slice(0, HASH_SHOWN)],
  ]);
  const at = `at entry ${formatCount(index)} of the log`;
  const silent = masters.filter(({ agreement }) => agreement === "unknown").map(({ id }) => id);
  const texts: Readonly<Record<StateCheck["verdict"], string>> = {
    equal: `All masters have the same state ${at}`,
    different:
      `THE MASTERS DIFFER ${at}: one that a majority contradicts stops by itself; remove it, and ` +
      "add another one under a new name",
    unknown: `No difference is known ${at}, but nothing is known of ${silent.join(", ")}`,
  };
  return [texts[verdict], "", await table(["MASTER", "STATE", "HASH"], rows)].join("\n");
}

function parseMaster(text: string): NewMaster {
  const [id = "", address = "", ...more] = text.split("=");
  const isWhole = more.length === 0 && /^[^\s:,=]+:\d{1,5}$/.test(address);
  if (isWhole && /^[a-z0-9][a-z0-9-]{0,62}$/.test(id)) return { id, address };
  throw new UsageError(`"${text}" is no master: write name=host:port, such as m4=host4:7400`);
}

function describe(one: MasterStatus, leader: MasterStatus | undefined): [string, string] {
  if (one.role === "unreachable") return [one.id, "cannot be reached"];
  if (one.caughtUp) return [one.id, "has caught up"];
  const of = leader === undefined ? "" : ` of ${formatCount(leader.matchIndex)}`;
  return [one.id, `has ${formatCount(one.matchIndex)}${of} entries of the log`];
}

/** Says something once, until it is different. */
function tell(context: Context, told: Map<string, string>, [id, text]: [string, string]): void {
  if (told.get(id) === text) return;
  told.set(id, text);
  context.output.note(`${id} ${text}`);
}
