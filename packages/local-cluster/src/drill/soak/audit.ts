// The audit of a soak: after all faults, a client that knows nothing looks for everything that the
// journal says was acknowledged, and nothing else may be there.
//
// A1. Every file that must be there is read whole, byte by byte, through the client; then every
//     chunk of it once more from each of its replicas, past the client's choice of one.
// A2. What was removed is not there; what may be there or not is one of both.
// A3. An operation of several effects, whose outcome nobody knows, has all of them or none.
// A4. Every snapshot shows its directory as it was at one moment of its making.
// A5. Files that were appended to hold every acknowledged record exactly once.   (appended.ts)
// A6. The listing names exactly the files that were found.

import { compareRecords } from "./appended.js";
import { type Content, contentBytes, recognize } from "./content.js";
import type {
  Doubt,
  Expectations,
  Expected,
  ExpectedRecord,
  ExpectedSnapshot,
} from "./expectations.js";

/** Where one chunk of a file lies. */
export interface AuditedChunk {
  readonly handle: number;
  /** Bytes. */
  readonly length: number;
  /** It is kept as units of a code: then one replica stands for them. */
  readonly isCoded?: boolean;
  readonly replicas: readonly AuditedReplica[];
}

export interface AuditedReplica {
  /** Name of its chunkserver. */
  readonly name: string;
  /** The bytes that this server has, asked of it alone. */
  read(): AsyncIterable<Uint8Array>;
}

export interface AuditedFile {
  /** Bytes. */
  readonly size: number;
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly chunks: readonly AuditedChunk[];
}

/** The cluster as the audit sees it. */
export interface AuditedCluster {
  /** Undefined if it is not there. @throws if that cannot be said, or it cannot be read. */
  open(path: string): Promise<AuditedFile | undefined>;
  /** Every file of a directory and below. */
  list(directory: string): AsyncIterable<{ readonly path: string; readonly size: number }>;
  /** Snapshots of a directory; none if the directory is gone. */
  snapshots(directory: string): Promise<readonly string[]>;
}

/** Something that is not as it must be. */
export interface Finding {
  /**
   * Acknowledged and not there; removed and there again; an earlier content in the place of an
   * acknowledged one; bytes that nobody stored; a record twice, or before one that came earlier; a
   * replica that differs; cannot be read; done by half; in a listing, or missing there.
   */
  readonly kind:
    | "lost"
    | "resurrected"
    | "stale"
    | "torn"
    | "doubled"
    | "disorder"
    | "replica"
    | "unreadable"
    | "halved"
    | "listing";
  readonly text: string;
}

export interface AuditResult {
  readonly filesCompared: number;
  readonly bytesCompared: number;
  readonly replicasCompared: number;
  readonly replicaBytesCompared: number;
  /** Chunks whose units were checked. */
  readonly codedChunksCompared: number;
  readonly absencesChecked: number;
  /** Paths that had more than one possible state. */
  readonly doubtsSettled: number;
  readonly snapshotsCompared: number;
  /** In files that were appended to. */
  readonly recordsCompared: number;
  readonly findings: readonly Finding[];
}

const READS_IN_FLIGHT = 3;

export function audit(cluster: AuditedCluster, expected: Expectations): Promise<AuditResult> {
  return new Audit(cluster, expected).run();
}

class Audit {
  readonly #cluster: AuditedCluster;
  readonly #expected: Expectations;
  readonly #found = new Map<string, Content>();
  readonly #findings: Finding[] = [];
  readonly #figures = {
    filesCompared: 0,
    bytesCompared: 0,
    replicasCompared: 0,
    replicaBytesCompared: 0,
    codedChunksCompared: 0,
    absencesChecked: 0,
    doubtsSettled: 0,
    snapshotsCompared: 0,
    recordsCompared: 0,
  };
  readonly #logs = new Set<string>();

  constructor(cluster: AuditedCluster, expected: Expectations) {
    this.#cluster = cluster;
    this.#expected = expected;
  }

  async run(): Promise<AuditResult> {
    const { paths } = this.#expected;
    await inParallel(paths, async (path) => {
      const possible = this.#expected.possible(path);
      if (1 < new Set(possible.map(nameOf)).size) this.#figures.doubtsSettled++;
      const content = await this.#look(path, possible, this.#expected.everIntended(path));
      if (content !== undefined) this.#found.set(path, content);
    });
    for (const [path, records] of this.#expected.logs) await this.#compareLog(path, records);
    const found = new Set([...this.#found.keys(), ...this.#logs]);
    await this.#compareListing("/", found, () => true);
    for (const doubt of this.#expected.doubts) this.#compareDoubt(doubt);
    for (const snapshot of this.#expected.snapshots) await this.#compareSnapshot(snapshot);
    return { ...this.#figures, findings: this.#findings };
  }

  /** @returns The content, if it is one that may be there. */
  async #look(
    path: string,
    possible: readonly Expected[],
    everIntended: readonly Content[],
  ): Promise<Content | undefined> {
    try {
      const file = await this.#cluster.open(path);
      if (file === undefined) {
        this.#figures.absencesChecked++;
        if (!possible.includes(undefined)) this.#find("lost", `${path} was acknowledged`);
        return undefined;
      }
      const content = await recognize(
        file.bytes,
        unique([...contentsOf(possible), ...everIntended]),
      );
      if (content === undefined) {
        this.#find("torn", `${path} has ${file.size} bytes that were never stored there`);
        return undefined;
      }
      if (!contentsOf(possible).some((one) => isSame(one, content))) {
        const isRemoved = contentsOf(possible).length === 0;
        this.#find(isRemoved ? "resurrected" : "stale", `${path} has an earlier content`);
        return undefined;
      }
      this.#figures.filesCompared++;
      this.#figures.bytesCompared += content.size;
      const parts = contentBytes(
        content,
        file.chunks.map(({ length }) => length),
      );
      await this.#compareReplicas(path, file, content.size, parts);
      return content;
    } catch (error) {
      this.#find("unreadable", `${path}: ${(error as Error).message}`);
      return undefined;
    }
  }

  /** A5, and its replicas; a log may be missing if nothing was acknowledged. */
  async #compareLog(path: string, records: readonly ExpectedRecord[]): Promise<void> {
    const isCertain = records.some(({ end }) => end === "ok");
    try {
      const file = await this.#cluster.open(path);
      if (file === undefined) {
        if (isCertain) this.#find("lost", `${path} has acknowledged records`);
        return;
      }
      this.#logs.add(path);
      const pieces: Uint8Array[] = [];
      for await (const piece of file.bytes) pieces.push(piece.slice());
      const bytes = Buffer.concat(pieces);
      this.#findings.push(...(await compareRecords(path, bytes, records)));
      this.#figures.recordsCompared += records.length;
      this.#figures.filesCompared++;
      this.#figures.bytesCompared += bytes.byteLength;
      await this.#compareReplicas(path, file, bytes.byteLength, cut(bytes, file.chunks));
    } catch (error) {
      this.#find("unreadable", `${path}: ${(error as Error).message}`);
    }
  }

  /** @param parts  The bytes of each chunk. */
  async #compareReplicas(
    path: string,
    file: AuditedFile,
    size: number,
    parts: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<void> {
    const total = sum(file.chunks.map(({ length }) => length));
    if (total !== size) {
      this.#find("replica", `the chunks of ${path} have ${total} bytes, not ${size}`);
      return;
    }
    let next = 0;
    for await (const bytes of parts) {
      const chunk = file.chunks[next++] as AuditedChunk;
      if (chunk.isCoded === true) this.#figures.codedChunksCompared++;
      if (chunk.replicas.length === 0) this.#find("replica", `${path}: a chunk has no replica`);
      for (const replica of chunk.replicas) {
        const wrong = await differs(replica, bytes);
        this.#figures.replicasCompared++;
        this.#figures.replicaBytesCompared += bytes.byteLength;
        if (wrong === undefined) continue;
        this.#find("replica", `chunk ${chunk.handle} of ${path} on ${replica.name}: ${wrong}`);
      }
    }
  }

  async #compareListing(
    root: string,
    found: ReadonlySet<string>,
    isOurs: (path: string) => boolean,
  ): Promise<void> {
    const listed = new Set<string>();
    for await (const { path } of this.#cluster.list(root)) if (isOurs(path)) listed.add(path);
    for (const path of found) {
      if (!listed.has(path)) this.#find("listing", `the listing of ${root} lacks ${path}`);
    }
    for (const path of listed) {
      if (!found.has(path)) this.#find("listing", `${path} is listed and was not found intact`);
    }
  }

  #compareDoubt({ effects }: Doubt): void {
    const told = effects.flatMap(({ path, content }) => {
      const states = new Set(this.#expected.possible(path).map(nameOf));
      // Of a path that was used again, or that looked the same before, it tells nothing.
      const isTelling = states.size === 2 && states.has(nameOf(content));
      return isTelling ? [nameOf(this.#found.get(path)) === nameOf(content)] : [];
    });
    if (new Set(told).size < 2) return;
    const shown = effects.map(({ path }) => path).join(", ");
    this.#find("halved", `an operation on ${shown} has some of its effects only`);
  }

  async #compareSnapshot(snapshot: ExpectedSnapshot): Promise<void> {
    const { directory, name, presence } = snapshot;
    const root = `${directory}/.snapshot/${name}`;
    const names = await this.#cluster.snapshots(directory);
    if (!names.includes(name)) {
      if (presence === "there") this.#find("lost", `snapshot ${root} was acknowledged`);
      return;
    }
    if (presence === "gone") {
      this.#find("resurrected", `snapshot ${root} is there, but was given up`);
      return;
    }
    this.#figures.snapshotsCompared++;
    const found = new Set<string>();
    const below = this.#expected.paths.filter((path) => path.startsWith(`${directory}/`));
    await inParallel(below, async (path) => {
      const kept = `${root}${path.slice(directory.length)}`;
      const intended = this.#expected.everIntended(path);
      if ((await this.#look(kept, snapshot.possible(path), intended)) !== undefined)
        found.add(kept);
    });
    await this.#compareListing(root, found, (path) => path.startsWith(`${root}/`));
  }

  #find(kind: Finding["kind"], text: string): void {
    this.#findings.push({ kind, text });
  }
}

/** How a replica differs from the bytes that it must have; undefined if it does not. */
async function differs(replica: AuditedReplica, bytes: Uint8Array): Promise<string | undefined> {
  let at = 0;
  try {
    for await (const piece of replica.read()) {
      const right = bytes.subarray(at, at + piece.byteLength);
      if (Buffer.compare(piece, right) !== 0) return `other bytes behind ${at}`;
      at += piece.byteLength;
    }
  } catch (error) {
    return (error as Error).message;
  }
  return at === bytes.byteLength ? undefined : `${at} bytes, not ${bytes.byteLength}`;
}

/** Bytes cut into those of each chunk. */
function* cut(bytes: Uint8Array, chunks: readonly AuditedChunk[]): Generator<Uint8Array> {
  let at = 0;
  for (const { length } of chunks) {
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

async function inParallel<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async (): Promise<void> => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await act(item);
  };
  await Promise.all(Array.from({ length: READS_IN_FLIGHT }, worker));
}

function contentsOf(states: readonly Expected[]): readonly Content[] {
  return states.filter((state) => state !== undefined);
}

function unique(contents: readonly Content[]): readonly Content[] {
  return [...new Map(contents.map((one) => [nameOf(one), one])).values()];
}

function isSame(a: Content, b: Content): boolean {
  return a.seed === b.seed && a.size === b.size;
}

function nameOf(state: Expected): string {
  return state === undefined ? "nothing" : `${state.seed}/${state.size}`;
}
