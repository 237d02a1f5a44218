// The stream of operations, over a stream in memory.

import {
  type ErrorCode,
  GiB,
  LumeoError,
  SeededRandom,
  serverId,
  type Timers,
} from "@lumeofs/base";
import { nativeCrc32c, nativeHmacSha256 } from "@lumeofs/node";
import type { RpcStream } from "@lumeofs/node/rpc";
import { lumeo } from "@lumeofs/proto";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import { TokenMint } from "../src/access/token-mint.js";
import { momentOf } from "../src/consensus/moment.js";
import { ReadGate } from "../src/consensus/read-gate.js";
import { MetadataLog } from "../src/duties/metadata-log.js";
import { Fleet } from "../src/fleet/servers.js";
import { OPERATIONS_MAX, OperateSession } from "../src/rpc/namespace-service.js";
import { OPERATION_BYTES, OperationRoom } from "../src/rpc/operation-room.js";
import { LoneReplication } from "./lone-replication.js";
import { tailOffice } from "./tail-office.js";

type Request = lumeo.master.v1.IOperateRequest;
type Response = lumeo.master.v1.IOperateResponse;
type Operation = lumeo.master.v1.IOperation;
type Result = lumeo.master.v1.IOperationResult;

/** The server's end of a stream, and the test's hands on the other one. */
class StreamPair implements RpcStream<Response, Request> {
  readonly sent: Response[] = [];
  /** While set, `send` does not return. */
  blocked: Promise<void> | undefined;
  failure: LumeoError | undefined;
  taken = 0;
  /** Calls of `send`. */
  begun = 0;
  readonly #queue: Request[] = [];
  #wake: () => void = () => {};
  #isEnded = false;

  push(...operations: readonly Operation[]): void {
    this.#queue.push({ operations: [...operations] });
    this.#wake();
  }

  finish(): void {
    this.#isEnded = true;
    this.#wake();
  }

  results(): readonly Result[] {
    return this.sent.flatMap(({ results }) => results ?? []);
  }

  async send(message: Response): Promise<void> {
    this.begun++;
    await this.blocked;
    if (this.failure !== undefined) throw this.failure;
    this.sent.push(message);
  }

  end(): void {}

  cancel(reason?: LumeoError): void {
    this.failure ??= reason ?? new LumeoError("ABORTED", "cancelled");
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Request, void, undefined> {
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      const next = this.#queue.shift();
      if (next !== undefined) {
        this.taken++;
        yield next;
      } else if (this.#isEnded) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

class Desk {
  readonly world = new World(1);
  readonly clock = new SimClock(this.world, new Lifetime(this.world));
  readonly replication = new LoneReplication();
  readonly fleet = new Fleet(
    { suspectMs: 1e9, deadMs: 1e9, steadyMs: 0 },
    this.clock.monotonicMs(),
  );
  readonly counts = new Map<string, number>();
  readonly stream = new StreamPair();
  leaseMs: number | undefined;
  isFounded = true;
  voters = 3;
  room = new OperationRoom();

  /** The session runs from here on; its end comes wrapped, so that nobody waits for it now. */
  async start(): Promise<{ readonly done: Promise<void> }> {
    const log = new MetadataLog({
      replication: this.replication,
      reader: this.replication.state,
      clock: this.clock,
    });
    if (this.isFounded) await log.change({ kind: "initCluster", clusterId: "c" });
    await log.change({ kind: "openSession" });
    const timers: Timers = this.clock;
    const gate = { leaseMs: this.leaseMs, refreshMs: 1e9 };
    const parts = {
      log,
      reads: new ReadGate({ replication: this.replication, clock: this.clock, timers }, gate),
      fleet: this.fleet,
      clock: this.clock,
      random: new SeededRandom(1),
      mint: new TokenMint({ clock: this.clock, hmac: nativeHmacSha256, lifeMs: 1_000 }),
      grantUsableMs: 1,
      failureDomain: "rack",
      sessionIdleMs: 1,
      inline: { bytesMax: 4_096, totalBytesMax: GiB, voters: () => this.voters },
      timers,
      masters: { addresses: ["m1:1", "m2:1"], revision: 1, onChange: () => () => {} },
      room: this.room,
      tails: tailOffice({ log, fleet: this.fleet, clock: this.clock }),
      meter: { began: (kind: string) => (code: string) => this.#count(`${kind} ${code}`) },
    };
    for (const id of [1, 2, 3, 4]) {
      const name = `cs${id}`;
      const addresses = { dataAddress: `${name}:1`, controlAddress: `${name}:2` };
      const store = { name, storeUuid: name, ...addresses, labels: {} };
      await log.change({ kind: "registerServer", ...store });
      const load = { chunkCount: 0, usedBytes: 0, capacityBytes: 9 * GiB, freeBytes: 9 * GiB };
      const report = { load: { ...load, isReadOnly: false, writesInFlight: 0 }, damaged: [] };
      this.fleet.heartbeat(serverId(id), { ...report, isFirst: true }, this.clock.monotonicMs());
    }
    return { done: new OperateSession(parts, this.stream).run() };
  }

  #count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

/** Lets everything run that can, the loop's own turns included. */
async function settle(until: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000 && !until(); turn++) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

async function begin(room = new OperationRoom()): Promise<{ desk: Desk; done: Promise<void> }> {
  const desk = new Desk();
  desk.room = room;
  const { done } = await desk.start();
  done.catch(() => {});
  return { desk, done };
}

function make(id: number, sequence = id): Operation {
  const request = { session: 1, sequence, answeredBelow: 1 };
  return { id, request, makeDirectory: { path: `/d${id}` } };
}

function codeOf(t: ExecutionContext, result: Result | undefined): ErrorCode | undefined {
  t.truthy(result);
  return result?.error?.code as ErrorCode | undefined;
}

test("operations of one message are answered in one message", async (t) => {
  const { desk, done } = await begin();
  desk.stream.push(...Array.from({ length: 100 }, (_, i) => make(i + 1)));
  await settle(() => desk.stream.results().length === 100);
  t.is(desk.stream.sent.length, 1);
  t.true(desk.stream.results().every((result) => result.done !== undefined));
  desk.stream.finish();
  await done;
  t.is(desk.counts.get("makeDirectory OK"), 100);
});

test("an operation that takes too long is answered TIMEOUT, once", async (t) => {
  const { desk, done } = await begin();
  let open = (): void => {};
  desk.replication.gate = new Promise((resolve) => {
    open = resolve;
  });
  desk.stream.push({ ...make(1), timeoutMs: 50 });
  await settle(() => desk.stream.taken === 1);
  await desk.world.sleep(49);
  t.is(desk.stream.results().length, 0);
  await desk.world.sleep(2);
  await settle(() => desk.stream.results().length === 1);
  t.is(codeOf(t, desk.stream.results()[0]), "TIMEOUT");
  open();
  desk.stream.finish();
  await done;
  t.is(desk.stream.results().length, 1);
});

test("queries are UNAVAILABLE until the cluster is founded: there is no root yet", async (t) => {
  const desk = new Desk();
  desk.isFounded = false;
  const { done } = await desk.start();
  desk.stream.push({ id: 1, stat: { path: "/" } }, { id: 2, list: { path: "/" } });
  await settle(() => desk.stream.results().length === 2);
  t.deepEqual(
    desk.stream.results().map((result) => codeOf(t, result)),
    ["UNAVAILABLE", "UNAVAILABLE"],
  );
  desk.stream.finish();
  await done;
});

test("nothing more is read while too many operations are under way", async (t) => {
  const { desk, done } = await begin();
  let open = (): void => {};
  desk.replication.gate = new Promise((resolve) => {
    open = resolve;
  });
  for (let i = 0; i < OPERATIONS_MAX; i++) desk.stream.push(make(i + 1));
  desk.stream.push(make(OPERATIONS_MAX + 1));
  desk.stream.push(make(OPERATIONS_MAX + 2));
  await settle(() => desk.stream.taken === OPERATIONS_MAX + 1);
  t.is(desk.replication.proposals - 6, OPERATIONS_MAX);
  open();
  await settle(() => desk.stream.results().length === OPERATIONS_MAX + 2);
  t.is(desk.stream.results().length, OPERATIONS_MAX + 2);
  desk.stream.finish();
  await done;
});

test("a client that does not take its answers is not read any further", async (t) => {
  const { desk, done } = await begin();
  let open = (): void => {};
  desk.stream.blocked = new Promise((resolve) => {
    open = resolve;
  });
  for (let i = 0; i < OPERATIONS_MAX + 50; i++) {
    desk.stream.push({ id: i + 1, stat: { path: "/" } });
  }
  await settle(() => OPERATIONS_MAX < desk.stream.taken);
  t.is(desk.stream.taken, OPERATIONS_MAX + 1);
  open();
  await settle(() => desk.stream.results().length === OPERATIONS_MAX + 50);
  desk.stream.finish();
  await done;
});

test("an operation that finds no room is refused with a hint when to come back", async (t) => {
  const { desk, done } = await begin(new OperationRoom(10 * OPERATION_BYTES));
  let open = (): void => {};
  desk.replication.gate = new Promise((resolve) => {
    open = resolve;
  });
  desk.stream.push(...Array.from({ length: 30 }, (_, i) => make(i + 1)));
  await settle(() => desk.stream.results().length === 20);
  for (const result of desk.stream.results()) {
    t.is(codeOf(t, result), "OVERLOADED");
    t.true(0 < (result.error?.retryAfterMs ?? 0));
  }
  open();
  await settle(() => desk.stream.results().length === 30);
  t.is(desk.room.usedBytes, 0);
  t.is(desk.room.refused, 20);
  desk.stream.finish();
  await done;
});

test("a client that takes no refusals either is not read any further", async (t) => {
  const { desk, done } = await begin(new OperationRoom(1));
  let open = (): void => {};
  desk.stream.blocked = new Promise((resolve) => {
    open = resolve;
  });
  for (let i = 0; i < 200; i++) desk.stream.push(make(i + 1));
  await settle(() => 65 <= desk.stream.taken);
  t.is(desk.stream.taken, 65);
  open();
  await settle(() => desk.stream.results().length === 200);
  desk.stream.finish();
  await done;
});

test("a long listing counts for several operations", async (t) => {
  const { desk, done } = await begin();
  let open = (): void => {};
  desk.stream.blocked = new Promise((resolve) => {
    open = resolve;
  });
  for (let i = 0; i < 200; i++) {
    desk.stream.push({ id: i + 1, list: { path: "/", after: "", countMax: 1_000 } });
  }
  await settle(() => 60 < desk.stream.taken);
  t.true(desk.stream.taken < 70, `${desk.stream.taken} of 4,096`);
  desk.stream.cancel(new LumeoError("CONNECTION_LOST", "gone"));
  open();
  await t.throwsAsync(done, { message: "gone" }, "it does not wait for room any more");
  t.is(desk.room.usedBytes, 0);
});

test("a client that takes no answers for a minute is given up, and its room is free", async (t) => {
  const { desk, done } = await begin();
  desk.stream.blocked = new Promise(() => {});
  for (let i = 0; i < 50; i++) desk.stream.push({ id: i + 1, stat: { path: "/" } });
  await settle(() => desk.stream.taken === 50 && desk.stream.begun === 1);
  t.true(0 < desk.room.usedBytes);
  await desk.world.sleep(61_000);
  await t.throwsAsync(done, { message: /takes no answers/ });
  t.is(desk.room.usedBytes, 0);
});

test("a stream that fails ends its session with that failure", async (t) => {
  const { desk, done } = await begin();
  desk.stream.failure = new LumeoError("CONNECTION_LOST", "gone");
  desk.stream.push({ id: 1, stat: { path: "/" } });
  await t.throwsAsync(done, { message: "gone" });
});

test("operations are refused by a master that does not lead, with the leader's address", async (t) => {
  const { desk, done } = await begin();
  desk.replication.lead(false);
  const request = { session: 1, sequence: 1, answeredBelow: 1 };
  desk.stream.push(
    make(1),
    { id: 2, stat: { path: "/" } },
    { id: 3, list: { path: "/" } },
    { id: 4, request, allocate: { grants: 1, handles: 1, replicas: 1 } },
  );
  await settle(() => desk.stream.results().length === 4);
  for (const { error } of desk.stream.results()) {
    t.like(error, { code: "NOT_LEADER", leader: "m2:1" });
  }
  desk.stream.finish();
  await done;
});

test("a read tells up to which entry it is, and a stale one how old it may be", async (t) => {
  const { desk, done } = await begin();
  const { CONSISTENCY_STALE, CONSISTENCY_LINEARIZABLE } = lumeo.master.v1.Consistency;
  const stale = { consistency: CONSISTENCY_STALE, stat: { path: "/" } };
  desk.stream.push({ ...stale, id: 1 });
  await settle(() => desk.stream.results().length === 1);
  t.is(codeOf(t, desk.stream.results()[0]), "NO_LEADER", "never up to date since the start");
  desk.replication.freshness = { fresh: momentOf(desk.clock), confirmed: undefined };
  desk.replication.lead(false);
  await desk.world.sleep(70);
  const limited = { ...stale, ageMsMax: 60 };
  const exact = { consistency: CONSISTENCY_LINEARIZABLE, stat: { path: "/" } };
  desk.stream.push({ ...stale, id: 2 }, { ...limited, id: 3 }, { ...exact, id: 4 });
  await settle(() => desk.stream.results().length === 4);
  const byId = desk.stream.results().toSorted((a, b) => (a.id ?? 0) - (b.id ?? 0));
  const [, fresh, old, refused] = byId;
  t.like(fresh, { id: 2, ageMs: 70, appliedIndex: 6 });
  t.is(codeOf(t, old), "NO_LEADER");
  t.is(codeOf(t, refused), "NOT_LEADER", "a master that cannot ask the leader never answers stale");
  desk.stream.finish();
  await done;
});

test("3.3.27: a lease that ends while the state is read gives nothing out", async (t) => {
  const desk = new Desk();
  desk.leaseMs = 100;
  const { done } = await desk.start();
  const confirm = () => {
    desk.replication.freshness = { fresh: undefined, confirmed: momentOf(desk.clock) };
  };
  const lease = { consistency: lumeo.master.v1.Consistency.CONSISTENCY_LEASE };
  confirm();
  const before = desk.replication.reads;
  desk.stream.push({ ...lease, id: 1, stat: { path: "/" } });
  await settle(() => desk.stream.results().length === 1);
  t.is(desk.replication.reads, before, "no round was needed");
  // The process stops between the reading and the answer, and another member leads by then.
  const read = desk.replication.state.range.bind(desk.replication.state);
  desk.replication.state.range = async (...args) => {
    await desk.world.sleep(101);
    return read(...args);
  };
  confirm();
  desk.stream.push(
    { ...lease, id: 2, list: { path: "/" } },
    { ...lease, id: 3, stat: { path: "/" } },
  );
  await settle(() => desk.stream.results().length === 3);
  t.is(desk.replication.reads, before + 1, "the list asked a majority in the end");
  desk.stream.finish();
  await done;
});

test("a leader that has not applied what others may have shown uses no lease", async (t) => {
  const desk = new Desk();
  desk.leaseMs = 100;
  const { done } = await desk.start();
  desk.replication.freshness = { fresh: undefined, confirmed: momentOf(desk.clock) };
  desk.replication.behind = 1;
  const { reads } = desk.replication;
  const consistency = lumeo.master.v1.Consistency.CONSISTENCY_LEASE;
  desk.stream.push({ consistency, id: 1, stat: { path: "/" } });
  await settle(() => desk.stream.results().length === 1);
  t.is(desk.replication.reads, reads + 1);
  desk.stream.finish();
  await done;
});

test("a repeated allocation gets the same grants with the same servers", async (t) => {
  const { desk, done } = await begin();
  const request = { session: 1, sequence: 1, answeredBelow: 1 };
  const allocate = { grants: 3, handles: 5, replicas: 3, avoidServerIds: [2] };
  desk.stream.push({ id: 1, request, allocate });
  await settle(() => desk.stream.results().length === 1);
  desk.stream.push({ id: 2, request, allocate });
  await settle(() => desk.stream.results().length === 2);
  const [first, second] = desk.stream.results();
  t.deepEqual(second?.allocated, first?.allocated);
  t.is(first?.allocated?.grants?.length, 3);
  t.false(JSON.stringify(first).includes('"cs2"'));
  desk.stream.finish();
  await done;
});

test("units get servers of their own, and a file of them shows its code and their holders", async (t) => {
  const { desk, done } = await begin();
  const request = (sequence: number) => ({ session: 1, sequence, answeredBelow: 1 });
  const allocate = { grants: 1, handles: 1, replicas: 4, units: true };
  desk.stream.push({ id: 1, request: request(1), allocate });
  await settle(() => desk.stream.results().length === 1);
  const grant = desk.stream.results()[0]?.allocated?.grants?.[0];
  t.is(new Set(grant?.replicas?.map(({ serverId: id }) => id)).size, 4);
  const code = { data: 2, parity: 2, cellBytes: 65_536 };
  const ref = { handle: grant?.firstHandle ?? 0, epoch: 1, lengthBytes: 5, crc32c: 6 };
  const sized = { chunkSizeBytes: 5, replicas: 3, crc32c: 6, code };
  const commit = (path: string, unitCrcs: number[]) => {
    return { ...sized, path, chunks: [{ ...ref, coding: { code, unitCrcs } }] };
  };
  desk.stream.push({ id: 2, request: request(2), commit: commit("/short", [7, 8, 9]) });
  desk.stream.push({ id: 3, request: request(3), commit: commit("/f", [7, 8, 9, 10]) });
  await settle(() => desk.stream.results().length === 3);
  desk.stream.push({ id: 4, stat: { path: "/f", chunkCountMax: 1 } });
  await settle(() => desk.stream.results().length === 4);
  const [, short, made, shown] = desk.stream
    .results()
    .toSorted((a, b) => (a.id ?? 0) - (b.id ?? 0));
  t.is(codeOf(t, short), "INVALID_ARGUMENT");
  t.is(made?.error, undefined);
  t.deepEqual(made?.file?.code, code);
  t.deepEqual(shown?.stat?.info?.code, code);
  const chunk = shown?.stat?.chunks?.[0];
  t.deepEqual(chunk?.chunk?.coding, { code, unitCrcs: [7, 8, 9, 10] });
  t.deepEqual(
    chunk?.replicas?.map(({ serverId: id }) => id),
    grant?.replicas?.map(({ serverId: id }) => id),
  );
  desk.stream.finish();
  await done;
});

test("too few servers for a code are named with the way out, and no code is wider than 32", async (t) => {
  const { desk, done } = await begin();
  const ask = (id: number, replicas: number, units: boolean): Operation => {
    const request = { session: 1, sequence: id, answeredBelow: 1 };
    return { id, request, allocate: { grants: 1, handles: 1, replicas, units } };
  };
  desk.stream.push(ask(1, 6, true), ask(2, 33, true), ask(3, 9, false));
  await settle(() => desk.stream.results().length === 3);
  const [few, wide, copies] = desk.stream.results().toSorted((a, b) => (a.id ?? 0) - (b.id ?? 0));
  t.is(codeOf(t, few), "TOO_FEW_SERVERS");
  t.regex(few?.error?.message ?? "", /4 of 4 chunkservers are alive; start more of them/);
  t.is(codeOf(t, wide), "INVALID_ARGUMENT");
  t.is(codeOf(t, copies), "INVALID_ARGUMENT");
  desk.stream.finish();
  await done;
});

test("a policy of codes is set, kept while others change, and holds below", async (t) => {
  const { desk, done } = await begin();
  const request = (sequence: number) => ({ session: 1, sequence, answeredBelow: 1 });
  const { CODE_MODE_AUTO } = lumeo.master.v1.CodeMode;
  const { CODE_FALLBACK_REPLICATE } = lumeo.master.v1.CodeFallback;
  const code = { mode: CODE_MODE_AUTO, code: { data: 4, parity: 2, cellBytes: 1_048_576 } };
  const kept = { code: true, codeAfterMs: true, codeFallback: true };
  const set = { code, codeAfterMs: 5, codeFallback: CODE_FALLBACK_REPLICATE };
  desk.stream.push(
    { id: 1, request: request(1), setPolicy: { path: "/", policy: set } },
    { id: 2, request: request(2), setPolicy: { path: "/", policy: { versions: 2 }, kept } },
    {
      id: 3,
      request: request(3),
      setPolicy: { path: "/", policy: { code: { mode: 9 as never } } },
    },
    { id: 4, effectivePolicy: { path: "/new" } },
  );
  await settle(() => desk.stream.results().length === 4);
  const results = desk.stream.results().toSorted((a, b) => (a.id ?? 0) - (b.id ?? 0));
  t.is(codeOf(t, results[2]), "INVALID_ARGUMENT");
  t.like(results[3]?.policy, { ...set, versions: 2 });
  desk.stream.finish();
  await done;
});

const SMALL = Uint8Array.from({ length: 300 }, (_, i) => (i * 3) & 0xff);

function small(id: number, more: lumeo.master.v1.ICommit = {}, sequence = id): Operation {
  const request = { session: 1, sequence, answeredBelow: 1 };
  const kept = { inlineBytes: SMALL, crc32c: nativeCrc32c(SMALL), replicas: 3 };
  return { id, request, commit: { path: `/f${id}`, chunkSizeBytes: 4_096, ...kept, ...more } };
}

test("a small file comes with its commit, and its bytes go with the answer to who reads", async (t) => {
  const { desk, done } = await begin();
  desk.stream.push({ id: 1, openSession: {} });
  await settle(() => desk.stream.results().length === 1);
  desk.stream.push(small(2, { metadata: { a: "b" } }));
  await settle(() => desk.stream.results().length === 2);
  desk.stream.push(
    { id: 3, stat: { path: "/f2", chunkCountMax: 1 } },
    { id: 4, stat: { path: "/f2" } },
  );
  await settle(() => desk.stream.results().length === 4);
  const [opened, put, read, looked] = desk.stream.results();
  t.is(opened?.sessionOpened?.inlineBytesMax, 4_096);
  t.like(put?.file, { sizeBytes: 300, chunkCount: 1 });
  const [chunk] = read?.stat?.chunks ?? [];
  t.like(chunk, { inline: true, chunk: { lengthBytes: 300, crc32c: nativeCrc32c(SMALL) } });
  t.deepEqual(new Uint8Array(chunk?.inlineBytes ?? []), SMALL);
  t.deepEqual([chunk?.replicas?.length ?? 0, chunk?.token?.byteLength ?? 0], [0, 0]);
  t.deepEqual(looked?.stat?.chunks, []);
  desk.stream.finish();
  await done;
});

test("bytes that are not to be kept are refused with the reason, and nothing is written", async (t) => {
  const { desk, done } = await begin();
  const long = new Uint8Array(4_097);
  desk.stream.push(
    small(1, { replicas: 4 }),
    small(2, { inlineBytes: long, crc32c: nativeCrc32c(long), chunkSizeBytes: 9_000 }),
    small(3, { chunks: [{ handle: 64, epoch: 1, lengthBytes: 300, crc32c: 1 }] }),
    { id: 4, stat: { path: "/f1" } },
  );
  await settle(() => desk.stream.results().length === 4);
  const results = desk.stream.results().toSorted((a, b) => Number(a.id) - Number(b.id));
  t.deepEqual(
    results.map((result) => codeOf(t, result)),
    ["INLINE_REFUSED", "INLINE_REFUSED", "INVALID_ARGUMENT", "NOT_FOUND"],
  );
  t.regex(results[0]?.error?.message ?? "", /wants 4 copies, and 3 masters vote/);
  t.regex(results[1]?.error?.message ?? "", /4097 bytes, at most 4096/);
  desk.stream.finish();
  await done;
});

test("bytes that were changed on their way get no place in the log", async (t) => {
  const { desk, done } = await begin();
  const before = desk.replication.proposals;
  desk.stream.push(small(1, { crc32c: (nativeCrc32c(SMALL) ^ 1) >>> 0 }));
  await settle(() => desk.stream.results().length === 1);
  t.is(codeOf(t, desk.stream.results()[0]), "CHECKSUM");
  t.is(desk.replication.proposals, before);
  desk.stream.push(small(2, { path: "/f1" }, 1));
  await settle(() => desk.stream.results().length === 2);
  t.like(desk.stream.results()[1]?.file, { sizeBytes: 300 });
  desk.stream.finish();
  await done;
});

test("a commit that is repeated where it would be refused now gets its first answer", async (t) => {
  const { desk, done } = await begin();
  desk.stream.push(small(1));
  await settle(() => desk.stream.results().length === 1);
  desk.voters = 1;
  desk.stream.push(small(2, { path: "/f1" }, 1), small(3, {}, 2));
  await settle(() => desk.stream.results().length === 3);
  const [first, again, other] = desk.stream.results();
  t.is(again?.file?.revision, first?.file?.revision);
  t.is(codeOf(t, other), "INLINE_REFUSED");
  desk.stream.finish();
  await done;
});
