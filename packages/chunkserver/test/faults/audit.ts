// What is wrong with a store, held against the ledger. An empty list means: nothing acknowledged is
// lost, nothing removed is back, nothing is served wrong, and what the store says of itself fits.

import { bytesOf, type ChunkState, type Ledger } from "./ledger.js";
import { MEMBERSHIP, StoreUser, same, served } from "./script.js";
import { type Origin, StoreMachine, type StoreParts, type StoreProcess } from "./store-machine.js";

/** Above all handles of the script. */
const LATER_HANDLES = { small: 900, large: 901 } as const;

/** Looks at an open store that has met no damage. */
export async function audit(process: StoreProcess, ledger: Ledger): Promise<readonly string[]> {
  const faults: string[] = [];
  const here: number[] = [];
  for (const handle of [...ledger.handles].sort((a, b) => a - b)) {
    const found = await served(process, handle);
    const { settled, next } = ledger.of(handle);
    const allowed = next === undefined ? [settled] : [settled, next.state];
    if (found !== undefined) here.push(handle);
    if (allowed.some((state) => isState(found, state))) continue;
    faults.push(`chunk ${handle} ${said(found, allowed)}`);
  }
  const replicas = await process.store.page(undefined, 1_000);
  const page = replicas.map(({ handle }) => handle);
  if (page.join() !== here.join()) faults.push(`lists chunks ${page}, serves ${here}`);
  const { chunkCount, state } = process.store.status();
  if (chunkCount !== here.length) faults.push(`counts ${chunkCount} chunks, has ${here.length}`);
  if (state === "failed") faults.push("has failed");
  const damaged = process.store.damaged();
  if (0 < damaged.length) faults.push(`calls chunks ${damaged} damaged`);
  if (0 < process.alarms.length) faults.push(`raises the alarm: ${process.alarms}`);
  return faults;
}

/** Who the store is: it keeps the identity and the number that it has had. */
export function auditIdentity(process: StoreProcess, ledger: Ledger): readonly string[] {
  const { uuid, membership } = process.volume;
  if (ledger.uuid !== undefined && ledger.uuid !== uuid) return [`is another store: ${uuid}`];
  if (!ledger.isJoined) return [];
  return membership?.serverId === MEMBERSHIP.serverId ? [] : ["has forgotten its number"];
}

/** Opens a machine's store, audits it, works on, and audits what a start without index finds. */
export async function auditMachine(
  parts: StoreParts,
  origin: Origin,
  ledger: Ledger,
): Promise<readonly string[]> {
  const machine = StoreMachine.after({ parts }, origin);
  const first = await machine.boot();
  const before = [
    ...auditIdentity(first, ledger),
    ...(await audit(first, ledger)),
    ...auditFiles(machine, await first.store.page(undefined, 1_000)),
  ];
  if (0 < before.length) return before;
  const later = await settledBy(first, ledger);
  await workOn(first, later);
  const moment = machine.moment();
  const rebuilt = StoreMachine.after({ parts }, { moment, keeps: () => false, index: "lost" });
  const again = await rebuilt.boot();
  const after = [...auditIdentity(again, ledger), ...(await audit(again, later))];
  await again.store.close();
  return after.map((fault) => `after more work, without index: ${fault}`);
}

/** Files of large chunks, which have odd handles: one for each, and no other. */
function auditFiles(
  machine: StoreMachine,
  page: readonly { readonly handle: number }[],
): readonly string[] {
  const owed = page.filter(({ handle }) => handle % 2 === 1).length;
  const files = machine.disk.paths().filter((path) => path.startsWith("chunks/")).length;
  return files === owed ? [] : [`has ${files} chunk files for ${owed} large chunks`];
}

/** A ledger of what is there now: what was in doubt is decided. */
export async function settledBy(process: StoreProcess, ledger: Ledger): Promise<Ledger> {
  const decided = ledger.copy();
  decided.opened(process.volume.uuid);
  for (const handle of ledger.handles) {
    const { next } = ledger.of(handle);
    if (next !== undefined && isState(await served(process, handle), next.state)) {
      decided.settle(handle);
    } else decided.begin(handle, ledger.of(handle).settled);
    decided.settle(handle);
  }
  return decided;
}

async function workOn(process: StoreProcess, ledger: Ledger): Promise<void> {
  const user = new StoreUser(process, ledger);
  await user.all([user.small(LATER_HANDLES.small, 3_000), user.large(LATER_HANDLES.large, 66_000)]);
  const here = ledger.handles.find((handle) => ledger.of(handle).settled !== undefined);
  if (here !== undefined) await user.remove(here);
  await user.flush();
  await process.store.close();
}

function isState(found: Awaited<ReturnType<typeof served>>, state: ChunkState): boolean {
  if (found === undefined || state === undefined) return found === state;
  return (
    typeof found === "object" && found.epoch === state.epoch && same(found.bytes, bytesOf(state))
  );
}

function said(found: Awaited<ReturnType<typeof served>>, allowed: readonly ChunkState[]): string {
  if (typeof found === "string") return `is refused with ${found}`;
  if (found === undefined) return "is lost";
  return allowed.every((state) => state === undefined) ? "is back" : "is served wrong";
}
