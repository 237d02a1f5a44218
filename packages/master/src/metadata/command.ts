// Every command that the replicated log may hold, and its answers. The leader decides first (which
// servers, what time it is) and writes the decision into the command: apply depends on the log
// alone. Numbers that must be unique (inodes, grants, servers, sessions) are counted by apply.

import type {
  ChunkHandle,
  Epoch,
  ErrorCode,
  GrantId,
  InodeId,
  ServerId,
  SessionId,
  WallMs,
} from "@lumeofs/base";

export interface SealedChunk {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly lengthBytes: number;
  readonly crc32c: number;
}

/** Makes a repeated request take effect once and get the first answer again (Raft §8). */
export interface RequestId {
  readonly session: SessionId;
  /** From 1, by one. */
  readonly sequence: number;
  /** Answers to sequences below may be forgotten. */
  readonly answeredBelow: number;
}

export type Precondition =
  | { readonly kind: "none" }
  | { readonly kind: "absent" }
  | { readonly kind: "revision"; readonly revision: number };

/** A command as proposed: `at` is the leader's wall clock, for file times and expiry only. */
export interface Proposal {
  readonly at: WallMs;
  readonly request: RequestId | undefined;
  readonly command: Command;
}

export type Command =
  // --- clients
  | { readonly kind: "openSession" }
  | {
      readonly kind: "allocate";
      /** One grant for each: its replicas, the primary first. */
      readonly placements: readonly (readonly ServerId[])[];
      /** Handles in each grant, at most GRANT_SLOTS. */
      readonly handles: number;
    }
  | { readonly kind: "beginUpload"; readonly path: string }
  | {
      readonly kind: "addChunks";
      readonly upload: number;
      readonly first: number;
      readonly chunks: readonly SealedChunk[];
    }
  | { readonly kind: "abortUpload"; readonly upload: number }
  | {
      readonly kind: "commit";
      readonly path: string;
      readonly upload: number | undefined;
      readonly chunks: readonly SealedChunk[];
      readonly chunkSizeBytes: number;
      readonly replicas: number;
      readonly crc32c: number;
      readonly precondition: Precondition;
      readonly makeParents: boolean;
    }
  | { readonly kind: "makeDirectory"; readonly path: string; readonly parents: boolean }
  | {
      readonly kind: "rename";
      readonly source: string;
      readonly target: string;
      readonly overwrite: boolean;
    }
  | {
      readonly kind: "remove";
      readonly path: string;
      /** Detaches a whole directory at once; `reap` frees what was in it. */
      readonly recursive: boolean;
      readonly precondition: Precondition;
    }
  // --- chunkservers
  | {
      readonly kind: "registerServer";
      readonly name: string;
      readonly storeUuid: string;
      readonly dataAddress: string;
      readonly controlAddress: string;
      readonly labels: Readonly<Record<string, string>>;
    }
  // --- duties of the leader
  /** Frees named children of a detached directory; the directory itself when it is empty. */
  | { readonly kind: "reap"; readonly directory: InodeId; readonly names: readonly string[] }
  /** Grants, uploads and sessions unused for long, as the leader saw them at `at`. */
  | { readonly kind: "expireGrants"; readonly grants: readonly GrantId[] }
  | { readonly kind: "expireUploads"; readonly uploads: readonly number[] }
  | { readonly kind: "expireSessions"; readonly sessions: readonly SessionId[] }
  /** Chunks of removed files whose grace is over: nobody may still be reading them. */
  | { readonly kind: "forgetChunks"; readonly handles: readonly ChunkHandle[] }
  /** The cluster gets its id, once. */
  | { readonly kind: "initCluster"; readonly clusterId: string };

export type Reply =
  | { readonly kind: "done" }
  | { readonly kind: "sessionOpened"; readonly session: SessionId }
  | { readonly kind: "allocated"; readonly grants: readonly GrantId[] }
  | { readonly kind: "uploadBegun"; readonly upload: number }
  | { readonly kind: "file"; readonly inode: InodeId; readonly revision: number }
  | { readonly kind: "registered"; readonly server: ServerId; readonly clusterId: string }
  | { readonly kind: "refused"; readonly code: ErrorCode; readonly message: string };
