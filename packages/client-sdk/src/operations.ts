// What the SDK asks of the masters, in its own words. rpc/wire.ts turns these into protobuf and
// back; nothing else in the SDK knows protobuf.

import type { Cancellation, ChunkCoding, Code } from "@lumeofs/base";
import type { Replica } from "./grant-book.js";

/** A file or directory as the masters describe it. */
export interface InodeInfo {
  readonly path: string;
  readonly kind: "file" | "dir";
  readonly sizeBytes: number;
  /** Changes with every commit of the file. */
  readonly revision: number;
  readonly createdAtMs: number;
  readonly modifiedAtMs: number;
  readonly crc32c: number;
  readonly chunkBytes: number;
  readonly replicas: number;
  /** What the file is meant to be coded as; undefined for copies. Each chunk says what it is. */
  readonly code: Code | undefined;
  readonly chunkCount: number;
  /** Chunks before the last are not all `chunkBytes` long. */
  readonly isUneven: boolean;
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  /** 0 for never. */
  readonly expiresAtMs: number;
  /** Directories only. */
  readonly usage: Usage | undefined;
  readonly quota: Quota;
  readonly policy: Policy;
}

/** What lies below a directory. */
export interface Usage {
  readonly bytes: number;
  readonly files: number;
  readonly directories: number;
}

/** At most so much below a directory; what is absent is not limited. */
export interface Quota {
  readonly bytes?: number;
  readonly files?: number;
}

/** How files below a directory are kept; what is absent is inherited from the directory above. */
export interface Policy {
  readonly replicas?: number;
  /** Earlier contents of a file that stay readable. */
  readonly versions?: number;
  /** How long what was removed stays in the trash; 0 for not at all. */
  readonly trashMs?: number;
  /** Files are removed so long after they were written; 0 for never. */
  readonly ttlMs?: number;
  /**
   * As what files are kept: "replicated", coded as "4+2" or "4+2/256KiB" says, or "auto:4+2": small
   * ones replicated and others coded.
   */
  readonly code?: string;
  /** Files are coded so long after they were written; 0 for never. */
  readonly codeAfterMs?: number;
  /** What becomes of a file for whose code there are too few servers. */
  readonly codeFallback?: CodeFallback;
}

/** As what files are kept: all as copies, all coded, or small ones as copies and others coded. */
export type CodePolicy =
  | { readonly kind: "replicated" }
  | { readonly kind: "coded"; readonly code: Code }
  | { readonly kind: "auto"; readonly code: Code };
export type CodeFallback = "refuse" | "replicate";

/** Changes of settings: what is absent stays as it is, null takes it away. */
type SettingsChanges<T> = { readonly [K in keyof T]?: T[K] | null };
export type PolicyChanges = SettingsChanges<Policy>;
export type QuotaChanges = SettingsChanges<Quota>;

/** What a file carries besides its content. */
export interface Attributes {
  readonly contentType: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  /** Undefined: as the policy says. 0: never. */
  readonly ttlMs: number | undefined;
}

/** A change of attributes: null takes a key away. */
export interface AttributeChanges {
  readonly metadata: Readonly<Record<string, string | null>>;
  readonly tags: Readonly<Record<string, string | null>>;
  readonly contentType: string | undefined;
  readonly ttlMs: number | undefined;
}

/** Only while this lock is held with this token. */
export interface Fence {
  readonly lock: string;
  readonly token: number;
}

export interface TrashEntry {
  readonly id: number;
  readonly path: string;
  readonly kind: "file" | "dir";
  readonly removedAtMs: number;
  readonly expiresAtMs: number;
  readonly usage: Usage;
}

export interface SnapshotEntry {
  readonly path: string;
  readonly name: string;
  readonly revision: number;
  readonly createdAtMs: number;
}

export interface LockEntry {
  readonly name: string;
  readonly holder: string;
  readonly token: number;
  readonly expiresAtMs: number;
  /** As the master counted it when it answered. */
  readonly remainingMs: number;
}

/** A written chunk. */
export interface ChunkRef {
  readonly handle: number;
  readonly epoch: number;
  /** Of the data, as is the checksum, however the chunk is kept. */
  readonly lengthBytes: number;
  readonly crc32c: number;
  /** Undefined for a chunk that is kept as copies. */
  readonly coding: ChunkCoding | undefined;
}

/** One copy of a chunk, as the masters believe it to be. */
export interface ReplicaState extends Replica {
  /** Where its server stands; empty unless they were asked for. */
  readonly labels: Readonly<Record<string, string>>;
  readonly role: "primary" | "secondary";
  readonly state: "alive" | "suspect" | "dead";
  readonly damaged: boolean;
}

export interface LocatedChunk extends ChunkRef {
  /** The primary first. Of a coded chunk: the holder of each unit, by number, without a gap. */
  readonly replicas: readonly ReplicaState[];
  /** The masters' word for the chunkservers, for a while. */
  readonly token: Uint8Array | undefined;
  /** The masters keep the bytes themselves: there are no replicas. */
  readonly isInline: boolean;
  /** Of an inline chunk, where its place was asked for in order to read it; not checked yet. */
  readonly inlineBytes: Uint8Array | undefined;
}

/** A growing chunk, where records are appended: behind all chunks of its file. */
export interface TailLocation {
  readonly handle: number;
  readonly epoch: number;
  /** The primary first. */
  readonly replicas: readonly ReplicaState[];
  /** Where it begins in the file. */
  readonly offset: number;
  /** As the masters heard last; the primary knows better. */
  readonly committedBytes: number;
  readonly token: Uint8Array | undefined;
}

export type Precondition =
  | { readonly kind: "none" }
  | { readonly kind: "absent" }
  | { readonly kind: "revision"; readonly revision: number };

export const NO_PRECONDITION: Precondition = { kind: "none" };

/** A grant as answered: how long it may be used, counted from the asking. */
export interface GrantAnswer {
  readonly firstHandle: number;
  readonly handleCount: number;
  readonly epoch: number;
  readonly replicas: readonly Replica[];
  readonly usableMs: number;
  readonly token: Uint8Array | undefined;
}

/** Operations that change nothing: repeated at will. */
export interface Queries {
  stat: {
    ask: {
      path: string;
      firstChunk: number;
      chunkCountMax: number;
      revision: number;
      /** 0 for the current one. */
      version: number;
      /** With the labels of the servers. */
      withLabels?: boolean;
      /** Instead of `firstChunk`: from the chunk on that holds this byte. */
      offset?: number;
    };
    answer: {
      info: InodeInfo;
      chunks: readonly LocatedChunk[];
      /** Position of the first of the chunks, and where it begins in the file. */
      firstChunk: number;
      firstChunkOffset: number;
      /** Undefined where nothing is being appended. */
      tail: TailLocation | undefined;
    };
  };
  /** Where to append; a tail begins if there is none. */
  openTail: {
    ask: {
      path: string;
      create: boolean;
      makeParents: boolean;
      replicas: number;
      /** This one takes no more; 0 for none. */
      sealedHandle: number;
    };
    answer: { tail: TailLocation; info: InodeInfo };
  };
  /** A primary cannot be reached, or refuses. */
  reportTail: { ask: { handle: number; epoch: number; why: string }; answer: Done };
  list: {
    ask: { path: string; after: string; countMax: number };
    answer: { entries: readonly InodeInfo[]; more: boolean };
  };
  listTrash: {
    ask: { after: number; countMax: number };
    answer: { items: readonly TrashEntry[]; more: boolean };
  };
  listVersions: {
    ask: { path: string; before: number; countMax: number };
    answer: { entries: readonly InodeInfo[]; more: boolean };
  };
  listSnapshots: {
    ask: { path: string; after: string; countMax: number };
    answer: { snapshots: readonly SnapshotEntry[]; more: boolean };
  };
  listLocks: {
    ask: { after: string; countMax: number };
    answer: { locks: readonly LockEntry[]; more: boolean };
  };
  /** What holds for files in a directory, which may be still to be made. */
  effectivePolicy: { ask: { path: string }; answer: Policy };
  /** Only opens; an unused session expires by itself. */
  openSession: {
    ask: Record<never, never>;
    answer: {
      session: number;
      /** Files of at most so many bytes may come with their commit; 0: none may. */
      inlineBytesMax: number;
    };
  };
}

/** Operations that change something: each carries the id of its request. */
export interface Mutations {
  commit: {
    ask: {
      path: string;
      chunks: readonly ChunkRef[];
      upload: number | undefined;
      chunkBytes: number;
      replicas: number;
      /** What the file is meant to be coded as; undefined for copies. */
      code: Code | undefined;
      crc32c: number;
      /** The whole content, for the masters to keep: then there are no chunks, upload and code. */
      inlineBytes: Uint8Array | undefined;
      precondition: Precondition;
      makeParents: boolean;
      attributes: Attributes;
      fence: Fence | undefined;
    };
    answer: InodeInfo;
  };
  /** Replaces chunks of a file, cuts it, or makes it longer. */
  editFile: {
    ask: {
      path: string;
      revision: number;
      keep: number;
      replaced: readonly { readonly position: number; readonly chunk: ChunkRef }[];
      appended: readonly ChunkRef[];
    };
    answer: InodeInfo;
  };
  copy: {
    ask: {
      source: string;
      /** 0 for the current one. */
      version: number;
      target: string;
      overwrite: boolean;
      makeParents: boolean;
      precondition: Precondition;
      fence: Fence | undefined;
    };
    answer: InodeInfo;
  };
  setAttributes: {
    ask: { path: string; changes: AttributeChanges; precondition: Precondition };
    answer: InodeInfo;
  };
  setPolicy: { ask: { path: string; changes: PolicyChanges }; answer: InodeInfo };
  setQuota: { ask: { path: string; changes: QuotaChanges }; answer: InodeInfo };
  restoreTrash: { ask: { id: number; target: string }; answer: Done };
  purgeTrash: { ask: { ids: readonly number[] }; answer: Done };
  removeVersion: { ask: { path: string; version: number }; answer: Done };
  createSnapshot: { ask: { path: string; name: string }; answer: SnapshotEntry };
  removeSnapshot: { ask: { path: string; name: string }; answer: Done };
  acquireLock: { ask: { name: string; holder: string; ttlMs: number }; answer: LockEntry };
  renewLock: { ask: { name: string; token: number; ttlMs: number }; answer: LockEntry };
  releaseLock: { ask: { name: string; token: number }; answer: Done };
  beginUpload: { ask: { path: string }; answer: { upload: number } };
  addChunks: {
    ask: { upload: number; first: number; chunks: readonly ChunkRef[] };
    answer: Done;
  };
  abortUpload: { ask: { upload: number }; answer: Done };
  abandonChunks: { ask: { handles: readonly number[] }; answer: Done };
  makeDirectory: { ask: { path: string; parents: boolean }; answer: Done };
  rename: {
    ask: { source: string; target: string; overwrite: boolean; fence: Fence | undefined };
    answer: Done;
  };
  remove: {
    ask: {
      path: string;
      recursive: boolean;
      precondition: Precondition;
      skipTrash: boolean;
      fence: Fence | undefined;
    };
    answer: Done;
  };
  allocate: {
    ask: {
      grants: number;
      handles: number;
      /** Servers of each grant: copies, or units of a code. */
      replicas: number;
      areUnits: boolean;
      avoid: readonly number[];
    };
    answer: { grants: readonly GrantAnswer[] };
  };
}

export type Done = undefined;

export type Operations = Queries & Mutations;
export type OperationKind = keyof Operations;
export type Ask<K extends OperationKind> = Operations[K]["ask"];
export type Answer<K extends OperationKind> = Operations[K]["answer"];

/** Makes a repeated request take effect once. */
export interface RequestId {
  readonly session: number;
  readonly sequence: number;
  readonly answeredBelow: number;
}

/** How fresh a query is; the masters say what each is worth. */
export type Consistency = "linearizable" | "lease" | "stale";

export interface ReadWish {
  readonly consistency: Consistency;
  /** Stale queries that may be further behind are refused; 0 for no limit. */
  readonly ageMsMax: number;
}

/** For what rests on the latest state: never older than the call. */
export const LATEST: ReadWish = { consistency: "linearizable", ageMsMax: 0 };

/** How fresh an answer was. */
export interface Freshness {
  /** All entries of the masters' log up to here, at least, are in it. */
  readonly appliedIndex: number;
  /** Everything acknowledged longer ago than this is in it; 0 unless it is stale. */
  readonly ageMs: number;
}

/** A query that any master may answer. */
export interface SharedRead {
  readonly wish: ReadWish;
  readonly answered: (freshness: Freshness) => void;
}

/** One attempt of one operation. */
export interface Attempt<K extends OperationKind> {
  /** Undefined if only the leader will do. */
  readonly read: SharedRead | undefined;
  readonly kind: K;
  readonly ask: Ask<K>;
  readonly request: RequestId | undefined;
  readonly timeoutMs: number;
  readonly signal: Cancellation | undefined;
}

/** The masters, as one that answers. Rejects with a LumeoError of @lumeofs/base; never retries. */
export interface Masters {
  /** No master could even be connected to when it was last tried. */
  readonly isUnreachable: boolean;
  attempt<K extends OperationKind>(attempt: Attempt<K>): Promise<Answer<K>>;
}
