// Every command that the replicated log may hold, and its answers. The leader decides first (which
// servers, what time it is) and writes the decision into the command: apply depends on the log
// alone. Numbers that must be unique (inodes, grants, servers, sessions) are counted by apply.

import type {
  ChunkCoding,
  ChunkHandle,
  Code,
  Epoch,
  ErrorCode,
  GrantId,
  InodeId,
  ServerId,
  SessionId,
  WallMs,
} from "@lumeofs/base";
import type { AttributesChange, Labels } from "./attributes.js";
import type { FileCode, Replacement } from "./conversions.js";
import type { Policy, Quota, SettingsChange } from "./directory-record.js";
import type { Inode } from "./inode-record.js";
import type { Amount, Conversion, JobChange, JobId, JobKind } from "./jobs.js";
import type { ChangePosition, HistoryId } from "./keys.js";
import type { Fence } from "./locks.js";
import type { MoveEnd, NewMove } from "./moves.js";
import type { NodeChange } from "./nodes.js";

export interface SealedChunk {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  /** Of the data, as is the checksum, however the chunk is kept. */
  readonly lengthBytes: number;
  readonly crc32c: number;
  /** Undefined for a chunk that is kept as copies. */
  readonly coding: ChunkCoding | undefined;
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
/** At most this many things to be freed, expired or forgotten in one command. */
export const COMMAND_ITEMS_MAX = 256;

export type Command = ClientCommand | TailCommand | FleetCommand | HealingCommand | DutyCommand;

export type ClientCommand =
  | WriteCommand
  | EditCommand
  | NameCommand
  | DirectoryCommand
  | SnapshotCommand
  | KeptCommand
  | LockCommand;

/** Appending to files: docs/design/0028-append.md. */
export type TailCommand =
  | {
      readonly kind: "openTail";
      readonly path: string;
      /** Makes an empty file where there is none. */
      readonly create: boolean;
      readonly makeParents: boolean;
      /** Of a file that is made. */
      readonly replicas: number;
      /** Of the new tail, the primary first. */
      readonly members: readonly ServerId[];
    }
  | {
      readonly kind: "grantTailEpoch";
      readonly handle: ChunkHandle;
      /** The newest epoch so far. */
      readonly expectedNewest: Epoch;
      readonly primary: ServerId;
      readonly members: readonly ServerId[];
    }
  | {
      readonly kind: "activateTailEpoch";
      readonly handle: ChunkHandle;
      readonly epoch: Epoch;
    }
  | {
      readonly kind: "sealTail";
      readonly handle: ChunkHandle;
      /** In which the seal was committed. */
      readonly epoch: Epoch;
      /** Of the seal's record, which an earlier primary may have written: the sealed chunk's. */
      readonly chunkEpoch: Epoch;
      readonly lengthBytes: number;
      readonly crc32c: number;
    }
  /**
   * An operator gives up what only lost servers may have had: `survivors` alone decide what was
   * written. Without survivors the tail is dropped.
   */
  | {
      readonly kind: "salvageTail";
      readonly handle: ChunkHandle;
      /** The newest epoch so far. */
      readonly expectedNewest: Epoch;
      /** Of the last active set. */
      readonly survivors: readonly ServerId[];
      /** Of the next epoch, the primary first; none without survivors. */
      readonly members: readonly ServerId[];
    };

/** Writing files. */
export type WriteCommand =
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
      readonly kind: "abandonChunks";
      /** Granted ones that nobody will commit; at most COMMAND_ITEMS_MAX. */
      readonly handles: readonly ChunkHandle[];
    }
  | {
      readonly kind: "commit";
      readonly path: string;
      readonly upload: InodeId | undefined;
      /** All chunks, or those behind the ones that came with `addChunks`. */
      readonly chunks: readonly SealedChunk[];
      /** Every chunk but the last has this length. */
      readonly chunkSizeBytes: number;
      readonly replicas: number;
      /** What the file is meant to be coded as; undefined for copies. */
      readonly code: Code | undefined;
      /** Of the whole content; must follow from the chunks' checksums. */
      readonly crc32c: number;
      readonly precondition: Precondition;
      readonly makeParents: boolean;
      /** "" if nobody says. */
      readonly contentType: string;
      readonly metadata: Labels;
      readonly tags: Labels;
      /** Removed so long after the commit; 0 for never, undefined for what the policy says. */
      readonly ttlMs: number | undefined;
      readonly fence: Fence | undefined;
      /** The whole content, for the masters to keep; undefined where it is in chunks. */
      readonly inline: InlineContent | undefined;
    };

/**
 * A content that came with its commit, and what the leader has decided: `record` is that of
 * inline-table.ts, and its checksum the commit's.
 */
export type InlineContent =
  | {
      readonly kind: "kept";
      readonly record: Uint8Array;
      /** All that is kept so, with this one. */
      readonly totalBytesMax: number;
    }
  /** As the leader proposes it: it is read as `kept`. Its record is put together in the log. */
  | { readonly kind: "offered"; readonly bytes: Uint8Array; readonly totalBytesMax: number }
  /** In the log nevertheless: what was kept at an earlier try must not be refused at this one. */
  | { readonly kind: "refused"; readonly why: string };

/** Changing a file in its middle, or its length: edit.ts. */
export type EditCommand = {
  readonly kind: "editFile";
  readonly path: string;
  /** Only if the file has this one. */
  readonly revision: number;
  /** So many chunks from the beginning stay, but for those that are replaced. */
  readonly keep: number;
  readonly replaced: readonly { readonly position: number; readonly chunk: SealedChunk }[];
  /** Behind those that stay. */
  readonly appended: readonly SealedChunk[];
  readonly fence: Fence | undefined;
};

/** Changing what names lead to. */
export type NameCommand =
  | { readonly kind: "makeDirectory"; readonly path: string; readonly parents: boolean }
  | {
      readonly kind: "rename";
      readonly source: string;
      readonly target: string;
      /** Replaces a file by a file, an empty directory by a directory. */
      readonly overwrite: boolean;
      readonly fence: Fence | undefined;
    }
  | {
      readonly kind: "copy";
      readonly source: string;
      /** An earlier version, or a file in a snapshot: the leader has looked it up. */
      readonly sourceInode: InodeId | undefined;
      readonly target: string;
      readonly overwrite: boolean;
      readonly makeParents: boolean;
      /** Of what is at the target. */
      readonly precondition: Precondition;
      readonly fence: Fence | undefined;
    }
  | {
      readonly kind: "remove";
      readonly path: string;
      /** Detaches a whole directory at once; `reapDirectory` frees what was in it. */
      readonly recursive: boolean;
      readonly precondition: Precondition;
      /** Whatever the policy says of the trash. */
      readonly skipTrash: boolean;
      readonly fence: Fence | undefined;
    }
  | ({
      readonly kind: "setAttributes";
      readonly path: string;
      /** Counted from now; 0 for never, undefined leaves it as it is. */
      readonly ttlMs: number | undefined;
      readonly precondition: Precondition;
    } & AttributesChange);

/** What directories say of what is below them; two that change different things may meet. */
export type DirectoryCommand =
  | { readonly kind: "setPolicy"; readonly path: string; readonly policy: SettingsChange<Policy> }
  | { readonly kind: "setQuota"; readonly path: string; readonly quota: SettingsChange<Quota> };

export type SnapshotCommand =
  | { readonly kind: "createSnapshot"; readonly path: string; readonly name: string }
  | { readonly kind: "removeSnapshot"; readonly path: string; readonly name: string };

/** What was removed or replaced and is kept. */
export type KeptCommand =
  /** Undefined: to where it was. */
  | { readonly kind: "restoreTrash"; readonly id: number; readonly target: string | undefined }
  | { readonly kind: "purgeTrash"; readonly ids: readonly number[] }
  | {
      readonly kind: "removeVersion";
      readonly path: string;
      /** Revision of the file. */
      readonly version: number;
      /** Where the leader found it: `HistoryId.ended`. */
      readonly ended: number;
    };

export type LockCommand =
  | {
      readonly kind: "acquireLock";
      readonly name: string;
      readonly holder: string;
      readonly ttlMs: number;
    }
  | {
      readonly kind: "renewLock";
      readonly name: string;
      readonly token: number;
      readonly ttlMs: number;
    }
  | { readonly kind: "releaseLock"; readonly name: string; readonly token: number };

export type FleetCommand = {
  readonly kind: "registerServer";
  readonly name: string;
  readonly storeUuid: string;
  readonly dataAddress: string;
  readonly controlAddress: string;
  readonly labels: Readonly<Record<string, string>>;
};

/** Where copies are to be: what operators and the leader's healing change. */
export type HealingCommand =
  | {
      readonly kind: "createJob";
      readonly job: JobKind;
      /** Undefined for a job that is not for one server. */
      readonly subject: ServerId | undefined;
      /** Of a conversion alone. */
      readonly conversion?: Conversion | undefined;
    }
  | ({ readonly kind: "changeJob" } & JobChange)
  /** What was counted of a job, and what it waits for. */
  | {
      readonly kind: "noteJob";
      readonly job: JobId;
      readonly total: Amount;
      readonly note: string;
      /** Tries that failed since the last note; of a job without moves. */
      readonly failures?: number | undefined;
    }
  /** Jobs that ended long ago. */
  | { readonly kind: "dropJobs"; readonly jobs: readonly JobId[] }
  /** Those of the moves that still make sense begin. */
  | { readonly kind: "beginMoves"; readonly moves: readonly NewMove[] }
  | { readonly kind: "endMoves"; readonly moves: readonly MoveEnd[] }
  | ({ readonly kind: "changeNode" } & NodeChange)
  /** A chunk was converted. */
  | ({ readonly kind: "replaceChunk" } & Replacement)
  | { readonly kind: "setFileCodes"; readonly files: readonly FileCode[] };

export type DutyCommand =
  /** Frees what a detached directory has; the directory itself when nothing is left. */
  | {
      readonly kind: "reapDirectory";
      readonly directory: InodeId;
      /** Entries. */
      readonly names: readonly string[];
      readonly history: readonly { readonly name: string; readonly ended: number }[];
      readonly snapshots: readonly string[];
    }
  /** Frees the last pages of a long content that no file has; its record when none is left. */
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
  | { readonly kind: "initCluster"; readonly clusterId: string }
  /** Removes files whose time is over. */
  | { readonly kind: "expireFiles"; readonly files: readonly DueFile[] }
  /** Lapsed locks. */
  | { readonly kind: "expireLocks"; readonly names: readonly string[] }
  /** What neither a snapshot nor a policy keeps. */
  | { readonly kind: "dropHistory"; readonly records: readonly HistoryId[] }
  /** Changes at or below `floor` leave the feed. */
  | {
      readonly kind: "trimChanges";
      readonly changes: readonly ChangePosition[];
      readonly floor: number;
    }
  /** A key for tokens, if the newest is still number `after`; `secret` is never shown. */
  | { readonly kind: "addTokenKey"; readonly after: number; readonly secret: Uint8Array }
  /** Changes nothing: all masters compare their states behind this entry. */
  | { readonly kind: "checkState" };

/** A record of the expiry table. */
export interface DueFile {
  /** In its key. */
  readonly at: WallMs;
  readonly parent: InodeId;
  readonly name: string;
  readonly inode: InodeId;
}

export type Reply =
  | { readonly kind: "done" }
  | { readonly kind: "sessionOpened"; readonly session: SessionId }
  | { readonly kind: "allocated"; readonly grants: readonly GrantId[] }
  | { readonly kind: "uploadBegun"; readonly upload: InodeId }
  | FileCommitted
  | InodeChanged
  | { readonly kind: "snapshotCreated"; readonly revision: number; readonly at: WallMs }
  | {
      readonly kind: "locked";
      readonly holder: string;
      readonly token: number;
      readonly expiresAt: WallMs;
    }
  | { readonly kind: "jobCreated"; readonly job: JobId }
  | { readonly kind: "movesBegun"; readonly handles: readonly ChunkHandle[] }
  | { readonly kind: "tailOpened"; readonly handle: ChunkHandle }
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
  /** 0 for never. */
  readonly expiresAt: WallMs;
}

/** A file or directory as a command left it. */
export interface InodeChanged {
  readonly kind: "inode";
  readonly inode: InodeId;
  readonly node: Inode;
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
