// Violations are planted into a cluster that is a map: the audit must see every one.

import test from "ava";
import { type AuditedCluster, type AuditedFile, audit, type Finding } from "./audit.js";
import { bytesOf, type Content } from "./content.js";
import { Expectations } from "./expectations.js";
import type { JournalLine, Operation, OperationEnd } from "./journal.js";

const CHUNK_BYTES = 1000;
const OLD: Content = { seed: 1, size: 2_500 };
const NEW: Content = { seed: 2, size: 2_500 };
const OTHER: Content = { seed: 3, size: 700 };
const EMPTY: Content = { seed: 4, size: 0 };

/** Files with three replicas of each chunk. */
class Plain implements AuditedCluster {
  readonly files = new Map<string, Uint8Array>();
  readonly kept = new Map<string, readonly string[]>();
  /** What one server has in the place of a chunk: "path/number" on "cs1". */
  readonly planted = new Map<string, Uint8Array>();
  readonly unlisted = new Set<string>();

  async put(path: string, content: Content): Promise<void> {
    this.files.set(path, await bytesOf(content));
  }

  async open(path: string): Promise<AuditedFile | undefined> {
    const bytes = this.files.get(path);
    if (bytes === undefined) return undefined;
    const count = Math.ceil(bytes.byteLength / CHUNK_BYTES);
    const chunks = Array.from({ length: count }, (_, i) => {
      const part = bytes.slice(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
      const planted = this.planted.get(`${path}/${i}`);
      const replicas = ["cs1", "cs2", "cs3"].map((name) => ({
        name,
        read: () => once(name === "cs1" ? (planted ?? part) : part),
      }));
      return { handle: i + 1, length: part.byteLength, replicas };
    });
    return { size: bytes.byteLength, bytes: once(bytes), chunks };
  }

  async *list(directory: string): AsyncGenerator<{ path: string; size: number }> {
    const isAll = directory === "/";
    for (const [path, { byteLength: size }] of this.files) {
      const isIn = isAll ? !path.includes("/.snapshot/") : path.startsWith(`${directory}/`);
      if (isIn && !this.unlisted.has(path)) yield { path, size };
    }
  }

  async snapshots(directory: string): Promise<readonly string[]> {
    return this.kept.get(directory) ?? [];
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function journal(...deeds: readonly (readonly [Operation, OperationEnd])[]): Expectations {
  return new Expectations(
    deeds.flatMap(([op, end], n): readonly JournalLine[] => [
      { n, op },
      { n, end },
    ]),
  );
}

function put(path: string, content: Content | undefined): Operation {
  return { kind: "change", effects: [{ path, content }] };
}

function rename(source: string, target: string, content: Content): Operation {
  const effects = [
    { path: source, content: undefined },
    { path: target, content },
  ];
  return { kind: "change", effects };
}

/** Old content replaced by new, a file removed, an empty file, a snapshot before all that. */
const HISTORY = journal(
  [put("/d/f", OLD), "ok"],
  [put("/d/gone", OTHER), "ok"],
  [{ kind: "snapshot", directory: "/d", name: "s" }, "ok"],
  [put("/d/f", NEW), "ok"],
  [put("/d/gone", undefined), "ok"],
  [put("/d/empty", EMPTY), "ok"],
);

async function whole(): Promise<Plain> {
  const cluster = new Plain();
  await cluster.put("/d/f", NEW);
  await cluster.put("/d/empty", EMPTY);
  cluster.kept.set("/d", ["s"]);
  await cluster.put("/d/.snapshot/s/f", OLD);
  await cluster.put("/d/.snapshot/s/gone", OTHER);
  return cluster;
}

async function findings(
  plant: (cluster: Plain) => unknown,
  expected = HISTORY,
): Promise<readonly Finding["kind"][]> {
  const cluster = await whole();
  await plant(cluster);
  return (await audit(cluster, expected)).findings.map(({ kind }) => kind);
}

test("A cluster that is as it must be has no findings, and everything was compared", async (t) => {
  const { findings: found, ...figures } = await audit(await whole(), HISTORY);
  t.deepEqual(found, []);
  t.deepEqual(figures, {
    filesCompared: 4,
    bytesCompared: 2_500 + 2_500 + 700,
    replicasCompared: 3 * (3 + 3 + 1),
    codedChunksCompared: 0,
    replicaBytesCompared: 3 * (2_500 + 2_500 + 700),
    absencesChecked: 2,
    doubtsSettled: 0,
    snapshotsCompared: 1,
    recordsCompared: 0,
  });
});

test("The audit sees a lost file", async (t) => {
  t.deepEqual(await findings((cluster) => cluster.files.delete("/d/f")), ["lost"]);
});

test("The audit sees one flipped bit, a lost byte, and one too many", async (t) => {
  const change = (make: (bytes: Uint8Array) => Uint8Array) => (cluster: Plain) => {
    cluster.files.set("/d/f", make(cluster.files.get("/d/f") as Uint8Array));
  };
  const flip = (bytes: Uint8Array): Uint8Array =>
    bytes.map((byte, i) => (i === 7 ? byte ^ 1 : byte));
  const shorten = (bytes: Uint8Array): Uint8Array => bytes.subarray(0, -1);
  const lengthen = (bytes: Uint8Array): Uint8Array => Buffer.concat([bytes, bytes.subarray(0, 1)]);
  for (const make of [flip, shorten, lengthen]) {
    t.deepEqual(await findings(change(make)), ["torn", "listing"]);
  }
});

test("The audit sees a file torn between two contents that were both stored", async (t) => {
  const torn = async (cluster: Plain): Promise<void> => {
    const [before, after] = [await bytesOf(OLD), await bytesOf(NEW)];
    cluster.files.set("/d/f", Buffer.concat([after.subarray(0, 1000), before.subarray(1000)]));
  };
  t.deepEqual(await findings(torn), ["torn", "listing"]);
});

test("The audit sees a lost overwrite: the earlier content is whole and stale", async (t) => {
  t.deepEqual(await findings((cluster) => cluster.put("/d/f", OLD)), ["stale", "listing"]);
});

test("The audit sees a resurrected file, and one that nobody stored", async (t) => {
  t.deepEqual(await findings((cluster) => cluster.put("/d/gone", OTHER)), [
    "resurrected",
    "listing",
  ]);
  t.deepEqual(await findings((cluster) => cluster.put("/strange", OTHER)), ["listing"]);
});

test("The audit sees one replica of one chunk that differs, is short, or is another's", async (t) => {
  const wrong = [new Uint8Array(CHUNK_BYTES), (await bytesOf(NEW)).subarray(1000, 1999)];
  for (const bytes of wrong) {
    const found = await findings((cluster) => cluster.planted.set("/d/f/1", bytes));
    t.deepEqual(found, ["replica"]);
  }
});

test("The audit sees a snapshot that changed, lost a file, or is not there", async (t) => {
  const path = "/d/.snapshot/s/f";
  t.deepEqual(await findings((cluster) => cluster.put(path, NEW)), ["stale", "listing"]);
  t.deepEqual(await findings((cluster) => cluster.files.delete(path)), ["lost"]);
  t.deepEqual(await findings((cluster) => cluster.kept.clear()), ["lost"]);
});

test("The audit sees a file that the listing leaves out", async (t) => {
  t.deepEqual(await findings((cluster) => cluster.unlisted.add("/d/f")), ["listing"]);
});

test("A rename of unknown outcome is right as a whole, and wrong by half", async (t) => {
  const expected = journal([put("/a", OTHER), "ok"], [rename("/a", "/b", OTHER), "unknown"]);
  const found = async (...paths: readonly string[]): Promise<readonly Finding["kind"][]> => {
    const cluster = new Plain();
    for (const path of paths) await cluster.put(path, OTHER);
    return (await audit(cluster, expected)).findings.map(({ kind }) => kind);
  };
  t.deepEqual(await found("/a"), []);
  t.deepEqual(await found("/b"), []);
  t.deepEqual(await found("/a", "/b"), ["halved"]);
  t.deepEqual(await found(), ["halved"]);
});

test("An outcome that nobody knows may be either, but nothing else", async (t) => {
  const expected = journal([put("/f", OLD), "ok"], [put("/f", NEW), "unknown"]);
  const found = async (content: Content): Promise<readonly Finding["kind"][]> => {
    const cluster = new Plain();
    await cluster.put("/f", content);
    return (await audit(cluster, expected)).findings.map(({ kind }) => kind);
  };
  t.deepEqual(await found(OLD), []);
  t.deepEqual(await found(NEW), []);
  t.deepEqual(await found(OTHER), ["torn", "listing"]);
});
