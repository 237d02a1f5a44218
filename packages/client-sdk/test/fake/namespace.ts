// What all masters of a fake cluster know together: files, directories, grants, sessions. Changes
// take effect at once, and a request that comes again gets its first answer.

import { crc32cCombine, LumeoError } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { FakeChunkserver } from "./chunkserver.js";

type Operation = lumeo.master.v1.IOperation;
export type Result = Omit<lumeo.master.v1.IOperationResult, "id">;
type ChunkRef = lumeo.common.v1.ChunkRef.$Properties;

interface FakeFile {
  readonly chunks: readonly ChunkRef[];
  readonly sizeBytes: number;
  readonly crc32c: number;
  readonly chunkSizeBytes: number;
  readonly revision: number;
  readonly code: lumeo.common.v1.Code.$Properties | null;
  /** Of a file that came with its commit. */
  readonly inlineBytes?: Uint8Array;
}

const { FileKind } = lumeo.master.v1;
const { ReplicaRole, ServerState } = lumeo.common.v1;
const GRANT_SLOTS = 64;

export class FakeNamespace {
  readonly files = new Map<string, FakeFile>();
  readonly directories = new Set<string>(["/"]);
  /** Every change that took effect. */
  readonly applied: Operation[] = [];
  readonly damage: { readonly handle: number; readonly serverId: number }[] = [];
  /** Called when an edit of a file has taken effect. */
  afterEdit: (path: string) => void = () => {};
  usableMs = 600_000;
  /** Comes with every location and grant. */
  token = Uint8Array.of(1);
  /** Files of at most so many bytes may come with their commit; what the session says. */
  inlineBytesMax = 0;
  /** Whatever the session says, none is taken. */
  refusesInline = false;
  /** What all directories say. */
  policy: lumeo.master.v1.Policy.$Properties = {};
  /** Servers that the masters take for dead. */
  readonly dead = new Set<number>();
  /** By server. */
  readonly labels = new Map<number, Readonly<Record<string, string>>>();
  readonly #servers: ReadonlyMap<number, FakeChunkserver>;
  readonly #sessions = new Map<number, Map<number, Result>>();
  readonly #uploads = new Map<number, ChunkRef[]>();
  /** Handles that clients will not commit. */
  readonly abandoned = new Set<number>();
  /** Servers of each grant. */
  readonly #grants = new Map<number, readonly number[]>();
  readonly #replicas = new Map<number, readonly number[]>();
  #lastNumber = 0;

  constructor(servers: ReadonlyMap<number, FakeChunkserver>) {
    this.#servers = servers;
  }

  forgetSessions(): void {
    this.#sessions.clear();
  }

  /** Commits of chunks of earlier grants are refused from now on. */
  expireGrants(): void {
    this.#grants.clear();
  }

  /** How often a change of this kind took effect. */
  countOf(kind: keyof Operation): number {
    return this.applied.filter((operation) => operation[kind]).length;
  }

  /** @param kept  What this master has of the files' own bytes, where it is something else. */
  execute(operation: Operation, kept?: Uint8Array): Result {
    if (operation.openSession) {
      const session = ++this.#lastNumber;
      this.#sessions.set(session, new Map());
      const { inlineBytesMax } = this;
      return { sessionOpened: { session, idleMsMax: 60_000, inlineBytesMax } };
    }
    if (operation.stat) return this.#stat(operation.stat, kept);
    if (operation.effectivePolicy) return { policy: this.policy };
    if (operation.list) return this.#list(operation.list);
    return this.#once(operation);
  }

  locate(handle: number): lumeo.common.v1.LocatedChunk.$Properties {
    for (const { chunks, inlineBytes } of this.files.values()) {
      const found = chunks.find((one) => one.handle === handle);
      if (found !== undefined) return this.#located(found, inlineBytes);
    }
    throw new LumeoError("NOT_FOUND", `no chunk ${handle}`);
  }

  #once(operation: Operation): Result {
    const { session = 0, sequence = 0 } = operation.request ?? {};
    const answers = this.#sessions.get(session ?? 0);
    if (answers === undefined) throw new LumeoError("SESSION_EXPIRED", `no session ${session}`);
    const known = answers.get(sequence ?? 0);
    if (known !== undefined) return known;
    const result = this.#change(operation);
    this.applied.push(operation);
    answers.set(sequence ?? 0, result);
    return result;
  }

  #change(operation: Operation): Result {
    if (operation.allocate) return this.#allocate(operation.allocate);
    if (operation.commit) return this.#commit(operation.commit);
    if (operation.editFile) return this.#edit(operation.editFile);
    if (operation.beginUpload) {
      const upload = ++this.#lastNumber;
      this.#uploads.set(upload, []);
      return { uploadBegun: { upload } };
    }
    if (operation.addChunks) return this.#addChunks(operation.addChunks);
    for (const handle of operation.abandonChunks?.handles ?? []) this.abandoned.add(handle);
    if (operation.abortUpload) this.#uploads.delete(operation.abortUpload.upload ?? 0);
    if (operation.makeDirectory) this.directories.add(operation.makeDirectory.path ?? "");
    if (operation.rename) this.#rename(operation.rename);
    if (operation.remove) this.#remove(operation.remove);
    return { done: {} };
  }

  #allocate(ask: lumeo.master.v1.IAllocate): Result {
    const avoid = new Set(ask.avoidServerIds);
    const alive = [...this.#servers.keys()].filter((id) => !this.dead.has(id));
    if (ask.units && alive.length < (ask.replicas ?? 0)) {
      const are = `${alive.length} of ${this.#servers.size} chunkservers are alive`;
      throw new LumeoError("TOO_FEW_SERVERS", `Cannot place ${ask.replicas} units: ${are}`);
    }
    const wanted = [
      ...alive.filter((id) => !avoid.has(id)),
      ...alive.filter((id) => avoid.has(id)),
    ];
    const count = Math.max(ask.replicas ?? 0, alive.length - avoid.size);
    const grants = Array.from({ length: ask.grants ?? 0 }, (_, turn) => {
      const candidates = wanted.slice(0, count);
      const start = turn % candidates.length;
      const rotated = [...candidates.slice(start), ...candidates.slice(0, start)];
      const members = rotated.slice(0, ask.replicas ?? 0);
      const grant = ++this.#lastNumber;
      this.#grants.set(grant, members);
      return {
        firstHandle: grant * GRANT_SLOTS,
        handleCount: ask.handles ?? 0,
        epoch: 1,
        replicas: members.map((id, position) => this.#replica(id, position)),
        usableMs: this.usableMs,
        token: this.token,
      };
    });
    return { allocated: { grants } };
  }

  #seal(chunks: readonly ChunkRef[]): void {
    for (const { handle } of chunks) {
      if (this.abandoned.has(handle ?? 0)) throw new LumeoError("GRANT_EXPIRED", "abandoned");
      const members = this.#grants.get(Math.floor((handle ?? 0) / GRANT_SLOTS));
      if (members === undefined) throw new LumeoError("GRANT_EXPIRED", `no grant for ${handle}`);
      this.#replicas.set(handle ?? 0, members);
    }
  }

  #addChunks({ upload, first, chunks }: lumeo.master.v1.IAddChunks): Result {
    const added = this.#uploads.get(upload ?? 0);
    if (added === undefined || added.length !== first) throw new LumeoError("CONFLICT", "position");
    this.#seal(chunks ?? []);
    added.push(...(chunks ?? []));
    return { done: {} };
  }

  #commit(ask: lumeo.master.v1.ICommit): Result {
    const path = ask.path ?? "";
    const old = this.files.get(path);
    if (ask.precondition?.absent && old !== undefined) throw new LumeoError("EXISTS", path);
    const revision = ask.precondition?.revision ?? 0;
    if (revision !== 0 && old?.revision !== revision) throw new LumeoError("PRECONDITION", path);
    const inlineBytes = ask.inlineBytes?.byteLength ? ask.inlineBytes : undefined;
    if (this.refusesInline && inlineBytes) throw new LumeoError("INLINE_REFUSED", "no");
    this.#seal(ask.chunks ?? []);
    const inline = inlineBytes ? [this.#inlineChunk(ask)] : [];
    const uploaded = this.#uploads.get(ask.upload ?? 0) ?? [];
    const chunks = [...inline, ...uploaded, ...(ask.chunks ?? [])];
    const sizeBytes = chunks.reduce((sum, { lengthBytes }) => sum + (lengthBytes ?? 0), 0);
    const { crc32c, chunkSizeBytes, code } = ask;
    this.files.set(path, {
      chunks,
      sizeBytes,
      crc32c: crc32c ?? 0,
      chunkSizeBytes: chunkSizeBytes ?? 0,
      revision: ++this.#lastNumber,
      code: code ?? null,
      ...(inlineBytes ? { inlineBytes: new Uint8Array(inlineBytes) } : {}),
    });
    return { file: this.#info(path) };
  }

  #inlineChunk({ inlineBytes, crc32c }: lumeo.master.v1.ICommit): ChunkRef {
    const handle = ++this.#lastNumber * GRANT_SLOTS;
    return { handle, epoch: 1, lengthBytes: inlineBytes?.byteLength ?? 0, crc32c: crc32c ?? 0 };
  }

  #edit({ path, revision, keep, replaced, appended }: lumeo.master.v1.IEditFile): Result {
    const old = this.files.get(path ?? "");
    if (old === undefined || old.revision !== revision) {
      throw new LumeoError("PRECONDITION", path ?? "");
    }
    const chunks = [...old.chunks.slice(0, keep ?? 0), ...(appended ?? [])];
    for (const { position, chunk } of replaced ?? []) chunks[position ?? 0] = chunk ?? {};
    this.#seal([...(replaced ?? []).map(({ chunk }) => chunk ?? {}), ...(appended ?? [])]);
    const sizeBytes = chunks.reduce((sum, { lengthBytes }) => sum + (lengthBytes ?? 0), 0);
    const crc32c = chunks.reduce((crc, one) => {
      return crc32cCombine(crc, one.crc32c ?? 0, one.lengthBytes ?? 0);
    }, 0);
    const edited = { chunks, sizeBytes, crc32c, revision: ++this.#lastNumber };
    this.files.set(path ?? "", { ...old, ...edited });
    const result = { file: this.#info(path ?? "") };
    this.afterEdit(path ?? "");
    return result;
  }

  #rename({ source, target }: lumeo.master.v1.IRename): void {
    const file = this.files.get(source ?? "");
    if (file === undefined) throw new LumeoError("NOT_FOUND", `Cannot rename ${source}`);
    this.files.delete(source ?? "");
    this.files.set(target ?? "", file);
  }

  #remove({ path, precondition }: lumeo.master.v1.IRemove): void {
    const file = this.files.get(path ?? "");
    if (file === undefined) throw new LumeoError("NOT_FOUND", `Cannot remove ${path}`);
    const revision = precondition?.revision ?? 0;
    if (revision !== 0 && file.revision !== revision) throw new LumeoError("PRECONDITION", "etag");
    this.files.delete(path ?? "");
  }

  #stat(ask: lumeo.master.v1.IStat, kept: Uint8Array | undefined): Result {
    const info = this.#info(ask.path ?? "");
    if (ask.revision && info.revision !== ask.revision)
      throw new LumeoError("CONFLICT", "replaced");
    const first = ask.firstChunk ?? 0;
    const { chunks = [], inlineBytes } = this.files.get(ask.path ?? "") ?? {};
    const page = chunks.slice(first, first + (ask.chunkCountMax ?? 0));
    const bytes = inlineBytes && (kept ?? inlineBytes);
    return { stat: { info, chunks: page.map((chunk) => this.#located(chunk, bytes)) } };
  }

  #list(ask: lumeo.master.v1.IList): Result {
    const base = ask.path === "/" ? "/" : `${ask.path}/`;
    if (!this.directories.has(ask.path ?? "")) throw new LumeoError("NOT_FOUND", `${ask.path}`);
    const names = [...this.files.keys(), ...this.directories]
      .filter((path) => path.startsWith(base) && base.length < path.length)
      .map((path) => path.slice(base.length))
      .filter((name) => !name.includes("/") && (ask.after ?? "") < name)
      .sort();
    const page = names.slice(0, ask.countMax ?? 0);
    const entries = page.map((name) => this.#info(base + name));
    return { listing: { entries, more: page.length < names.length } };
  }

  #info(path: string): lumeo.master.v1.IFileInfo {
    if (this.directories.has(path)) {
      return { path, kind: FileKind.FILE_KIND_DIRECTORY, revision: 1 };
    }
    const file = this.files.get(path);
    if (file === undefined) throw new LumeoError("NOT_FOUND", `Cannot find "${path}"`);
    const { sizeBytes, revision, crc32c, chunkSizeBytes, chunks, code } = file;
    const counts = { chunkCount: chunks.length, replicas: 3 };
    const kind = FileKind.FILE_KIND_FILE;
    return { path, kind, sizeBytes, revision, crc32c, chunkSizeBytes, code, ...counts };
  }

  /** Without members, it is a chunk of the masters. */
  #located(
    chunk: ChunkRef,
    inlineBytes: Uint8Array | undefined,
  ): lumeo.common.v1.LocatedChunk.$Properties {
    if (inlineBytes !== undefined && !this.#replicas.has(chunk.handle ?? 0)) {
      return { chunk, inline: true, inlineBytes };
    }
    const members = this.#replicas.get(chunk.handle ?? 0) ?? [];
    const replicas = members.map((id, position) => this.#replica(id, position));
    return { chunk, replicas, token: this.token };
  }

  #replica(id: number, position: number): lumeo.common.v1.ReplicaLocation.$Properties {
    const server = this.#servers.get(id) as FakeChunkserver;
    const { PRIMARY, SECONDARY } = {
      PRIMARY: ReplicaRole.REPLICA_ROLE_PRIMARY,
      SECONDARY: ReplicaRole.REPLICA_ROLE_SECONDARY,
    };
    return {
      serverId: id,
      name: server.name,
      labels: this.labels.get(id) ?? {},
      address: server.address,
      role: position === 0 ? PRIMARY : SECONDARY,
      state: this.dead.has(id) ? ServerState.SERVER_STATE_DEAD : ServerState.SERVER_STATE_ALIVE,
    };
  }
}
