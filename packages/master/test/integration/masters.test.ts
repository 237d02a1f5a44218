// Three masters as real processes: what clients and chunkservers see, through kill -9 and restarts.

import { crc32c, type ErrorCode, GiB, LumeoError } from "@lumeofs/base";
import { openStream, RpcChannel, unary } from "@lumeofs/node/rpc";
import { ChunkService, FleetService, lumeo } from "@lumeofs/proto";
import test from "ava";
import { call, clusterStatus, MasterProcesses, stateHash } from "./master-processes.js";
import { OperateClient } from "./operate-client.js";

const { MasterRole, FileKind } = lumeo.master.v1;
const { ServerState } = lumeo.common.v1;
type Operation = Parameters<OperateClient["run"]>[0];
const CONTENT = Uint8Array.of(1, 2, 3);

/** A chunkserver as the masters know it: registered, and beating as often as it is told. */
async function beatingServer(
  address: string,
  name: string,
): Promise<{ readonly id: number; close(): Promise<void> }> {
  const channel = new RpcChannel(address);
  const registration = {
    name,
    storeUuid: `uuid-${name}`,
    dataAddress: "127.0.0.1:1",
    controlAddress: "127.0.0.1:2",
  };
  const { serverId = 0 } = await unary(channel, FleetService.register, registration, {
    timeoutMs: 5_000,
  });
  const stream = await openStream(channel, FleetService.heartbeat);
  const load = { capacityBytes: 100 * GiB, freeBytes: 50 * GiB, usedBytes: 0, chunkCount: 0 };
  const beat = () => stream.send({ serverId, storeUuid: `uuid-${name}`, ...load });
  await beat();
  const beating = setInterval(() => void beat().catch(() => {}), 200);
  const answers = stream[Symbol.asyncIterator]();
  await answers.next();
  return {
    id: serverId ?? 0,
    close: async () => {
      clearInterval(beating);
      stream.cancel();
      await channel.close();
    },
  };
}

async function openSession(client: OperateClient): Promise<number> {
  const { sessionOpened } = await client.run({ openSession: {} });
  return sessionOpened?.session ?? 0;
}

/** Waits until all masters have the same state, with at least this many entries in it. */
async function equalStates(masters: MasterProcesses, indexMin: number): Promise<void> {
  await masters.until("equal states", async () => {
    const hashes = await Promise.all(
      masters.members.map(({ address }) => stateHash(address).catch(() => undefined)),
    );
    const [one] = hashes;
    if (one === undefined || one.hash === "") return undefined;
    const isEqual = hashes.every((hash) => hash?.hash === one.hash && hash.index === one.index);
    return isEqual && indexMin <= one.index ? true : undefined;
  });
}

test.serial("three masters serve files, lose their leader, and agree in the end", async (t) => {
  const masters = await MasterProcesses.start(3);
  t.teardown(() => masters.close());
  const first = await masters.leader();
  const client = await OperateClient.connect(first.address);
  const session = await openSession(client);
  let sequence = 0;
  const request = () => ({ session, sequence: ++sequence, answeredBelow: 1 });

  // No chunkserver is there yet.
  const allocate = { grants: 1, handles: 4, replicas: 3 };
  const early = await t.throwsAsync(client.run({ request: request(), allocate }));
  t.regex(early?.message ?? "", /Cannot place 3 replicas: 0 of 0 chunkservers are alive/);
  const names = ["cs1", "cs2", "cs3"];
  const servers = await Promise.all(names.map((name) => beatingServer(first.address, name)));
  t.teardown(() => Promise.all(servers.map((server) => server.close())));

  // Allocate, commit, stat with chunks, list.
  const { allocated } = await client.run({ request: request(), allocate });
  const grant = allocated?.grants?.[0];
  t.is(new Set(grant?.replicas?.map((replica) => replica.name)).size, 3);
  const handle = grant?.firstHandle ?? 0;
  const crc = crc32c(CONTENT);
  const chunk = { handle, epoch: 1, lengthBytes: CONTENT.byteLength, crc32c: crc };
  const commit = {
    path: "/a/b.txt",
    chunks: [chunk],
    chunkSizeBytes: 1024,
    replicas: 3,
    crc32c: crc,
    makeParents: true,
  };
  const committing = { request: request(), commit };
  const { file } = await client.run(committing);
  t.like(file, { path: "/a/b.txt", sizeBytes: 3, kind: FileKind.FILE_KIND_FILE });
  const { stat } = await client.run({ stat: { path: "/a/b.txt", chunkCountMax: 10 } });
  t.like(stat?.chunks?.[0]?.chunk, chunk);
  t.true(stat?.chunks?.[0]?.replicas?.every((r) => r.state === ServerState.SERVER_STATE_ALIVE));
  const { listing } = await client.run({ list: { path: "/" } });
  t.deepEqual(
    listing?.entries?.map((entry) => entry.path),
    ["/a"],
  );

  // Many operations in one message are answered together.
  const before = client.messages;
  const makes = Array.from({ length: 500 }, (_, i) => ({
    request: request(),
    makeDirectory: { path: `/many-${i}` },
  }));
  await Promise.all(client.runAll(makes));
  t.true(client.messages - before < 100, `${client.messages - before} messages`);

  // Followers serve reads as fresh as the leader's, and name the leader for everything else.
  const follower = masters.members.find(({ id }) => id !== first.id);
  const other = await OperateClient.connect(follower?.address ?? "");
  await client.run({ request: request(), makeDirectory: { path: "/seen" } });
  t.is((await other.run({ stat: { path: "/seen" } })).ageMs, 0);
  const { CONSISTENCY_STALE } = lumeo.master.v1.Consistency;
  const stale = await other.run({ consistency: CONSISTENCY_STALE, list: { path: "/" } });
  t.true(500 < (stale.appliedIndex ?? 0) && (stale.ageMs ?? 1e9) < 10_000);
  const located = await other.run({ stat: { path: "/a/b.txt", chunkCountMax: 10 } });
  t.true(
    located.stat?.chunks?.[0]?.replicas?.every((r) => r.state === ServerState.SERVER_STATE_ALIVE),
  );
  const denied = { request: request(), makeDirectory: { path: "/denied" } };
  const refused = await t.throwsAsync(other.run(denied), { instanceOf: LumeoError });
  t.like(refused, { code: "NOT_LEADER", details: { leader: first.address } });
  await other.close();

  // The leader dies; a repeated commit gets its first answer from the next one.
  await client.close();
  await masters.end(first.id, "SIGKILL");
  const second = await masters.leader();
  t.not(second.id, first.id);
  const again = await OperateClient.connect(second.address);
  t.teardown(() => again.close());
  t.deepEqual((await again.run(committing)).file, file);
  const gone = await clusterStatus(second.address);
  const roles = gone.masters?.map(({ id, role }) => `${id} ${role}`);
  t.true(roles?.includes(`${first.id} ${MasterRole.MASTER_ROLE_UNREACHABLE}`));
  const made = await again.run({ list: { path: "/" } });
  t.is(made.listing?.entries?.length, 502);

  // It comes back, and all three have the same state.
  masters.spawn(first.id);
  await equalStates(masters, 500);
  for (const { id } of masters.members) t.is(await masters.end(id, "SIGTERM"), 0);
});

test.serial("a master that missed more than the log keeps gets a snapshot", async (t) => {
  const masters = await MasterProcesses.start(3, [
    "--compact-entries",
    "100",
    "--tail-entries",
    "10",
  ]);
  t.teardown(() => masters.close());
  const { id: leader, address } = await masters.leader();
  const late = masters.members.find(({ id }) => id !== leader);
  if (late === undefined) return t.fail();
  await masters.end(late.id, "SIGKILL");
  const client = await OperateClient.connect(address);
  t.teardown(() => client.close());
  const session = await openSession(client);
  for (let round = 0; round < 5; round++) {
    const makes = Array.from({ length: 200 }, (_, i) => ({
      request: { session, sequence: 200 * round + i + 1, answeredBelow: 200 * round + 1 },
      makeDirectory: { path: `/d${round}-${i}` },
    }));
    await Promise.all(client.runAll(makes));
  }
  await masters.until("a shortened log", async () => {
    const { masters: all } = await clusterStatus(address);
    const first = all?.find((one) => one.id === leader)?.firstIndex ?? 0;
    return 500 < first ? true : undefined;
  });
  masters.spawn(late.id);
  await equalStates(masters, 1_000);
  t.pass();
});

test.serial("a single master keeps everything through kill -9", async (t) => {
  const masters = await MasterProcesses.start(1);
  t.teardown(() => masters.close());
  const { id, address } = await masters.leader();
  const client = await OperateClient.connect(address);
  const session = await openSession(client);
  const makes = Array.from({ length: 200 }, (_, i) => ({
    request: { session, sequence: i + 1, answeredBelow: 1 },
    makeDirectory: { path: `/d${String(i).padStart(3, "0")}` },
  }));
  await Promise.all(client.runAll(makes));
  await client.close();
  await masters.end(id, "SIGKILL");
  masters.spawn(id);
  await masters.leader();
  const later = await OperateClient.connect(address);
  t.teardown(() => later.close());
  const seen: string[] = [];
  for (let after = "", more = true; more; ) {
    const { listing } = await later.run({ list: { path: "/", after, countMax: 33 } });
    seen.push(...(listing?.entries ?? []).map((entry) => entry.path ?? ""));
    after = seen.at(-1)?.slice(1) ?? "";
    more = listing?.more ?? false;
  }
  t.deepEqual(
    seen,
    makes.map((make) => make.makeDirectory.path),
  );
});

test.serial("requests that cannot be are refused with a reason", async (t) => {
  const masters = await MasterProcesses.start(1);
  t.teardown(() => masters.close());
  const { address } = await masters.leader();
  const client = await OperateClient.connect(address);
  t.teardown(() => client.close());
  const session = await openSession(client);
  const request = { session, sequence: 1, answeredBelow: 1 };
  const refusals: readonly (readonly [Operation, ErrorCode, RegExp])[] = [
    [{ stat: { path: "a" } }, "INVALID_ARGUMENT", /begin with "\/"/],
    [{ stat: { path: "/none" } }, "NOT_FOUND", /"\/none": it does not exist/],
    [{ makeDirectory: { path: "/x" } }, "INVALID_ARGUMENT", /no request id/],
    [{ request }, "INVALID_ARGUMENT", /no known kind/],
    [{ request, makeDirectory: { path: "/x/" } }, "INVALID_ARGUMENT", /empty name/],
    [{ request, allocate: { grants: 0, handles: 1, replicas: 3 } }, "INVALID_ARGUMENT", /grants/],
    [{ request, allocate: { grants: 1, handles: 65, replicas: 3 } }, "INVALID_ARGUMENT", /at most/],
    [{ request, addChunks: { upload: 0 } }, "INVALID_ARGUMENT", /upload is missing/],
    [
      { request: { session: 77, sequence: 1, answeredBelow: 1 }, makeDirectory: { path: "/x" } },
      "SESSION_EXPIRED",
      /open a new one/,
    ],
    [{ stat: { path: "/", revision: 999_999 } }, "CONFLICT", /replaced/],
  ];
  for (const [operation, code, message] of refusals) {
    const error = await t.throwsAsync(client.run(operation), { instanceOf: LumeoError });
    t.is(error?.code, code);
    t.regex(error?.message ?? "", message);
  }
  const unknown = { timeoutMs: 5_000 };
  const missing = call(address, (c) =>
    unary(c, ChunkService.locateChunk, { handle: 640 }, unknown),
  );
  await t.throwsAsync(missing, { message: /no file has it/ });
});

test.serial("a chunkserver keeps its number, and its name goes to its next store", async (t) => {
  const masters = await MasterProcesses.start(1);
  t.teardown(() => masters.close());
  const { address } = await masters.leader();
  const one = await beatingServer(address, "cs1");
  const register = (more: object) =>
    call(address, (channel) =>
      unary(
        channel,
        FleetService.register,
        {
          name: "cs1",
          storeUuid: "uuid-cs1",
          dataAddress: "127.0.0.1:1",
          controlAddress: "127.0.0.1:2",
          ...more,
        },
        { timeoutMs: 5_000 },
      ),
    );
  t.is((await register({})).serverId, one.id);
  await t.throwsAsync(register({ storeUuid: "wiped" }), { message: /another store of that name/ });
  await t.throwsAsync(register({ clusterId: "other" }), { message: /belongs to cluster other/ });
  await one.close();
  const wiped = await masters.until("the new store", () =>
    register({ storeUuid: "wiped" }).catch(() => undefined),
  );
  t.not(wiped.serverId, one.id);
  const { chunkservers } = await clusterStatus(address);
  t.deepEqual(
    chunkservers?.map(({ serverId, name }) => [serverId, name]),
    [[wiped.serverId, "cs1"]],
  );
});
