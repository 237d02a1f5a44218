// What the SDK asks of the masters, in its own words. rpc/wire.ts turns these into protobuf and
// back; nothing else in the SDK knows protobuf.

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
  readonly chunkCount: number;
}

/** A written chunk. */
export interface ChunkRef {
  readonly handle: number;
  readonly epoch: number;
  readonly lengthBytes: number;
  readonly crc32c: number;
}

/** One copy of a chunk, as the masters believe it to be. */
export interface ReplicaState extends Replica {
  readonly role: "primary" | "secondary";
  readonly state: "alive" | "suspect" | "dead";
  readonly damaged: boolean;
}

export interface LocatedChunk extends ChunkRef {
  readonly replicas: readonly ReplicaState[];
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
}

/** Operations that change nothing: repeated at will. */
export interface Queries {
  stat: {
    ask: { path: string; firstChunk: number; chunkCountMax: number; revision: number };
    answer: { info: InodeInfo; chunks: readonly LocatedChunk[] };
  };
  list: {
    ask: { path: string; after: string; countMax: number };
    answer: { entries: readonly InodeInfo[]; more: boolean };
  };
  /** Only opens; an unused session expires by itself. */
  openSession: { ask: Record<never, never>; answer: { session: number } };
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
      crc32c: number;
      precondition: Precondition;
      makeParents: boolean;
    };
    answer: InodeInfo;
  };
  beginUpload: { ask: { path: string }; answer: { upload: number } };
  addChunks: {
    ask: { upload: number; first: number; chunks: readonly ChunkRef[] };
    answer: Done;
  };
  abortUpload: { ask: { upload: number }; answer: Done };
  makeDirectory: { ask: { path: string; parents: boolean }; answer: Done };
  rename: { ask: { source: string; target: string; overwrite: boolean }; answer: Done };
  remove: {
    ask: { path: string; recursive: boolean; precondition: Precondition };
    answer: Done;
  };
  allocate: {
    ask: { grants: number; handles: number; replicas: number; avoid: readonly number[] };
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

/** One attempt of one operation. */
export interface Attempt<K extends OperationKind> {
  readonly kind: K;
  readonly ask: Ask<K>;
  readonly request: RequestId | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** The masters, as one that answers. Rejects with a LumeoError of @lumeofs/base; never retries. */
export interface Masters {
  /** No master could even be connected to when it was last tried. */
  readonly isUnreachable: boolean;
  attempt<K extends OperationKind>(attempt: Attempt<K>): Promise<Answer<K>>;
}
