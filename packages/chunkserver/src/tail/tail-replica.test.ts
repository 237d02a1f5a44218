import {
  chunkHandle,
  epoch,
  MiB,
  SILENT_LOGGER,
  serverId,
  sessionId,
  type WalPlace,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import test from "ava";
import { type AppendRecord, recordBehind } from "../replication/append-record.js";
import { History } from "../replication/history.js";
import type { LargeWrite } from "../store/chunk-store.js";
import { HeldTail } from "./held-tail.js";
import type { TailLog } from "./tail-log.js";
import { TailReplica } from "./tail-replica.js";
import { WritingAhead } from "./writing-ahead.js";

const HANDLE = chunkHandle(64);
const EPOCH = epoch(1);
const RECORD_BYTES = 300_000;

/** A log in memory, of which bodies can be lost. */
class MemoryLog {
  readonly #bodies: (Uint8Array | undefined)[] = [];

  async write(...[, data, placed]: Parameters<TailLog["write"]>): Promise<void> {
    const segment = this.#bodies.push(Buffer.concat([...data])) - 1;
    placed({ segment } as WalPlace, 0);
  }

  async body({ segment }: WalPlace): Promise<Uint8Array | undefined> {
    return this.#bodies[segment];
  }

  /** The body that was written last. */
  get last(): number {
    return this.#bodies.length - 1;
  }

  lose(segment: number): void {
    this.#bodies[segment] = undefined;
  }
}

function growing() {
  const log = new MemoryLog();
  let givenBytes = 0;
  const write: LargeWrite = {
    write: async (pieces) => {
      for (const piece of pieces) givenBytes += piece.byteLength;
    },
    finish: async () => undefined,
    abort: async () => undefined,
  };
  const store = { beginLarge: async () => write } as unknown as ConstructorParameters<
    typeof WritingAhead
  >[0]["store"];
  const ahead = new WritingAhead({ store, crc32c: nativeCrc32c, due: () => undefined });
  const replica = new TailReplica(new HeldTail(HANDLE), {
    log: log as unknown as TailLog,
    crc32c: nativeCrc32c,
    logger: SILENT_LOGGER,
    reserve: async () => ({
      grow: async () => undefined,
      spend: () => undefined,
      release: () => undefined,
    }),
    io: (work) => work(),
    damaged: () => undefined,
    follower: ahead,
  });
  let all = History.empty();
  const bytesOf = new Map<AppendRecord, Uint8Array>();
  for (let seq = 1; seq <= 8; seq++) {
    const bytes = new Uint8Array(RECORD_BYTES).fill(seq);
    const client = { client: sessionId(1), writeSeq: seq };
    const content = {
      ...({ kind: "data", write: client } as const),
      lengthBytes: RECORD_BYTES,
      crc32c: nativeCrc32c(bytes),
    };
    const record = recordBehind(
      { seq: all.lastSeq, clock: all.clock },
      { epoch: EPOCH, author: serverId(1) },
      content,
    );
    all = all.append(record);
    bytesOf.set(record, bytes);
  }
  /** Has the replica append the next record. */
  const append = async (seq: number, commitSeq: number): Promise<void> => {
    const record = all.at(seq);
    const previous = all.positionAt(seq - 1);
    const bytes = record && bytesOf.get(record);
    if (record === undefined || bytes === undefined || previous === undefined) throw new Error();
    const message = {
      kind: "append",
      epoch: EPOCH,
      previous,
      records: [record],
      commitSeq,
    } as const;
    await replica.serve(message, new Map([[seq, bytes]]));
  };
  /** A record is read that is damaged. */
  const damage = async (seq: number, segment: number): Promise<void> => {
    const record = replica.state.history.at(seq);
    if (record === undefined) throw new Error("it is not here");
    log.lose(segment);
    await replica.read(record);
  };
  return { log, ahead, replica, append, damage, givenBytes: () => givenBytes };
}

test("a replica that loses twice what is committed goes on with what was written ahead", async (t) => {
  const { log, ahead, replica, append, damage, givenBytes } = growing();
  for (let seq = 1; seq <= 8; seq++) await append(seq, seq);
  await ahead.extend(replica);
  t.is(givenBytes(), 2 * MiB);
  await t.throwsAsync(damage(3, 2), { code: "CHECKSUM" });
  t.like(replica.state, { commitSeq: 2, damagedIn: EPOCH });
  // It comes again, and nobody has said yet how far it is committed.
  for (let seq = 3; seq <= 5; seq++) await append(seq, 0);
  await t.throwsAsync(damage(5, log.last), { code: "CHECKSUM" });
  t.is(replica.state.history.lastSeq, 4);
  for (let seq = 5; seq <= 8; seq++) await append(seq, seq);
  await ahead.extend(replica);
  t.is(givenBytes(), 2 * MiB, "what is there is not written again");
});
