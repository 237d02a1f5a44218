// Replicas that are copied from other servers and audited by them, on loopback.

import {
  BLOCK_BYTES,
  Budget,
  CancelSource,
  type Disk,
  KiB,
  LumeoError,
  MiB,
  SeededRandom,
  SILENT_LOGGER,
  serverId,
} from "@lumeofs/base";
import { nativeCrc32c, SystemClock, SystemTimers } from "@lumeofs/node";
import { FrameServer } from "@lumeofs/node/frames";
import { type DiskFault, SimDisk } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { unitRebuilder } from "../src/coding/unit-rebuild.js";
import { CopyService, type ReplicaOrder } from "../src/transfer/copy-service.js";
import type { CopyOrder } from "../src/transfer/replica-copy.js";
import { PIECE_BYTES, type SealedChunk } from "../src/transfer/replica-source.js";
import { StoppedChunks } from "../src/transfer/stopped-chunks.js";
import { Throttle } from "../src/transfer/throttle.js";
import { crcOf, DataClient, type Replica, sample, startReplica, target } from "./replicas.js";

const NEVER = new CancelSource();
const LARGE = 3 * MiB + 70_001;
const timers = new SystemTimers({ unref: true });

function service(replica: Replica, copiesMax = 4): CopyService {
  const { store, pool, stopped, mandates } = replica;
  const throttle = new Throttle({ clock: new SystemClock(), timers });
  const ports = { store, pool, stopped, mandates, crc32c: nativeCrc32c, timers, throttle };
  return new CopyService({ ...ports, copiesMax, rebuild: unitRebuilder(ports, copiesMax) });
}

function sealed(handle: number, bytes: Uint8Array): SealedChunk {
  return { ...target(handle), length: bytes.byteLength, crc32c: crcOf(bytes) };
}

function order(chunk: SealedChunk, sources: readonly Replica[]): CopyOrder & ReplicaOrder {
  return { chunk, mandate: 1, sources: sources.map(({ link }) => link), bytesPerSecondMax: 0 };
}

/** Replicas, a client, and all of them closed at the end of the test. */
async function cast(t: ExecutionContext, count: number) {
  const replicas = await Promise.all(Array.from({ length: count }, (_, i) => startReplica(i + 1)));
  const client = new DataClient();
  t.teardown(async () => {
    await client.close();
    await Promise.all(replicas.map((replica) => replica.close()));
  });
  return { replicas: replicas as [Replica, ...Replica[]], client };
}

async function write(
  client: DataClient,
  to: readonly Replica[],
  handle: number,
  bytes: Uint8Array,
) {
  if (bytes.byteLength <= 256 * KiB) await client.writeSmall(to, target(handle), bytes);
  else await client.writeLarge(to, target(handle), bytes);
}

/** Flips a bit in the file of a replica's only large chunk. */
async function flip(disk: Disk, at: number): Promise<void> {
  for (const folder of await disk.list("chunks")) {
    for (const name of await disk.list(`chunks/${folder}`)) {
      const file = await disk.open(`chunks/${folder}/${name}`, { create: false });
      const byte = new Uint8Array(1);
      await file.readAt(byte, at);
      await file.writeAt([Uint8Array.of((byte[0] ?? 0) ^ 4)], at);
      await file.close();
    }
  }
}

async function chunkFileCount(disk: Disk): Promise<number> {
  const folders = await disk.list("chunks");
  const names = await Promise.all(folders.map((folder) => disk.list(`chunks/${folder}`)));
  return names.flat().length;
}

test("a replica of any size is copied with the record of its source, once", async (t) => {
  const { replicas, client } = await cast(t, 3);
  const [first, second, third] = replicas as [Replica, Replica, Replica];
  const copies = service(third);
  const sizes = [0, 1, BLOCK_BYTES, 256 * KiB, 256 * KiB + 1, MiB, LARGE];
  for (const [i, size] of sizes.entries()) {
    const bytes = sample(size, i);
    await write(client, [first, second], i + 1, bytes);
    const asked = order(sealed(i + 1, bytes), [second, first]);
    const result = await copies.copy(asked, NEVER);
    t.deepEqual(result, { kind: "copied", readBytes: size, faults: [] });
    t.true((await client.read(third, target(i + 1), 0, size)).equals(bytes));
    const { handle } = asked.chunk;
    t.deepEqual(third.store.find(handle)?.version, first.store.find(handle)?.version);
    t.deepEqual(await copies.copy(asked, NEVER), { kind: "here" });
    t.is((await copies.audit({ ...asked, holder: first.link }, NEVER)).kind, "intact");
  }
});

test("the next source goes on where one has a bad block, is gone, or has nothing", async (t) => {
  const { replicas, client } = await cast(t, 5);
  const [bad, whole, empty, gone, reader] = replicas as [
    Replica,
    Replica,
    Replica,
    Replica,
    Replica,
  ];
  const bytes = sample(LARGE, 1);
  await write(client, [bad, whole], 7, bytes);
  await flip(bad.disk, 2 * MiB + 5);
  await gone.data.close();
  const copies = service(reader);
  const result = await copies.copy(order(sealed(7, bytes), [gone, empty, bad, whole]), NEVER);
  if (result.kind !== "copied") return t.fail(result.kind);
  const faults = result.faults.map(({ server, isBad }) => ({ server, isBad }));
  t.deepEqual(faults, [
    { server: gone.id, isBad: false },
    { server: empty.id, isBad: true },
    { server: bad.id, isBad: true },
  ]);
  t.is(result.readBytes, LARGE, "no byte was fetched twice");
  t.true((await client.read(reader, target(7), 0, LARGE)).equals(bytes));
  t.deepEqual(bad.store.damaged(), [target(7).handle], "the source has noticed its damage");
});

test("bad blocks anywhere in any source: a copy is whole, or there is none", async (t) => {
  const bytes = sample(LARGE, 3);
  const pieces = Math.ceil(LARGE / PIECE_BYTES);
  const badPieces = fc.uniqueArray(fc.nat(pieces - 1), { maxLength: 2 });
  const property = fc.asyncProperty(badPieces, badPieces, async (inFirst, inSecond) => {
    const { replicas, client } = await cast(t, 3);
    const [first, second, reader] = replicas as [Replica, Replica, Replica];
    await write(client, [first, second], 9, bytes);
    for (const piece of inFirst) await flip(first.disk, piece * PIECE_BYTES + 77);
    for (const piece of inSecond) await flip(second.disk, piece * PIECE_BYTES + 77);
    const result = await service(reader).copy(order(sealed(9, bytes), [first, second]), NEVER);
    const stop = Math.min(pieces, ...inFirst);
    const canBeMade = stop === pieces || inSecond.every((piece) => piece < stop);
    t.is(result.kind, canBeMade ? "copied" : "noSource");
    t.is(await chunkFileCount(reader.disk), canBeMade ? 1 : 0);
    if (canBeMade) {
      t.true((await client.read(reader, target(9), 0, LARGE)).equals(bytes));
    }
  });
  await fc.assert(property, { numRuns: 12 });
});

test("a damaged copy is healed in its place, and is no longer reported", async (t) => {
  const { replicas, client } = await cast(t, 2);
  const [source, hurt] = replicas as [Replica, Replica];
  const bytes = sample(LARGE, 5);
  await write(client, [source, hurt], 4, bytes);
  await flip(hurt.disk, 100);
  const chunk = sealed(4, bytes);
  // Nobody has noticed yet: the order itself reads what is here before it says so.
  t.like(await service(hurt).copy(order(chunk, [source]), NEVER), { kind: "copied" });
  t.deepEqual(hurt.store.damaged(), []);
  t.is(await chunkFileCount(hurt.disk), 1);
  t.true((await client.read(hurt, target(4), 0, LARGE)).equals(bytes));
});

test("a copy is refused where a later epoch or other bytes are", async (t) => {
  const { replicas, client } = await cast(t, 2);
  const [source, holder] = replicas as [Replica, Replica];
  const bytes = sample(5_000, 1);
  await client.writeSmall([source], target(1), bytes);
  await client.writeSmall([holder], target(1, 2), bytes);
  await client.writeSmall([source], target(2), bytes);
  await client.writeSmall([holder], target(2), sample(5_000, 2));
  const copies = service(holder);
  const stale = copies.copy(order(sealed(1, bytes), [source]), NEVER);
  await t.throwsAsync(stale, { code: "STALE_EPOCH" });
  const other = copies.copy(order(sealed(2, bytes), [source]), NEVER);
  await t.throwsAsync(other, { code: "CONFLICT" });
  const wrong = { ...sealed(2, bytes), crc32c: 5 };
  const result = await service(source).audit({ ...order(wrong, []), holder: holder.link }, NEVER);
  t.is(result.kind, "bad");
});

test("two histories stop the chunk, for readers and copies, over restarts", async (t) => {
  const { replicas, client } = await cast(t, 3);
  const [one, two, third] = replicas as [Replica, Replica, Replica];
  const bytes = sample(LARGE, 8);
  await write(client, [one], 3, bytes); // two primaries, each on its own
  await write(client, [two], 3, bytes);
  await flip(one.disk, 3);
  const chunk = sealed(3, bytes);
  const copied = await service(one).copy(order(chunk, [two]), NEVER);
  t.is(copied.kind, "twoHistories");
  await t.throwsAsync(client.read(one, target(3), 0, 10), { code: "CORRUPT" });
  t.deepEqual(one.stopped.list(), [chunk.handle]);
  const again = await StoppedChunks.open(one.disk, nativeCrc32c, {
    logger: SILENT_LOGGER,
    onFailure: () => t.fail(),
  });
  t.deepEqual(again.list(), [chunk.handle]);

  t.like(await service(third).copy(order(chunk, [two]), NEVER), { kind: "copied" });
  await write(client, [one], 5, bytes);
  await write(client, [two], 5, bytes);
  const audit = { chunk: sealed(5, bytes), holder: one.link, bytesPerSecondMax: 0 };
  t.is((await service(two).audit(audit, NEVER)).kind, "twoHistories");
  await t.throwsAsync(client.read(two, target(5), 0, 10), { code: "CORRUPT" });

  const removal = await service(one).remove([target(3)]);
  t.deepEqual(removal, { removedCount: 1, refused: [] });
  t.deepEqual(one.stopped.list(), [], "what comes under its handle is new");
});

test("an audit tells damage and loss from a server that is not there", async (t) => {
  const { replicas, client } = await cast(t, 3);
  const [holder, auditor, gone] = replicas as [Replica, Replica, Replica];
  const bytes = sample(LARGE, 2);
  await write(client, [holder, auditor], 6, bytes);
  const audits = service(auditor);
  const chunk = sealed(6, bytes);
  const asked = { chunk, holder: holder.link, bytesPerSecondMax: 0 };
  t.deepEqual(await audits.audit(asked, NEVER), { kind: "intact", readBytes: LARGE });
  await flip(holder.disk, LARGE - 1);
  t.is((await audits.audit(asked, NEVER)).kind, "bad");
  const missing = { ...asked, chunk: { ...chunk, handle: target(60).handle } };
  t.is((await audits.audit(missing, NEVER)).kind, "bad");
  await gone.data.close();
  t.is((await audits.audit({ ...asked, holder: gone.link }, NEVER)).kind, "unreached");
});

/** A server of the data plane that takes requests and never answers. */
async function mute(t: ExecutionContext) {
  let asked = (): void => {};
  const wasAsked = new Promise<void>((resolve) => {
    asked = resolve;
  });
  let end = (): void => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const server = await FrameServer.listen({
    host: "127.0.0.1",
    port: 0,
    crc32c: nativeCrc32c,
    logger: SILENT_LOGGER,
    greet: () => ({ type: "welcome", serverId: serverId(9), storeUuid: "u9" }),
    roomFor: () => new Budget(MiB),
    handle: () => {
      asked();
      return ended;
    },
  });
  t.teardown(async () => {
    end();
    await server.close();
  });
  return { address: `127.0.0.1:${server.port}`, wasAsked };
}

test("more copies than the limit are refused, and one whose caller goes away ends", async (t) => {
  const { replicas, client } = await cast(t, 2);
  const [source, reader] = replicas as [Replica, Replica];
  const silent = await mute(t);
  const bytes = sample(LARGE, 4);
  await write(client, [source], 8, bytes);
  await flip(source.disk, 2 * MiB + 1); // so that half of it is here when it turns to the mute one
  const copies = service(reader, 1);
  const caller = new CancelSource();
  const asked = order(sealed(8, bytes), [source]);
  const stuck = { ...asked, sources: [...asked.sources, { server: source.id, ...silent }] };
  const watch = copies.watch();
  const copy = copies.copy(stuck, caller);
  await silent.wasAsked;
  t.true(watch.touched.has(asked.chunk.handle));
  t.true(copies.watch().touched.has(asked.chunk.handle));
  await t.throwsAsync(copies.copy(asked, NEVER), { code: "OVERLOADED" });
  t.is(await chunkFileCount(reader.disk), 1, "half of it is on the disk");
  caller.abort(new LumeoError("ABORTED", "The caller has gone"));
  await t.throwsAsync(copy, { code: "ABORTED" });
  t.is(await chunkFileCount(reader.disk), 0);
  t.is(copies.inFlight, 0);

  const last = copies.copy(stuck, NEVER);
  last.catch(() => undefined);
  await copies.close();
  await t.throwsAsync(last, { code: "CLOSED" });
  await t.throwsAsync(copies.copy(asked, NEVER), { code: "CLOSED" });
});

test("a replica is deleted when no copy of it is being made", async (t) => {
  const { replicas, client } = await cast(t, 2);
  const [source, reader] = replicas as [Replica, Replica];
  const bytes = sample(LARGE, 6);
  await write(client, [source], 2, bytes);
  const copies = service(reader);
  const copy = copies.copy(order(sealed(2, bytes), [source]), NEVER);
  const removal = copies.remove([target(2)]);
  t.is((await copy).kind, "copied");
  t.deepEqual(await removal, { removedCount: 1, refused: [] });
  await client.writeSmall([reader], target(3, 5), sample(9, 9));
  t.deepEqual(await copies.remove([target(3, 4)]), {
    removedCount: 0,
    refused: [target(3).handle],
  });
});

test("memory stays bounded: pieces are fetched one after the other", async (t) => {
  const { replicas, client } = await cast(t, 2);
  const [source, reader] = replicas as [Replica, Replica];
  const bytes = sample(8 * MiB, 6);
  await write(client, [source], 2, bytes);
  let inFlight = 0;
  let most = 0;
  const begin = reader.store.beginLarge.bind(reader.store);
  reader.store.beginLarge = async (chunk) => {
    const write = await begin(chunk);
    return {
      ...write,
      write: async (pieces) => {
        most = Math.max(most, ++inFlight);
        await write.write(pieces);
        inFlight--;
      },
    };
  };
  t.like(await service(reader).copy(order(sealed(2, bytes), [source]), NEVER), { kind: "copied" });
  t.is(most, 1);
});

test("the disk of the target fails at any call of a copy: it is there whole, or not", async (t) => {
  const { replicas, client } = await cast(t, 1);
  const [source] = replicas;
  const bytes = sample(MiB + 5, 6);
  await write(client, [source], 2, bytes);
  for (let at = 1, isOver = false; !isOver; at++) {
    const machine = new SimDisk({ random: new SeededRandom(at, "disk"), faultOf });
    let counted = Number.NEGATIVE_INFINITY;
    function faultOf(): DiskFault | undefined {
      return ++counted === at ? (at % 2 === 0 ? "EIO" : "ENOSPC") : undefined;
    }
    const reader = await startReplica(2, machine.mount());
    counted = 0;
    const copy = service(reader).copy(order(sealed(2, bytes), [source]), NEVER);
    const error = await copy.then(
      () => undefined,
      (thrown: LumeoError) => thrown,
    );
    isOver = counted < at;
    if (!isOver) t.is(error?.code, "STORE_FAILED", `call ${at}`);
    else t.is(error, undefined);
    await reader.close().catch(() => undefined);
    machine.crash("all");
    counted = Number.NEGATIVE_INFINITY;
    const again = await startReplica(2, machine.mount());
    const verdict = await again.store.verify(target(2).handle);
    t.is(verdict.kind === "intact" || (!isOver && verdict.kind === "missing"), true, `call ${at}`);
    if (verdict.kind === "missing") t.is(await chunkFileCount(again.disk), 0);
    await again.close();
  }
});
