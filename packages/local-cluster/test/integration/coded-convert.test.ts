// Files become coded ones and copies again on real processes, while they are read all the time:
// two chunkservers and the leading master are killed in the middle, every byte that is read is
// right, and in the end the disks have what they should have and nothing else.

import { type JobInfo, Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";
import { someBytes } from "./some-bytes.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const KiB = 2 ** 10;
const MiB = 2 ** 20;
/** A loss is believed soon, and what is not needed goes soon, so that nobody waits for minutes. */
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "120000",
  LUMEO_MASTER_RELEASED_GRACE_MS: "3000",
  LUMEO_MASTER_SWEEP_MS: "500",
  LUMEO_MASTER_GRANT_USABLE_MS: "8000",
  LUMEO_MASTER_GRANT_MS: "16000",
  LUMEO_MASTER_CONVERT_LOOK_MS: "500",
  LUMEO_MASTER_CONVERT_REST_MS: "2000",
  LUMEO_MASTER_CONVERT_BYTES_PER_SECOND: String(2 * MiB),
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "500",
  LUMEO_CHUNKSERVER_TAIL_IDLE_MS: "1000",
};
/** With units without bytes, in records and in files of their own, in one chunk and in several. */
const SIZES = [1, 100, 5_000, 64 * KiB, 300 * KiB, MiB + 1, 3 * MiB, 5 * MiB + 77];
const FILES = 16;
const CHUNK_SIZE = 2 * MiB;
/** Times that every file is read while a tree is converted. */
const LOOKS_MIN = 2;

interface Chunk {
  readonly handle: number;
  readonly lengthBytes: number;
  readonly orphan: boolean;
  readonly coding?: { readonly data: number } | null;
  readonly replicas: readonly { readonly name: string; readonly server: number }[];
}

type Test = ExecutionContext<{ drill: Drill }>;

test.beforeEach(async (t) => {
  t.context = { drill: await Drill.start({ masters: 3, chunkservers: 8 }, ENVIRONMENT) };
});
test.afterEach.always(async (t) => {
  await t.context.drill.stop();
});

function clientOf(t: Test): Lumeo {
  return new Lumeo({ endpoints: [...t.context.drill.cluster.endpoints] });
}

/** The last conversion. */
async function job(client: Lumeo): Promise<JobInfo | undefined> {
  const jobs = await client.healing.jobs();
  return jobs.filter(({ kind }) => kind === "convert").at(-1);
}

/** Reads files all the time and compares every byte, until it is told to stop. */
class Reader {
  readonly #files: ReadonlyMap<string, Uint8Array>;
  readonly #stopping = new AbortController();
  readonly #reading: Promise<void>;
  rounds = 0;
  readonly faults: string[] = [];

  constructor(t: Test, files: ReadonlyMap<string, Uint8Array>) {
    this.#files = files;
    this.#reading = this.#read(t);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#reading;
  }

  async #read(t: Test): Promise<void> {
    await using client = clientOf(t);
    while (!this.#stopping.signal.aborted) {
      for (const [path, bytes] of this.#files) {
        if (this.#stopping.signal.aborted) return;
        try {
          const got = await (await client.get(path)).bytes();
          if (Buffer.compare(got, bytes) !== 0) this.faults.push(`${path}: other bytes`);
        } catch (error) {
          this.faults.push(`${path}: ${(error as Error).message}`);
        }
      }
      this.rounds++;
    }
  }
}

/** What the disks have is what the chunks need, and nothing else. */
async function nothingLeaked(t: Test, what: string): Promise<void> {
  const { drill } = t.context;
  await drill.until(t, `${what}: no chunk without a file`, async () => {
    return (await drill.json<Chunk>(t, ["chunk", "ls", "--orphan"])).length === 0;
  });
  await drill.until(t, `${what}: the replicas that are needed, and no others`, async () => {
    const chunks = await drill.json<Chunk>(t, ["chunk", "ls"]);
    const needed = chunks.reduce((sum, chunk) => sum + holdersOf(chunk), 0);
    const { chunkservers } = await drill.status(t);
    return chunkservers.reduce((sum, one) => sum + one.chunks, 0) === needed;
  });
  t.is((await drill.run(["fsck", "--bytes"])).status, 0, what);
}

/** Servers that hold bytes of a chunk: short chunks have units without any. */
function holdersOf({ coding, lengthBytes, replicas }: Chunk): number {
  if (coding == null) return replicas.length;
  const share = Math.ceil(Math.ceil(lengthBytes / coding.data) / 64) * 64;
  const data = Math.min(coding.data, Math.ceil(lengthBytes / share));
  return data + replicas.length - coding.data;
}

interface Shown {
  readonly etag: string;
  readonly modified: string;
  readonly version: string;
}

async function shown(client: Lumeo, paths: Iterable<string>): Promise<readonly Shown[]> {
  const all: Shown[] = [];
  for (const path of paths) {
    const { etag = "", modifiedAt, version = "" } = await client.stat(path);
    all.push({ etag, modified: modifiedAt.toISOString(), version });
  }
  return all;
}

async function layouts(client: Lumeo, paths: Iterable<string>): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const path of paths) {
    const { layout = "", chunks = [] } = await client.stat(path, { chunks: true });
    for (const one of [layout, ...chunks.map((chunk) => chunk.layout ?? "")]) found.add(one);
  }
  return [...found];
}

test.serial(
  "a tree is converted there and back under readers, kills and a new leader",
  async (t) => {
    const { drill } = t.context;
    const files = new Map<string, Uint8Array>();
    await using client = clientOf(t);
    for (let i = 0; i < FILES; i++) {
      const bytes = someBytes(i, SIZES[i % SIZES.length] ?? 1);
      const path = `/tree/d${i % 4}/f${i}`;
      await client.put(path, bytes, { chunkSize: CHUNK_SIZE, inline: false });
      files.set(path, bytes);
    }
    const tree = [...files.keys()];
    const [first = ""] = tree.slice(-1);
    await client.copy(first, "/copy");
    files.set("/copy", files.get(first) as Uint8Array);
    await drill.ok(t, ["snapshot", "create", "/tree", "before"]);
    const before = await shown(client, tree);

    const readers = [new Reader(t, files), new Reader(t, files)];
    await drill.ok(t, ["ec-convert", "-r", "/tree", "--to", "4+2"]);
    await drill.until(
      t,
      "some chunks that are coded",
      async () => 3 <= ((await job(client))?.doneChunks ?? 0),
    );
    t.is((await job(client))?.state, "running", "it is still in the middle");
    for (const name of ["cs1", "cs2"]) await drill.cluster.kill(name);
    const at = (await job(client))?.doneChunks ?? 0;
    await drill.until(
      t,
      "progress without them",
      async () => at < ((await job(client))?.doneChunks ?? 0),
    );
    await drill.cluster.kill(await drill.leader(t));
    await drill.until(t, "a new leader that goes on", async () => {
      const now = await job(client);
      return now?.state === "done" || at + 2 < (now?.doneChunks ?? 0);
    });
    await drill.cluster.revive();
    await drill.until(t, "a job that is done", async () => (await job(client))?.state === "done");
    await drill.until(t, "readers that have seen it", () =>
      readers.every(({ rounds }) => LOOKS_MIN <= rounds),
    );
    for (const reader of readers) await reader.stop();
    t.deepEqual(
      readers.flatMap(({ faults }) => faults),
      [],
    );
    t.deepEqual(await layouts(client, tree), ["4+2"]);
    t.deepEqual(await shown(client, tree), before);
    await nothingLeaked(t, "when coded");
    for (const path of tree) {
      const { size = 0, bytesOnDisk = 0 } = await client.stat(path, { chunks: true });
      if (5_000 <= size) t.true(bytesOnDisk <= 1.5 * size + 6 * 64 * 4, `${path}: ${bytesOnDisk}`);
    }

    const again = [new Reader(t, files)];
    await drill.ok(t, ["ec-convert", "-r", "/tree", "--to", "replicated"]);
    await drill.until(t, "copies again", async () => {
      const now = await job(client);
      return now?.state === "done" && 0 < now.doneChunks;
    });
    await drill.until(t, "a reader that has seen it", () => LOOKS_MIN <= (again[0]?.rounds ?? 0));
    for (const reader of again) await reader.stop();
    t.deepEqual(
      again.flatMap(({ faults }) => faults),
      [],
    );
    t.deepEqual(await layouts(client, tree), ["replicated"]);
    t.deepEqual(await shown(client, tree), before);
    for (const [path, bytes] of files) {
      const old = path.replace("/tree/", "/tree/.snapshot/before/");
      const got = await (await client.get(old)).bytes();
      t.is(Buffer.compare(got, bytes), 0, old);
    }
    await nothingLeaked(t, "when copies again");
  },
);

test.serial("policies code what is old, and what was appended to a coded file", async (t) => {
  const { drill } = t.context;
  await using client = clientOf(t);
  await drill.ok(t, ["mkdir", "/old"]);
  await drill.ok(t, ["policy", "set", "/old", "--ec-after", "1s"]);
  const large = someBytes(1, 2 * MiB);
  const small = someBytes(2, 10 * KiB);
  await client.put("/old/large", large);
  await client.put("/old/small", small);
  await drill.until(t, "the large one coded", async () => {
    return (await layouts(client, ["/old/large"])).every((layout) => layout === "4+2");
  });
  t.deepEqual(await layouts(client, ["/old/small"]), ["replicated"]);
  const [stays = ""] = await layouts(client, ["/old/large"]);
  t.is(stays, "4+2");

  const log = someBytes(3, MiB + 5);
  await client.put("/log", log, { code: "4+2" });
  const records = [someBytes(4, 100), someBytes(5, 300 * KiB)];
  for (const record of records) await client.append("/log", record);
  const whole = Buffer.concat([log, ...records]);
  t.is(Buffer.compare(await (await client.get("/log")).bytes(), whole), 0);
  await drill.until(t, "what was appended coded", async () => {
    const { size, chunks = [] } = await client.stat("/log", { chunks: true });
    const isCoded = chunks.every((chunk) => chunk.layout === "4+2");
    return size === whole.byteLength && 2 <= chunks.length && isCoded;
  });
  t.is(Buffer.compare(await (await client.get("/log")).bytes(), whole), 0);
  t.is(Buffer.compare(await (await client.get("/old/large")).bytes(), large), 0);
  await nothingLeaked(t, "after policies");
});

test.serial("a reading that outlasts two conversions and their grace goes on", async (t) => {
  const { drill } = t.context;
  await using client = clientOf(t);
  const bytes = someBytes(9, 40 * MiB);
  await client.put("/long", bytes, { chunkSize: 4 * MiB });
  const { chunks = [] } = await client.stat("/long", { chunks: true });
  const before = chunks.map(({ handle }) => handle);
  const reading = (await client.get("/long"))[Symbol.asyncIterator]();
  const pieces: Uint8Array[] = [];
  const first = await reading.next();
  if (first.done !== true) pieces.push(Uint8Array.from(first.value));
  for (const to of ["4+2", "replicated"]) {
    await drill.ok(t, ["ec-convert", "/long", "--to", to, "--wait"]);
    await drill.until(t, "chunks that nobody has to be gone", async () => {
      return (await drill.json<Chunk>(t, ["chunk", "ls", "--orphan"])).length === 0;
    });
  }
  const after = await drill.json<Chunk>(t, ["chunk", "ls"]);
  t.false(after.some(({ handle }) => before.includes(handle)));
  for (let next = await reading.next(); next.done !== true; next = await reading.next()) {
    pieces.push(Uint8Array.from(next.value));
  }
  t.is(Buffer.compare(Buffer.concat(pieces), bytes), 0);
  await nothingLeaked(t, "after a long reading");
});

test.serial("what cannot be converted is refused with a reason", async (t) => {
  const { drill } = t.context;
  await using client = clientOf(t);
  await client.put("/d/f", someBytes(1, 100), { inline: false });
  const refused = async (args: readonly string[], why: RegExp): Promise<void> => {
    const { status, stderr } = await drill.run(["ec-convert", ...args]);
    t.not(status, 0);
    t.regex(stderr, why);
  };
  await refused(["/nowhere", "--to", "4+2"], /does not exist/);
  await refused(["/d", "--to", "4+2"], /it is a directory; say that all below it is meant/);
  await refused(
    ["/d/f", "--to", "raid"],
    /must be "replicated", "replicated:3", or a code such as "4\+2"/,
  );
  await refused(["/d/f", "--to", "8+3"], /8\+3 needs 11 chunkservers that take chunks, and 8 of 8/);
  await drill.ok(t, ["ec-convert", "/d/f", "--to", "4+2", "--wait"]);
  t.deepEqual(await layouts(client, ["/d/f"]), ["4+2"]);
  await drill.ok(t, ["policy", "set", "/d", "--ec-after", "1d"]);
  await refused(["/d/f", "--to", "replicated"], /its policy codes files again when they are old/);
  await drill.ok(t, ["policy", "set", "/d", "--ec-after", "0"]);
  await drill.ok(t, ["ec-convert", "-r", "/d", "--to", "replicated", "--wait"]);
  t.deepEqual(await layouts(client, ["/d/f"]), ["replicated"]);
});
