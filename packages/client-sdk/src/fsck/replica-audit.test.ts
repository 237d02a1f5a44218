import type { ReplicaStanding } from "@lumeofs/base";
import test from "ava";
import { LumeoError } from "../error.js";
import type { FsckEvent, FsckFinding } from "./finding.js";
import { ReplicaAudit } from "./replica-audit.js";
import type {
  AuditedChunk,
  AuditedMember,
  AuditedServer,
  AuditSource,
  CopyReading,
  InventoryRounds,
  ReplicaFacts,
} from "./source.js";

const OPTIONS = { bytes: false, patienceMs: undefined };

function chunkOf(handle: number, members: readonly number[] = [1, 2, 3]): AuditedChunk {
  const copy = { lengthBytes: 100, crc32c: handle, isNowhere: false };
  return {
    ...{ handle, epoch: 1, lengthBytes: 100, content: handle + 1_000 },
    isReleased: false,
    inlineFault: undefined,
    members: members.map((id) => ({ id, name: `cs${id}`, ...copy })),
  };
}

/** A chunk with a unit on each of the servers 1 to 4, of which that of server 3 has no bytes. */
function codedOf(handle: number): AuditedChunk {
  const chunk = chunkOf(handle, [1, 2, 3, 4]);
  const members = chunk.members.map((member) => {
    const lengthBytes = member.id === 3 ? 0 : 40 + member.id;
    return { ...member, lengthBytes, crc32c: 10 * handle + member.id, isNowhere: member.id === 3 };
  });
  return { ...chunk, members };
}

/** A cluster in memory, in which something may happen between two questions. */
class FakeCluster implements AuditSource {
  readonly table = new Map<number, AuditedChunk>();
  readonly stores = new Map<number, Map<number, ReplicaFacts>>();
  readonly standings = new Map<string, ReplicaStanding>();
  readonly unreachable = new Set<number>();
  readonly bad = new Set<string>();
  list: AuditedServer[] = [1, 2, 3, 4].map((id) => {
    return { id, name: `cs${id}`, isAlive: true, isLost: false };
  });
  questions = 0;
  /** How many chunks were read by each question. */
  readonly reads: number[] = [];
  /** What happens before the question of this number. */
  readonly events = new Map<number, () => void>();
  pageSize = 3;
  grantedUpto = 1_000_000;
  /** Of every server: how long a round takes, and whether they come to their end. */
  roundMs = 5_000;
  isTelling = true;
  #now = 0;

  constructor(handles: readonly number[]) {
    for (const { id } of this.list) this.stores.set(id, new Map());
    for (const handle of handles) this.commit(chunkOf(handle));
  }

  commit(chunk: AuditedChunk): void {
    this.table.set(chunk.handle, chunk);
    for (const { id, isNowhere } of chunk.members) if (!isNowhere) this.put(id, chunk);
  }

  put(server: number, { handle, epoch, members }: AuditedChunk): void {
    const member = members.find(({ id }) => id === server);
    const { lengthBytes, crc32c } = member ?? { lengthBytes: 100, crc32c: handle };
    const facts = { handle, epoch, lengthBytes, crc32c, damaged: false };
    this.stores.get(server)?.set(handle, facts);
  }

  change(server: number, handle: number, more: Partial<ReplicaFacts>): void {
    const facts = this.stores.get(server)?.get(handle);
    if (facts !== undefined) this.stores.get(server)?.set(handle, { ...facts, ...more });
  }

  forget(handle: number): void {
    this.table.delete(handle);
    for (const store of this.stores.values()) store.delete(handle);
  }

  #asked(): void {
    this.questions++;
    this.events.get(this.questions)?.();
  }

  async servers() {
    return this.list;
  }

  async chunks(after: number) {
    this.#asked();
    const all = [...this.table.values()].sort((a, b) => a.handle - b.handle);
    const chunks = all.filter(({ handle }) => after < handle).slice(0, this.pageSize);
    const next = chunks.length < this.pageSize ? 0 : (chunks.at(-1)?.handle ?? 0);
    return { chunks, next, grantedUpto: this.grantedUpto };
  }

  async named(handles: readonly number[]) {
    this.#asked();
    const found = handles.flatMap((handle) => this.table.get(handle) ?? []);
    return new Map(found.map((chunk) => [chunk.handle, chunk]));
  }

  async replicas(server: number, after: number, limit: number) {
    this.#asked();
    if (this.unreachable.has(server)) throw new LumeoError("LUMEO_UNAVAILABLE", "it is away");
    const all = [...(this.stores.get(server)?.values() ?? [])];
    all.sort((a, b) => a.handle - b.handle);
    return all.filter(({ handle }) => after < handle).slice(0, limit);
  }

  async held(server: number, handles: readonly number[]) {
    this.#asked();
    if (this.unreachable.has(server)) throw new LumeoError("LUMEO_UNAVAILABLE", "it is away");
    const found = handles.flatMap((handle) => this.stores.get(server)?.get(handle) ?? []);
    return { replicas: new Map(found.map((facts) => [facts.handle, facts])), rounds: this.rounds };
  }

  get rounds(): InventoryRounds {
    const { roundMs } = this;
    const begun = 1 + Math.floor(this.#now / roundMs);
    if (this.isTelling)
      return { begun, whole: begun - 1, sinceWholeMs: this.#now % roundMs, roundMs };
    return { begun, whole: 0, sinceWholeMs: 600_000 + this.#now, roundMs };
  }

  async judge(server: number, replicas: readonly ReplicaFacts[]) {
    this.#asked();
    return replicas.map(({ handle }): ReplicaStanding => {
      const said = this.standings.get(`${server}/${handle}`);
      if (said !== undefined) return said;
      const members = this.table.get(handle)?.members ?? [];
      return members.some(({ id }) => id === server) ? "member" : "garbage";
    });
  }

  async read(handles: readonly number[]): Promise<ReadonlyMap<number, readonly CopyReading[]>> {
    this.reads.push(handles.length);
    const chunks = handles.flatMap((handle) => this.table.get(handle) ?? []);
    return new Map(
      chunks.map((chunk) => [chunk.handle, chunk.members.map((one) => this.#copy(chunk, one))]),
    );
  }

  #copy({ handle }: AuditedChunk, { id, name }: AuditedMember): CopyReading {
    const finding = this.bad.has(`${id}/${handle}`) ? "bad" : "intact";
    return { id, name, finding, why: finding === "bad" ? "block 3" : "" };
  }

  async pause(ms: number): Promise<void> {
    this.#now += ms;
    this.#asked();
  }

  nowMs(): number {
    return this.#now;
  }
}

async function run(source: AuditSource, options = OPTIONS): Promise<readonly FsckEvent[]> {
  const events: FsckEvent[] = [];
  for await (const event of new ReplicaAudit(source, options).run()) events.push(event);
  return events;
}

async function findings(source: AuditSource, options = OPTIONS): Promise<readonly FsckFinding[]> {
  const events = await run(source, options);
  return events.flatMap((event) => (event.kind === "finding" ? [event.finding] : []));
}

test("a sound cluster has no findings, and all of it was looked at", async (t) => {
  const cluster = new FakeCluster([64, 65, 66, 67, 70, 200, 201]);
  const events = await run(cluster, { ...OPTIONS, bytes: true });
  t.deepEqual(
    events.filter(({ kind }) => kind !== "progress"),
    [],
  );
  const last = events.at(-1);
  t.like(last?.kind === "progress" ? last.progress : {}, { chunks: 7, replicas: 21, bytes: 700 });
});

test("missing, damaged, stale and other replicas are found, each on its server", async (t) => {
  const cluster = new FakeCluster([64, 65, 66, 67, 68, 69, 70]);
  cluster.stores.get(1)?.delete(64);
  cluster.change(2, 65, { damaged: true });
  cluster.change(3, 66, { lengthBytes: 99 });
  cluster.change(1, 67, { crc32c: 1 });
  cluster.table.set(68, { ...chunkOf(68), epoch: 2 });
  for (const server of [1, 2]) cluster.change(server, 68, { epoch: 2 });
  cluster.change(3, 69, { epoch: 5 });
  const found = await findings(cluster);
  t.deepEqual(found.map(({ fault, handle, server }) => [handle, server, fault]).sort(), [
    [64, "cs1", "missing"],
    [65, "cs2", "corrupt"],
    [66, "cs3", "wrongLength"],
    [67, "cs1", "wrongChecksum"],
    [68, "cs3", "stale"],
    [69, "cs3", "newer"],
  ]);
  t.regex(found[0]?.wayOut ?? "", /lumeo chunk verify 6\d /);
});

test("of a coded chunk each server has to have its own unit, and nothing where that is empty", async (t) => {
  const cluster = new FakeCluster([64, 70]);
  for (const handle of [65, 66, 67, 68, 69]) cluster.commit(codedOf(handle));
  t.deepEqual(await findings(cluster), []);
  cluster.stores.get(1)?.delete(65);
  cluster.change(2, 66, { lengthBytes: 41 });
  cluster.change(4, 67, { crc32c: 10 * 67 + 1 });
  cluster.change(4, 68, { damaged: true });
  cluster.put(3, chunkOf(69, [3]));
  cluster.standings.set("3/69", "garbage");
  const found = await findings(cluster);
  t.deepEqual(found.map(({ fault, handle, server }) => [handle, server, fault]).sort(), [
    [65, "cs1", "missing"],
    [66, "cs2", "wrongLength"],
    [67, "cs4", "wrongChecksum"],
    [68, "cs4", "corrupt"],
    [69, "cs3", "orphan"],
  ]);
});

test("what the masters keep is nowhere else, and is told of if they say twice that it is bad", async (t) => {
  const cluster = new FakeCluster([70]);
  const inline = (handle: number, inlineFault: string) => {
    cluster.table.set(handle, { ...chunkOf(handle, []), inlineFault });
  };
  inline(64, "");
  inline(65, "3 bytes are there, expected 100");
  inline(66, "nothing is there");
  cluster.table.set(67, { ...chunkOf(67, []), inlineFault: "it goes anyway", isReleased: true });
  cluster.events.set(2, () => inline(66, "")); // the first question was for the page
  cluster.pageSize = 10;
  const events = await run(cluster, { ...OPTIONS, bytes: true });
  const found = events.flatMap((one) => (one.kind === "finding" ? [one.finding] : []));
  t.deepEqual(
    found.map(({ fault, handle, server, what }) => [fault, handle, server, what]),
    [["inlineBytes", 65, undefined, "3 bytes are there, expected 100"]],
  );
  t.regex(found[0]?.wayOut ?? "", /lumeo verify PATH/);
});

test("with bytes, a replica is read whose server takes it for good", async (t) => {
  const cluster = new FakeCluster([64, 65]);
  cluster.bad.add("2/65");
  t.deepEqual(await findings(cluster), []);
  const found = await findings(cluster, { ...OPTIONS, bytes: true });
  t.like(found[0], { fault: "corrupt", handle: 65, server: "cs2", what: "block 3" });
});

test("what belongs to no chunk is explained, or called an orphan when it does not go", async (t) => {
  const cluster = new FakeCluster([64]);
  for (const handle of [63, 65, 66, 67, 68]) cluster.put(4, chunkOf(handle));
  cluster.standings.set("4/63", "granted");
  cluster.standings.set("4/65", "released");
  cluster.standings.set("4/66", "moveTarget");
  cluster.standings.set("4/67", "newer");
  const found = await findings(cluster);
  t.deepEqual(
    found.map(({ fault, handle }) => [fault, handle]),
    [
      ["newer", 67],
      ["orphan", 68],
    ],
  );
});

test("what nobody needs is no finding if it goes in time", async (t) => {
  const cluster = new FakeCluster([64]);
  cluster.put(4, chunkOf(65));
  cluster.pause = async () => {
    cluster.stores.get(4)?.delete(65);
  };
  t.deepEqual(await findings(cluster), []);
});

test("nothing that happens between any two questions gives a false alarm", async (t) => {
  const happenings: readonly ((cluster: FakeCluster) => void)[] = [
    // Committed, with all its replicas.
    (cluster) => cluster.commit(chunkOf(68)),
    // Released and forgotten, and its replicas are gone.
    (cluster) => cluster.forget(66),
    // Moved from one server to another.
    (cluster) => {
      cluster.stores.get(2)?.delete(65);
      cluster.commit(chunkOf(65, [1, 3, 4]));
    },
    // Released: its replicas go one by one.
    (cluster) => {
      cluster.table.set(67, { ...chunkOf(67), isReleased: true });
      cluster.stores.get(3)?.delete(67);
    },
    // Made again where it was damaged.
    (cluster) => cluster.change(1, 64, { damaged: false }),
  ];
  for (const happen of happenings) {
    for (let at = 1; at < 40; at++) {
      const cluster = new FakeCluster([64, 65, 66, 67, 70, 71]);
      cluster.events.set(at, () => happen(cluster));
      t.deepEqual(await findings(cluster), [], `before question ${at}`);
      if (cluster.questions < at) break;
    }
  }
});

test("many suspicions share their questions, and chunks are read together within bounds", async (t) => {
  const handles = Array.from({ length: 1_200 }, (_, i) => 64 + i);
  const cluster = new FakeCluster(handles);
  cluster.pageSize = 1_000;
  for (const handle of handles) cluster.change(2, handle, { crc32c: 1 });
  const large = { lengthBytes: 3 * 2 ** 20 };
  for (const handle of handles.slice(0, 5)) {
    cluster.table.set(handle, { ...chunkOf(handle), ...large });
  }
  const found = await findings(cluster, { ...OPTIONS, bytes: true });
  t.is(found.length, 1_200);
  t.true(found.every(({ fault, server }) => fault === "wrongChecksum" && server === "cs2"));
  // Two pages of chunks, one of each server, and three questions for each 500 suspicions.
  t.is(cluster.questions, 2 + 4 + 3 * 3);
  // 1,000 chunks of the first page, of which the first five are large, and 200 of the second.
  const full = (count: number): number[] => Array.from({ length: count }, () => 16);
  t.deepEqual(cluster.reads, [1, 1, 1, 1, ...full(62), 4, ...full(12), 8]);
});

test("a copy that is wrong by one reading only is no finding", async (t) => {
  const cluster = new FakeCluster([65]);
  cluster.change(2, 65, { crc32c: 1 });
  cluster.events.set(6, () => {
    // Between the server's answer and the last reading: what it has is right from now on.
    const chunk = chunkOf(65);
    const members = chunk.members.map((one) => (one.id === 2 ? { ...one, crc32c: 1 } : one));
    cluster.table.set(65, { ...chunk, members });
  });
  t.deepEqual(await findings(cluster), []);
  t.true(6 < cluster.questions);
});

test("it ends where chunks ended when it began, though writers are faster", async (t) => {
  const cluster = new FakeCluster([64, 65, 66, 67, 70, 200]);
  cluster.grantedUpto = 255;
  cluster.stores.get(2)?.delete(200);
  const chunks = cluster.chunks.bind(cluster);
  let pages = 0;
  cluster.chunks = async (after) => {
    const page = await chunks(after);
    const fresh = pages < 100 ? cluster.pageSize : 0;
    for (let i = 0; i < fresh; i++) cluster.commit(chunkOf(256 + pages * 10 + i));
    pages++;
    cluster.grantedUpto += 10;
    return page;
  };
  const found = await findings(cluster);
  t.deepEqual(
    found.map(({ fault, handle }) => [fault, handle]),
    [["missing", 200]],
  );
  t.true(pages < 5, `${pages} pages`);
});

test("what is missing is no finding if its chunk goes, or moves, before the last look at it", async (t) => {
  const happenings: readonly ((cluster: FakeCluster) => void)[] = [
    (cluster) => cluster.forget(65),
    (cluster) => cluster.table.set(65, { ...chunkOf(65), isReleased: true }),
    (cluster) => cluster.commit(chunkOf(65, [1, 3, 4])),
  ];
  for (const happen of happenings) {
    for (let at = 1; ; at++) {
      const cluster = new FakeCluster([65]);
      cluster.stores.get(2)?.delete(65);
      cluster.events.set(at, () => happen(cluster));
      const found = await findings(cluster);
      if (cluster.questions < at) break; // nothing has happened
      t.deepEqual(found, [], `before question ${at}`);
    }
  }
});

test("a server that does not answer is named once, and the others are checked", async (t) => {
  const cluster = new FakeCluster([64, 65, 66, 67]);
  cluster.unreachable.add(2);
  cluster.stores.get(3)?.delete(66);
  const events = await run(cluster);
  const unchecked = events.filter(({ kind }) => kind === "unchecked");
  t.deepEqual(unchecked, [
    { kind: "unchecked", subject: "cs2", why: "4 copies there: it is away" },
  ]);
  const faults = events.flatMap((one) => (one.kind === "finding" ? [one.finding.fault] : []));
  t.deepEqual(faults, ["missing"]);
});

test("copies on servers that are lost or gone are too few, not unknown", async (t) => {
  const cluster = new FakeCluster([64]);
  cluster.unreachable.add(2);
  cluster.list = cluster.list.filter(({ id }) => id !== 3);
  cluster.list = cluster.list.map((one) => (one.id === 2 ? { ...one, isLost: true } : one));
  const found = await findings(cluster);
  t.deepEqual(found.map(({ fault, server, what }) => [fault, server, what]).sort(), [
    ["underReplicated", "cs2", "cs2 is lost"],
    ["underReplicated", "cs3", "cs3 is gone"],
  ]);
});
