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

/** Each answer is as of after the question: what was acknowledged before is in it. */
export interface AuditSource {
  servers(): Promise<readonly AuditedServer[]>;
  /** Chunks behind a handle; `next` is where the next page begins, 0 at the end. */
  chunks(
    after: number,
  ): Promise<{ readonly chunks: readonly AuditedChunk[]; readonly next: number }>;
  /** Undefined if neither a file has it nor had one lately. */
  chunk(handle: number): Promise<AuditedChunk | undefined>;
  /** The server's own word. Fewer than `limit` are the last. @throws LumeoError */
  replicas(server: number, after: number, limit: number): Promise<readonly ReplicaFacts[]>;
  judge(server: number, replicas: readonly ReplicaFacts[]): Promise<readonly ReplicaStanding[]>;
  /** Has all copies of a chunk read from their disks. */
  read(handle: number): Promise<readonly CopyReading[]>;
  pause(ms: number): Promise<void>;
  /** Milliseconds that never go back. */
  nowMs(): number;
}
