// What is wrong with the tails of a process, held against the ledger. An empty list means: every
// chunk is in a state that it has been in, not before the last one that was answered; its bytes are
// what was written; and nothing is called damaged that is not.

import { type ChunkHandle, chunkHandle } from "@lumeofs/base";
import type { DiskMoment } from "@lumeofs/testkit";
import type { AppendRecord } from "../../../src/replication/append-record.js";
import type { ReplicaState } from "../../../src/replication/replica.js";
import type { Survival } from "../../faults/store-machine.js";
import { bytesOf, type TailLedger, type TailState } from "./tail-ledger.js";
import { TailMachine, type TailParts, type TailProcess } from "./tail-machine.js";
import { TailUser } from "./tail-script.js";

/** A chunk of the script that still grows at its end. */
const GROWING = 1;
const LATER_EPOCH = 20;

/** Looks at every chunk; returns what is wrong, and the ledger of what is there. */
export async function auditTails(
  process: TailProcess,
  ledger: TailLedger,
): Promise<{ readonly faults: readonly string[]; readonly found: TailLedger }> {
  const faults: string[] = [];
  const found = ledger.copy();
  for (const handle of ledger.handles) {
    const { states, told } = ledger.of(handle);
    const allowed = states.slice(told);
    const state = await matching(process, handle, allowed);
    if (state === undefined) faults.push(`chunk ${handle} ${await describe(process, handle)}`);
    else found.decide(handle, state);
  }
  const alarms = process.alarms.filter((alarm) => alarm !== "tail in doubt");
  if (0 < alarms.length) faults.push(`raises the alarm: ${alarms}`);
  if (0 < process.store.damaged().length) faults.push(`calls ${process.store.damaged()} damaged`);
  return { faults, found };
}

/** Audits a machine after a loss of power, works on, and audits it again after another one. */
export async function auditAfter(
  parts: TailParts,
  from: { readonly moment: DiskMoment; readonly keeps: Survival },
  ledger: TailLedger,
): Promise<readonly string[]> {
  const machine = new TailMachine(parts, {}, from);
  const process = await machine.boot();
  const { faults, found } = await auditTails(process, ledger);
  if (0 < faults.length) return faults;
  const user = new TailUser(process, found);
  const growing = process.tails.find(chunkHandle(GROWING));
  if (growing !== undefined && !growing.isInDoubt) {
    await user.append(GROWING, LATER_EPOCH, [1_234]);
  }
  await user.round();
  await user.fence(99, 1);
  const next = { moment: machine.moment(), keeps: () => false };
  const again = await new TailMachine(parts, {}, next).boot();
  const after = await auditTails(again, found);
  return after.faults.map((fault) => `after more work: ${fault}`);
}

/** Which of these states the chunk is in, with its bytes. */
async function matching(
  process: TailProcess,
  handle: ChunkHandle,
  allowed: readonly TailState[],
): Promise<TailState | undefined> {
  for (const state of allowed) {
    const isIt = await isIn(process, handle, state).catch(() => false);
    if (isIt) return state;
  }
  return undefined;
}

async function isIn(
  { tails, store }: TailProcess,
  handle: ChunkHandle,
  expected: TailState,
): Promise<boolean> {
  const replica = tails.find(handle);
  switch (expected.kind) {
    case "nothing":
      // Made known, and nothing more: nobody was told of anything.
      if (replica !== undefined) return replica.isInDoubt && replica.state.history.lastSeq === 0;
      return !tails.isSealed(handle);
    case "replica": {
      if (replica === undefined || replica.isInDoubt) return false;
      if (!isSame(replica.state, expected.state)) return false;
      for (const record of recordsOf(replica.state)) {
        if (Buffer.compare(await replica.read(record), bytesOf(record)) !== 0) return false;
      }
      return true;
    }
    case "sealed": {
      if (replica !== undefined || !tails.isSealed(handle)) return false;
      const records = recordsOf(expected.last).filter(({ content }) => content.kind === "data");
      const { epoch } = expected.last.history.last;
      if (epoch === 0) return false;
      const reader = await store.open(handle, epoch);
      const bytes = new Uint8Array(reader.length);
      await reader.read(0, bytes);
      if (Buffer.compare(bytes, Buffer.concat(records.map(bytesOf))) !== 0) return false;
      for (const { content, seq } of records) {
        if (content.kind !== "data") continue;
        const place = await tails.lookUp(handle, content.write);
        if (typeof place !== "object" || place.seq !== seq) return false;
      }
      return true;
    }
  }
}

/** All records of a state, in their order. */
export function recordsOf({ history }: ReplicaState): readonly AppendRecord[] {
  return history.slice(1, history.lastSeq);
}

/** Whether both say the same. */
export function isSame(a: ReplicaState, b: ReplicaState): boolean {
  return textOf(a) === textOf(b);
}

function textOf(state: ReplicaState): string {
  const { promised, commitSeq, damagedIn } = state;
  const records = recordsOf(state).map((record) => ({ ...record, clock: [...record.clock] }));
  return JSON.stringify([promised, commitSeq, damagedIn, records]);
}

async function describe({ tails }: TailProcess, handle: ChunkHandle): Promise<string> {
  const replica = tails.find(handle);
  if (replica === undefined) return tails.isSealed(handle) ? "is sealed otherwise" : "is lost";
  const { promised, history, commitSeq } = replica.state;
  const doubt = replica.isInDoubt ? ", in doubt" : "";
  return `is at ${history.last.epoch}.${history.lastSeq}, ${promised}, ${commitSeq}${doubt}`;
}
