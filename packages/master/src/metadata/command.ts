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

/** At most this many chunks in one command. */
export const COMMAND_CHUNKS_MAX = 256;

export type Command = ClientCommand | FleetCommand | DutyCommand;

export type ClientCommand =
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
      readonly upload: InodeId;
      /** Position of the first of these chunks; always the number of chunks already there. */
      readonly first: number;
      readonly chunks: readonly SealedChunk[];
    }
  | { readonly kind: "abortUpload"; readonly upload: InodeId }
  | {
      readonly kind: "commit";
      readonly path: string;
      readonly upload: InodeId | undefined;
      /** All chunks, or those behind the ones that came with `addChunks`. */
      readonly chunks: readonly SealedChunk[];
      /** Every chunk but the last has this length. */
      readonly chunkSizeBytes: number;
      readonly replicas: number;
      /** Of the whole content; must follow from the chunks' checksums. */
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
      /** Detaches a whole directory at once; `reapDirectory` frees what was in it. */
      readonly recursive: boolean;
      readonly precondition: Precondition;
    };

export type FleetCommand = {
  readonly kind: "registerServer";
  readonly name: string;
  readonly storeUuid: string;
  readonly dataAddress: string;
  readonly controlAddress: string;
  readonly labels: Readonly<Record<string, string>>;
};

export type DutyCommand =
  /** Frees named children of a detached directory; the directory itself when it is empty. */
  | {
      readonly kind: "reapDirectory";
      readonly directory: InodeId;
      readonly names: readonly string[];
    }
  /** Frees the last pages of a detached long file; the file itself when none is left. */
  | { readonly kind: "reapFile"; readonly inode: InodeId; readonly pages: number }
  /** Those of the grants that were made at or before `unusedSince`. */
  | {
      readonly kind: "expireGrants";
      readonly grants: readonly GrantId[];
      readonly unusedSince: WallMs;
    }
  | {
      readonly kind: "expireUploads";
      readonly uploads: readonly InodeId[];
      readonly unusedSince: WallMs;
    }
  | {
      readonly kind: "expireSessions";
      readonly sessions: readonly SessionId[];
      readonly unusedSince: WallMs;
    }
  /** Chunks of removed files whose grace is over: nobody may still be reading them. */
  | { readonly kind: "forgetChunks"; readonly handles: readonly ChunkHandle[] }
  /** The cluster gets its id, once. */
  | { readonly kind: "initCluster"; readonly clusterId: string };

export type Reply =
  | { readonly kind: "done" }
  | { readonly kind: "sessionOpened"; readonly session: SessionId }
  | { readonly kind: "allocated"; readonly grants: readonly GrantId[] }
  | { readonly kind: "uploadBegun"; readonly upload: InodeId }
  | FileCommitted
  | { readonly kind: "registered"; readonly server: ServerId; readonly clusterId: string }
  | Refused;

export interface FileCommitted {
  readonly kind: "file";
  readonly inode: InodeId;
  readonly revision: number;
  readonly sizeBytes: number;
  readonly createdAt: WallMs;
  readonly modifiedAt: WallMs;
  readonly chunkCount: number;
}

/** Nothing has changed, and the same request would be refused again. */
export interface Refused {
  readonly kind: "refused";
  readonly code: ErrorCode;
  readonly message: string;
}

export const DONE: Reply = { kind: "done" };

export function refuse(code: ErrorCode, message: string): Refused {
  return { kind: "refused", code, message };
}

/** A path or name as it stands in a message: quoted, and cut where it would drown the rest. */
export function quoted(text: string): string {
  const shown =
    text.length <= SHOWN_CHARACTERS_MAX ? text : `${text.slice(0, SHOWN_CHARACTERS_MAX)}…`;
  return JSON.stringify(shown);
}

const SHOWN_CHARACTERS_MAX = 300;
