// The control service over gRPC: orders that name a store, an epoch, a limit; and their callers.

import { CancelSource, LumeoError, MiB, SILENT_LOGGER } from "@lumeofs/base";
import { nativeCrc32c, SystemClock, SystemTimers } from "@lumeofs/node";
import { RpcChannel, RpcServer, unary } from "@lumeofs/node/rpc";
import { ControlService, lumeo } from "@lumeofs/proto";
import test, { type ExecutionContext } from "ava";
import { ArenaPool } from "../src/coding/arena-pool.js";
import { Transcoder } from "../src/coding/transcode.js";
import { unitRebuilder } from "../src/coding/unit-rebuild.js";
import { controlService } from "../src/rpc/control-service.js";
import { NOTHING_SCRUBBED } from "../src/scrub/progress.js";
import { CopyService } from "../src/transfer/copy-service.js";
import { Throttle } from "../src/transfer/throttle.js";
import { crcOf, DataClient, type Replica, sample, startReplica, target } from "./replicas.js";

const { AuditVerdict, CopyOutcome } = lumeo.chunkserver.v1;
const LIMITS = { timeoutMs: 30_000 };
const UUID = "u2";
const BYTES = sample(3 * MiB, 1);

/** A source, and a target whose control service listens. */
async function cast(t: ExecutionContext) {
  const [source, holder] = await Promise.all([startReplica(1), startReplica(2)]);
  const timers = new SystemTimers({ unref: true });
  const { store, pool, stopped, mandates } = holder;
  const throttle = new Throttle({ clock: new SystemClock(), timers });
  const parts = { store, pool, stopped, timers, throttle, crc32c: nativeCrc32c, copiesMax: 1 };
  const copies = new CopyService({ ...parts, mandates, rebuild: unitRebuilder(parts, 1) });
  const server = await RpcServer.start(
    { host: "127.0.0.1", port: 0, logger: SILENT_LOGGER },
    controlService({
      ...{ store, copies, stopped, grants: holder.grants, storeUuid: UUID },
      transcoder: new Transcoder({ ...parts, arenas: new ArenaPool(1), conversionsMax: 1 }),
      disks: () => [],
      scrub: () => ({ ...NOTHING_SCRUBBED, bytesPerSecond: 7, isYielding: true }),
      inventory: () => ({ begun: 5, whole: 4, sinceWholeMs: 70.5, roundMs: 100 }),
      serverId: () => 2,
      memoryBytes: () => 1,
      processFacts: () => Promise.reject(new LumeoError("INTERNAL", "not asked for here")),
    }),
  );
  const channel = new RpcChannel(`127.0.0.1:${server.port}`);
  const client = new DataClient();
  t.teardown(async () => {
    await copies.close();
    await channel.close();
    await server.close();
    await client.close();
    await Promise.all([source.close(), holder.close()]);
  });
  return { source, holder, copies, channel, client };
}

function copyOf(source: Replica, handle: number, bytesPerSecondMax = 0) {
  const serverId: number = source.id;
  return {
    storeUuid: UUID,
    chunk: { handle, epoch: 1, lengthBytes: BYTES.byteLength, crc32c: crcOf(BYTES) },
    sources: [{ serverId, dataAddress: source.address }],
    bytesPerSecondMax,
    mandate: 5,
  };
}

test("copies, audits and figures go over gRPC", async (t) => {
  const { source, holder, channel, client } = await cast(t);
  await client.writeLarge([source], target(1), BYTES);
  const copied = await unary(channel, ControlService.copyReplica, copyOf(source, 1), LIMITS);
  t.like(copied, { outcome: CopyOutcome.COPY_OUTCOME_COPIED, readBytes: BYTES.byteLength });
  const here = await unary(channel, ControlService.copyReplica, copyOf(source, 1), LIMITS);
  t.is(here.outcome, CopyOutcome.COPY_OUTCOME_HERE);
  const none = await unary(channel, ControlService.copyReplica, copyOf(source, 9), LIMITS);
  t.is(none.outcome, CopyOutcome.COPY_OUTCOME_NO_SOURCE);
  t.like(none.faults?.[0], { serverId: 1, bad: true });
  const { chunk } = copyOf(source, 1);
  const asked = { chunk, holder: { serverId: 1, dataAddress: source.address } };
  const audited = await unary(channel, ControlService.auditReplica, asked, LIMITS);
  t.is(audited.verdict, AuditVerdict.AUDIT_VERDICT_INTACT);
  await holder.stopped.stop(target(1).handle, "test");
  const status = await unary(channel, ControlService.getStatus, {}, LIMITS);
  t.deepEqual(status.stoppedHandles, [1]);
  t.like(status.scrub, { bytesPerSecond: 7, yielding: true });
  t.like(status, { chunkCount: 1, damagedCount: 0, copiesInFlight: 0 });
});

test("a batch makes and audits many small copies, and answers for each of them", async (t) => {
  const { source, holder, channel, client } = await cast(t);
  const small = sample(10_000, 2);
  const orderOf = (handle: number) => {
    const chunk = { handle, epoch: 1, lengthBytes: small.byteLength, crc32c: crcOf(small) };
    return { ...copyOf(source, handle), chunk };
  };
  const handles = Array.from({ length: 20 }, (_, i) => i + 1);
  for (const handle of handles) await client.writeSmall([source], target(handle), small);
  await client.writeSmall([holder], target(21, 5), small); // of a later epoch there
  const copies = [...handles, 21, 22].map(orderOf);
  const { results = [] } = await unary(channel, ControlService.copyReplicas, { copies }, LIMITS);
  t.is(results?.length, 22);
  for (const one of results?.slice(0, 20) ?? []) {
    t.is(one.copied?.outcome, CopyOutcome.COPY_OUTCOME_COPIED);
  }
  t.is(results?.[20]?.error?.code, "STALE_EPOCH");
  t.is(results?.[21]?.copied?.outcome, CopyOutcome.COPY_OUTCOME_NO_SOURCE);
  t.is(holder.store.status().chunkCount, 21);
  const place = { serverId: 1, dataAddress: source.address };
  const audits = [1, 22].map((handle) => ({ chunk: orderOf(handle).chunk, holder: place }));
  const audited = await unary(channel, ControlService.auditReplicas, { audits }, LIMITS);
  t.is(audited.results?.[0]?.audited?.verdict, AuditVerdict.AUDIT_VERDICT_INTACT);
  t.is(audited.results?.[1]?.audited?.verdict, AuditVerdict.AUDIT_VERDICT_BAD);
  const large = unary(
    channel,
    ControlService.copyReplicas,
    { copies: [copyOf(source, 1)] },
    LIMITS,
  );
  await t.throwsAsync(large, { code: "INVALID_ARGUMENT" });
  const many = Array.from({ length: 65 }, () => orderOf(1));
  const tooMany = unary(channel, ControlService.copyReplicas, { copies: many }, LIMITS);
  await t.throwsAsync(tooMany, { code: "INVALID_ARGUMENT" });
});

test("replicas are listed and read by their handles, and what is not there is named", async (t) => {
  const { source, holder, channel, client } = await cast(t);
  const small = sample(10_000, 4);
  for (const handle of [3, 5]) await client.writeSmall([holder], target(handle), small);
  await client.writeLarge([source, holder], target(7), BYTES);
  const listed = await unary(channel, ControlService.listReplicas, { handles: [3, 4, 7] }, LIMITS);
  t.is(listed.replicas?.length, 2);
  t.like(listed.replicas?.[0], { handle: 3, epoch: 1, lengthBytes: 10_000, crc32c: crcOf(small) });
  t.like(listed.replicas?.[1], { handle: 7, epoch: 1, crc32c: crcOf(BYTES) });
  t.like(listed.rounds, { begun: 5, whole: 4, sinceWholeMs: 71, roundMs: 100 });
  const page = await unary(channel, ControlService.listReplicas, { after: 3, limit: 10 }, LIMITS);
  t.deepEqual(
    page.replicas?.map(({ handle }) => handle),
    [5, 7],
  );
  const asked = { handles: [5, 4, 7] };
  const { results } = await unary(channel, ControlService.verifyReplicas, asked, LIMITS);
  t.like(results?.[0]?.verified, { intact: true, lengthBytes: 10_000, crc32c: crcOf(small) });
  t.is(results?.[1]?.error?.code, "REPLICA_MISSING");
  t.like(results?.[2]?.verified, { intact: true, crc32c: crcOf(BYTES) });
  const handles = Array.from({ length: 65 }, (_, i) => i + 1);
  const tooMany = unary(channel, ControlService.verifyReplicas, { handles }, LIMITS);
  await t.throwsAsync(tooMany, { code: "INVALID_ARGUMENT" });
  // More orders at once than are obeyed at once: all are answered.
  const crowd = Array.from({ length: 9 }, () =>
    unary(channel, ControlService.verifyReplicas, { handles: [3, 5] }, LIMITS),
  );
  for (const { results: one } of await Promise.all(crowd)) {
    t.deepEqual(
      one?.map(({ verified }) => verified?.intact),
      [true, true],
    );
  }
});

test("under a closed grant no chunk begins, and who has one is told", async (t) => {
  const { source, holder, channel, client } = await cast(t);
  const small = sample(1_000, 3);
  const close = async () => {
    const order = { storeUuid: UUID, grants: [1, 2] };
    const { usedHandles } = await unary(channel, ControlService.closeGrants, order, LIMITS);
    return usedHandles;
  };
  await client.writeSmall([holder], target(64), small);
  let used: unknown;
  await client.writeLarge([source, holder], target(130), BYTES, async (offset) => {
    if (offset === MiB) used = await close(); // it has begun
  });
  t.deepEqual(used, [64, 130]);
  t.deepEqual(await close(), [64, 130], "it went on to its end");
  const refused = { code: "UNAVAILABLE" };
  await t.throwsAsync(client.writeSmall([holder], target(65), small), refused);
  await t.throwsAsync(client.writeSmall([source, holder], target(131), small), refused);
  await t.throwsAsync(client.writeLarge([holder], target(66), BYTES), refused);
  t.deepEqual(await close(), [64, 130]);
  await client.writeSmall([holder], target(192), small); // of another grant
  const nonsense = { storeUuid: UUID, grants: [2 ** 50] };
  const refusal = unary(channel, ControlService.closeGrants, nonsense, LIMITS);
  await t.throwsAsync(refusal, { code: "INVALID_ARGUMENT" });
  const elsewhere = { storeUuid: "another", grants: [1] };
  const other = unary(channel, ControlService.closeGrants, elsewhere, LIMITS);
  await t.throwsAsync(other, { code: "CONFLICT" });
});

test("an order for another store, or that makes no sense, is refused", async (t) => {
  const { source, channel } = await cast(t);
  const order = copyOf(source, 1);
  const copy = (wire: Partial<typeof order>) => {
    return unary(channel, ControlService.copyReplica, { ...order, ...wire }, LIMITS);
  };
  await t.throwsAsync(copy({ storeUuid: "another" }), { code: "CONFLICT" });
  const remove = { storeUuid: "another", replicas: [{ handle: 1, epoch: 1 }] };
  const removal = unary(channel, ControlService.deleteReplicas, remove, LIMITS);
  await t.throwsAsync(removal, { code: "CONFLICT" });
  const [holder] = order.sources;
  const nonsense: readonly Partial<typeof order>[] = [
    { sources: [] },
    { sources: Array.from({ length: 9 }, () => ({ serverId: 1, dataAddress: "h:1" })) },
    { sources: [{ serverId: 0, dataAddress: holder?.dataAddress ?? "" }] },
    { sources: [{ serverId: 1, dataAddress: "nowhere" }] },
    { chunk: { ...order.chunk, handle: 0 } },
    { chunk: { ...order.chunk, epoch: 0 } },
    { chunk: { ...order.chunk, lengthBytes: 65 * MiB } },
  ];
  for (const wire of nonsense) await t.throwsAsync(copy(wire), { code: "INVALID_ARGUMENT" });
});

test("an order to delete is refused where a later epoch is", async (t) => {
  const { holder, channel, client } = await cast(t);
  await client.writeSmall([holder], target(1), sample(10, 1));
  await client.writeSmall([holder], target(2, 3), sample(10, 1));
  const replicas = [1, 2, 3].map((handle) => ({ handle, epoch: 2 }));
  const order = { storeUuid: UUID, replicas };
  const answer = await unary(channel, ControlService.deleteReplicas, order, LIMITS);
  t.is(answer.deletedCount, 1);
  t.deepEqual(answer.refusedHandles, [2]);
  t.is(holder.store.status().chunkCount, 1);
});

test("a caller that goes away ends its copy, and makes room for the next", async (t) => {
  const { source, copies, channel, client } = await cast(t);
  await client.writeLarge([source], target(1), BYTES);
  const caller = new AbortController();
  const slow = copyOf(source, 1, 1_000); // the second piece would come in a quarter of an hour
  const options = { ...LIMITS, signal: caller.signal };
  const copy = unary(channel, ControlService.copyReplica, slow, options);
  await until(() => copies.inFlight === 1);
  const second = unary(channel, ControlService.copyReplica, copyOf(source, 1), LIMITS);
  await t.throwsAsync(second, { code: "OVERLOADED" });
  caller.abort(new LumeoError("ABORTED", "enough"));
  await t.throwsAsync(copy, { code: "ABORTED" });
  await until(() => copies.inFlight === 0);
  t.like(await copies.copy(sealedOrder(source), new CancelSource()), { kind: "copied" });
});

function sealedOrder(source: Replica) {
  const { lengthBytes: length, crc32c } = copyOf(source, 1).chunk;
  const chunk = { ...target(1), length, crc32c };
  return { chunk, mandate: 5, sources: [source.link], bytesPerSecondMax: 0 };
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}
