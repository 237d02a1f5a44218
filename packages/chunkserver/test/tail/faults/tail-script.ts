// The workload of the enumerations of growing chunks: promises, records that are taken, replaced
// and removed, chunks that are sealed, small and large, and forgotten; rounds in which the log is
// marked, moved and freed. The ledger always knows what was answered.

import {
  type ChunkHandle,
  chunkHandle,
  crc32cCombine,
  type Epoch,
  epoch,
  serverId,
  sessionId,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { type AppendRecord, recordBehind } from "../../../src/replication/append-record.js";
import type { ReplicaMessage } from "../../../src/replication/message.js";
import { stepReplica } from "../../../src/replication/replica.js";
import { bytesOf, type TailLedger, type TailState } from "./tail-ledger.js";
import type { TailProcess } from "./tail-machine.js";

const CLIENT = sessionId(5);

/** Uses the replicas as their primaries do, and writes down what it is told. */
export class TailUser {
  readonly #process: TailProcess;
  readonly #ledger: TailLedger;

  constructor(process: TailProcess, ledger: TailLedger) {
    this.#process = process;
    this.#ledger = ledger;
  }

  /** Waits until all have settled; then rejects if any did. */
  async all(works: readonly Promise<void>[]): Promise<void> {
    const results = await Promise.allSettled(works);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** Lets a round of housekeeping run. */
  async round(): Promise<void> {
    this.#process.timers.ring();
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    const [failure] = this.#process.failures;
    if (failure !== undefined) throw failure;
  }

  /** One message of the protocol. */
  async say(handle: number, message: Exclude<ReplicaMessage, { kind: "claim" | "remove" }>) {
    const chunk = chunkHandle(handle);
    const { state } = stepReplica(this.#ledger.newest(chunk), message);
    const place = this.#ledger.begin(chunk, { kind: "replica", state });
    const records = message.kind === "append" ? message.records : [];
    const bytes = new Map(records.map((record) => [record.seq, bytesOf(record)]));
    await this.#process.tails.serve(chunk, message, bytes);
    this.#ledger.told(chunk, place);
  }

  fence(handle: number, number: number): Promise<void> {
    return this.say(handle, { kind: "fence", epoch: epoch(number) });
  }

  /** Records of these lengths behind `after`, or behind the last; what was there is replaced. */
  append(
    handle: number,
    number: number,
    lengths: readonly number[],
    after?: number,
  ): Promise<void> {
    const { history, commitSeq } = this.#ledger.newest(chunkHandle(handle));
    const kept = after === undefined ? history : history.upTo(after);
    let { lastSeq: seq, clock } = kept;
    const records = lengths.map((lengthBytes) => {
      const record = dataRecord({ seq, clock }, epoch(number), lengthBytes);
      ({ seq, clock } = record);
      return record;
    });
    const previous = kept.last;
    return this.say(handle, { kind: "append", epoch: epoch(number), previous, records, commitSeq });
  }

  /** The word that everything is committed. */
  commit(handle: number, number: number): Promise<void> {
    const { last, lastSeq } = this.#ledger.newest(chunkHandle(handle)).history;
    const all = { previous: last, records: [], commitSeq: lastSeq };
    return this.say(handle, { kind: "append", epoch: epoch(number), ...all });
  }

  /** A seal behind all records, and the word that everything is committed. */
  async seal(handle: number, number: number): Promise<void> {
    const { history, commitSeq } = this.#ledger.newest(chunkHandle(handle));
    const by = { epoch: epoch(number), author: serverId(number) };
    const { lengthBytes, lastSeq: seq, clock } = history;
    let crc32c = 0;
    for (let at = 1; at <= seq; at++) {
      const content = history.at(at)?.content;
      if (content?.kind !== "data") continue;
      crc32c = crc32cCombine(crc32c, content.crc32c, content.lengthBytes);
    }
    const seal = recordBehind({ seq, clock }, by, { kind: "seal", lengthBytes, crc32c });
    const previous = history.last;
    await this.say(handle, {
      kind: "append",
      epoch: by.epoch,
      previous,
      records: [seal],
      commitSeq,
    });
    await this.commit(handle, number);
  }

  async settle(handle: number): Promise<void> {
    const chunk = chunkHandle(handle);
    const { history, promised } = this.#ledger.newest(chunk);
    const seal = { epoch: promised as Epoch, seal: history.last };
    await this.#process.tails.serve(chunk, { kind: "settle", ...seal });
  }

  async finish(handle: number): Promise<void> {
    const chunk = chunkHandle(handle);
    const last = this.#ledger.newest(chunk);
    const place = this.#ledger.begin(chunk, { kind: "sealed", last });
    const seal = { epoch: last.promised as Epoch, seal: last.history.last };
    await this.#process.tails.serve(chunk, { kind: "finish", ...seal });
    this.#ledger.told(chunk, place);
  }

  async remove(handle: number, number: number): Promise<void> {
    const message = { kind: "remove", epoch: epoch(number) } as const;
    const { state } = stepReplica(this.#ledger.newest(chunkHandle(handle)), message);
    await this.#end(chunkHandle(handle), { kind: "replica", state }, (chunk) => {
      return this.#process.tails.remove(chunk, epoch(number));
    });
  }

  forget(handle: number): Promise<void> {
    return this.#end(chunkHandle(handle), { kind: "nothing" }, (chunk) => {
      return this.#process.tails.forget(chunk);
    });
  }

  async #end(
    handle: ChunkHandle,
    state: TailState,
    work: (handle: ChunkHandle) => Promise<unknown>,
  ): Promise<void> {
    const place = this.#ledger.begin(handle, state);
    await work(handle);
    this.#ledger.told(handle, place);
  }
}

/** Runs it all and closes. Rejects when the log fails, after everything has settled. */
export async function runTailScript(process: TailProcess, ledger: TailLedger): Promise<void> {
  const user = new TailUser(process, ledger);
  await user.all([
    user.append(1, 1, [100, 2_000, 5]),
    user.fence(2, 2),
    user.append(3, 1, [3_000]),
  ]);
  await user.append(8, 1, new Array<number>(60).fill(20));
  await user.append(8, 1, new Array<number>(30).fill(30));
  await user.round();
  await user.all([user.append(1, 1, [700]), user.append(3, 1, [9_000, 40])]);
  await user.all([user.fence(1, 2), user.append(4, 1, [8_000, 8_000, 8_000])]);
  await user.all([user.append(1, 3, [300, 900], 2), user.remove(3, 1), user.append(4, 1, [7_000])]);
  await user.round();
  await user.seal(4, 1);
  await user.settle(4);
  await user.all([user.finish(4), user.append(5, 2, [40_000, 40_000, 40_000])]);
  await user.all([user.append(5, 2, [90_000, 70_001]), user.append(1, 3, [11, 12, 13])]);
  await user.all([user.forget(2), user.fence(6, 4), user.commit(5, 2)]);
  await user.round();
  await user.seal(5, 3);
  await user.settle(5);
  await user.all([user.finish(5), user.append(1, 3, [2_500]), user.fence(1, 3)]);
  await user.append(9, 1, [600]);
  await user.seal(9, 1);
  await user.finish(9);
  for (let i = 0; i < 5; i++) {
    await user.all([user.append(1, 4, [1_000 + i]), user.append(7, 1, [12_000])]);
    await user.round();
  }
  await user.round();
  await user.round();
  await process.tails.close();
  await process.store.close();
}

function dataRecord(
  before: { readonly seq: number; readonly clock: AppendRecord["clock"] },
  number: Epoch,
  lengthBytes: number,
): AppendRecord {
  const by = { epoch: number, author: serverId(number) };
  const writeSeq = 1_000 * number + before.seq;
  const write = { client: CLIENT, writeSeq };
  const record = recordBehind(before, by, { kind: "data", write, lengthBytes, crc32c: 0 });
  const crc32c = nativeCrc32c(bytesOf(record));
  return { ...record, content: { kind: "data", write, lengthBytes, crc32c } };
}
