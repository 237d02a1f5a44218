// What a check of replicas asks: the masters what should be, the servers what is.

import type { ReplicaStanding } from "@lumeofs/base";
import type { ReplicaContent } from "../coding/replica-content.js";

/** A chunk as the masters have it now. */
export interface AuditedChunk {
  readonly handle: number;
  readonly epoch: number;
  /** Of its data. */
  readonly lengthBytes: number;
  /** Number of the content that it belongs to. */
  readonly content: number;
  /** No file has it any more: its copies are about to go. */
  readonly isReleased: boolean;
  /**
   * The masters keep its bytes: it has no members. What is wrong with them, empty if nothing is;
   * undefined for a chunk of chunkservers.
   */
  readonly inlineFault: string | undefined;
  readonly members: readonly AuditedMember[];
}

/** A server that has to have a copy of a chunk, or a unit, and what that has to be. */
export interface AuditedMember extends ReplicaContent {
  readonly id: number;
  readonly name: string;
}

/** What a server says of one of its replicas, without reading it. */
export interface ReplicaFacts {
  readonly handle: number;
  readonly epoch: number;
  readonly lengthBytes: number;
  readonly crc32c: number;
  /** Known to be damaged or missing. */
  readonly damaged: boolean;
}

/** What a server says of some chunks, and how far it is with telling the masters what it has. */
export interface HeldReplicas {
  /** Those that are there. */
  readonly replicas: ReadonlyMap<number, ReplicaFacts>;
  readonly rounds: InventoryRounds;
}

/** Rounds over all that a server has, numbered from 1 as its process begins them. */
export interface InventoryRounds {
  /** The last round that was begun. */
  readonly begun: number;
  /** The last one in which the masters have judged everything, and what they named is gone. */
  readonly whole: number;
  /** Since that one ended, or since the process began. */
  readonly sinceWholeMs: number;
  /** A round takes about so long. */
  readonly roundMs: number;
}

export interface AuditedServer {
  readonly id: number;
  readonly name: string;
  /** The masters hear it. */
  readonly isAlive: boolean;
  /** Away for so long that its copies are made elsewhere. */
  readonly isLost: boolean;
}

/** What a server found when it read its copy of a chunk from the disk. */
export interface CopyReading {
  readonly id: number;
  readonly name: string;
  readonly finding: "intact" | "bad" | "unknown";
  readonly why: string;
}

/** Chunks in one question that names them. */
export const NAMED_MAX = 500;
/** Chunks that are read because of one question: more would crowd out what clients do. */
export const READ_MAX = 16;

/** Some chunks, rising. */
export interface ChunksPage {
  readonly chunks: readonly AuditedChunk[];
  /** Where the next page begins, 0 at the end. */
  readonly next: number;
  /** Chunks with higher handles were begun after this was asked. */
  readonly grantedUpto: number;
}

/** Each answer is as of after the question: what was acknowledged before is in it. */
export interface AuditSource {
  servers(): Promise<readonly AuditedServer[]>;
  /** Chunks behind a handle. */
  chunks(after: number): Promise<ChunksPage>;
  /** At most NAMED_MAX. Without those that neither a file has nor had one lately. */
  named(handles: readonly number[]): Promise<ReadonlyMap<number, AuditedChunk>>;
  /** The server's own word. Fewer than `limit` are the last. @throws LumeoError */
  replicas(server: number, after: number, limit: number): Promise<readonly ReplicaFacts[]>;
  /** The same of at most NAMED_MAX chunks. @throws LumeoError */
  held(server: number, handles: readonly number[]): Promise<HeldReplicas>;
  judge(server: number, replicas: readonly ReplicaFacts[]): Promise<readonly ReplicaStanding[]>;
  /** Has all copies of at most READ_MAX chunks read from their disks. */
  read(handles: readonly number[]): Promise<ReadonlyMap<number, readonly CopyReading[]>>;
  pause(ms: number): Promise<void>;
  /** Milliseconds that never go back. */
  nowMs(): number;
}
