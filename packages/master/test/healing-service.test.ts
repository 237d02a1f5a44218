// What operators ask of healing, over gRPC, from a leader in virtual time.

import { type LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import { RpcChannel, RpcServer, unary } from "@lumeofs/node/rpc";
import { HealingService, lumeo } from "@lumeofs/proto";
import test, { type ExecutionContext } from "ava";
import { ChannelPool } from "../src/rpc/channel-pool.js";
import { healingMethods } from "../src/rpc/healing-service.js";
import { HealingOffice, LIMITS } from "./healing-office.js";

const { ChunkFilter, CopyFinding, JobKind } = lumeo.master.v1;
type Begin = lumeo.master.v1.ICreateJobRequest;

/** A cluster of these servers, and how jobs are begun there. */
async function serve(t: ExecutionContext, names: readonly string[]) {
  const office = await HealingOffice.open(t, names);
  const { log, fleet, clock, seen, replication } = office;
  const channels = new ChannelPool();
  const known = { log, fleet, clock, orders: office, self: "m1", seen, replication };
  const methods = healingMethods({ ...known, channels, terms: LIMITS });
  const where = { host: "127.0.0.1", port: 0, logger: SILENT_LOGGER };
  const server = await RpcServer.start(where, methods);
  const channel = new RpcChannel(server.address);
  t.teardown(async () => {
    await channel.close();
    await server.close();
    await channels.close();
  });
  const begin = (request: Begin) =>
    unary(channel, HealingService.createJob, request, { timeoutMs: 20_000 });
  return { office, begin, channel };
}

for (const [word, kind] of [
  ["drain", JobKind.JOB_KIND_DRAIN],
  ["decommission", JobKind.JOB_KIND_DECOMMISSION],
] as const) {
  test(`a ${word} that leaves too few servers is refused, with the way out, unless it is to be anyway`, async (t) => {
    const { office, begin } = await serve(t, ["cs1", "cs2", "cs3"]);
    await office.file("/a", [1, 2, 3]);
    const error = await t.throwsAsync<LumeoError>(begin({ kind, node: "cs2" }));
    t.is(error?.code, "PRECONDITION");
    t.regex(error?.message ?? "", new RegExp(`^Cannot ${word} cs2: 2 chunkservers would be left`));
    t.regex(error?.message ?? "", /--anyway/);
    t.deepEqual(await office.jobs(), []);
    const { job } = await begin({ kind, node: "cs2", anyway: true });
    t.like(job, { kind, node: "cs2" });
    t.like(await office.jobs(), [{ kind: word, state: "running" }]);
    const again = await t.throwsAsync<LumeoError>(begin({ kind, node: "cs2" }));
    t.is(again?.code, "CONFLICT", "it leaves already");
  });
}

test("a drain that leaves enough servers is begun without more ado", async (t) => {
  const { office, begin } = await serve(t, ["cs1", "cs2", "cs3", "cs4"]);
  await begin({ kind: JobKind.JOB_KIND_DRAIN, node: "cs2" });
  t.like(await office.jobs(), [{ kind: "drain" }]);
  const second = await t.throwsAsync<LumeoError>(
    begin({ kind: JobKind.JOB_KIND_DRAIN, node: "cs3" }),
  );
  t.regex(second?.message ?? "", /"cs2" is emptied/);
});

test("chunks are listed, and read by their servers, by their handles", async (t) => {
  const { office, channel } = await serve(t, ["cs1", "cs2", "cs3"]);
  const handles: number[] = [];
  for (const path of ["/a", "/b"]) handles.push(await office.file(path, [1, 2, 3]));
  const [a = 0, b = 0] = handles;
  const limits = { timeoutMs: 20_000 };
  const filter = ChunkFilter.CHUNK_FILTER_ALL;
  const named = { filter, handles: [b, 999_999, a] };
  const listed = await unary(channel, HealingService.listChunks, named, limits);
  t.deepEqual(
    listed.chunks?.map(({ chunk }) => chunk?.chunk?.handle),
    [b, a],
  );
  const asked = { handles: [a, 999_999, b] };
  const { chunks } = await unary(channel, HealingService.verifyChunks, asked, limits);
  t.deepEqual(
    chunks?.map((one) => [one.handle, one.copies?.map(({ serverId }) => serverId)]),
    [
      [a, [1, 2, 3]],
      [b, [1, 2, 3]],
    ],
  );
  const findings = chunks?.flatMap((one) => one.copies?.map(({ finding }) => finding));
  t.true(findings?.every((one) => one === CopyFinding.COPY_FINDING_INTACT));
  const many = { handles: Array.from({ length: 65 }, (_, i) => i + 1) };
  const tooMany = unary(channel, HealingService.verifyChunks, many, limits);
  await t.throwsAsync(tooMany, { code: "INVALID_ARGUMENT" });
});
