import type { ChunkHandle, Epoch, GrantId, ServerId } from "@lumeofs/base";
import type { Server } from "../metadata/servers.js";

export type Verdict =
  /** It is as it was written, and so long. */
  | { readonly kind: "intact"; readonly lengthBytes: number; readonly crc32c: number }
  /** The server has read its copy and found it damaged, or has none. */
  | { readonly kind: "bad"; readonly why: string };

/** A replica to delete: of this epoch or an earlier one. A later one stays. */
export interface ReplicaName {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
}

/** What an intact replica of a sealed chunk is: of a coded one, the unit of its server. */
export interface SealedReplica extends ReplicaName {
  readonly lengthBytes: number;
  readonly crc32c: number;
}

/** A server that has, or should have, a replica. */
export interface Holder {
  readonly id: ServerId;
  readonly server: Server;
}

/** A unit that another one is rebuilt from. */
export interface UnitSource {
  readonly unit: number;
  readonly lengthBytes: number;
  readonly crc32c: number;
  /** Undefined for a unit without bytes, which is nowhere. */
  readonly holder: Holder | undefined;
}

/** From which units which one is made. */
export interface Rebuild {
  readonly data: number;
  readonly parity: number;
  readonly unit: number;
  /** Those to read first at the front; as many as there are data units are needed. */
  readonly sources: readonly UnitSource[];
}

export interface CopyOrder {
  readonly chunk: SealedReplica;
  /** Of the leader that gives it: see MetadataLog.mandate. */
  readonly mandate: number;
  /**
   * Asked in this order, 1 to COPY_SOURCES_MAX: the next goes on where the one before failed. None
   * if it is rebuilt.
   */
  readonly sources: readonly Holder[];
  /** It is a unit of a coded chunk: another unit that the target has makes room for it. */
  readonly isUnit: boolean;
  /** Nobody has this unit. */
  readonly rebuild?: Rebuild | undefined;
  /** For all copies that the target makes with a limit; 0 for none. */
  readonly bytesPerSecondMax: number;
  readonly signal?: AbortSignal;
}

export interface VerifyOrder {
  readonly handle: ChunkHandle;
  /** What the copy should have: small ones are read together. Undefined if it is not known. */
  readonly lengthBytes: number | undefined;
  readonly signal?: AbortSignal;
}

export interface AuditOrder {
  readonly chunk: SealedReplica;
  readonly holder: Holder;
  readonly bytesPerSecondMax: number;
  readonly signal?: AbortSignal;
}

/** Sources in one order to copy. */
export const COPY_SOURCES_MAX = 8;

/** Grants in one order to close them. */
export const CLOSED_GRANTS_MAX = 256;

/** Why a source did not give what it should have. */
export interface SourceFault {
  readonly server: ServerId;
  /** Its replica is damaged, missing or another one; else it was not reached, or broke off. */
  readonly isBad: boolean;
  readonly why: string;
}

export type CopyOutcome =
  /** The target has it durably, from the sources. */
  | {
      readonly kind: "copied";
      readonly readBytes: number;
      readonly faults: readonly SourceFault[];
    }
  /** The target had it already, and has read it from its disk. */
  | { readonly kind: "here" }
  | { readonly kind: "noSource"; readonly why: string; readonly faults: readonly SourceFault[] }
  /** Two primaries wrote this chunk without knowing of each other: the target stopped it. */
  | { readonly kind: "twoHistories"; readonly why: string };

export type AuditOutcome =
  | { readonly kind: "intact"; readonly readBytes: number }
  | { readonly kind: "bad"; readonly why: string }
  /** The auditor could not reach the holder: nothing is known. */
  | { readonly kind: "unreached"; readonly why: string }
  | { readonly kind: "twoHistories"; readonly why: string };

/**
 * Orders to chunkservers. Each throws a LumeoError if the server cannot be reached or refuses;
 * after CONNECTION_LOST, TIMEOUT or ABORTED it may have been obeyed.
 */
export interface Orders {
  /**
   * Deletes copies that nobody needs any more. Those that are not there are no error.
   *
   * @returns The chunks that the server has at a later epoch, and keeps.
   */
  deleteReplicas(server: Server, replicas: readonly ReplicaName[]): Promise<readonly ChunkHandle[]>;
  /** Has a copy read from the disk and every block of it checked. */
  verifyReplica(server: Server, order: VerifyOrder): Promise<Verdict>;
  /**
   * Has a replica made or healed from others, or rebuilt, durably. The same order twice is
   * harmless.
   *
   * @throws LumeoError NOT_LEADER if the target has obeyed an order of a later leader;
   *         OVERLOADED if it makes as many copies as it can; NO_SPACE;
   *         STALE_EPOCH if the target has a later epoch; CONFLICT if it has other intact bytes of
   *         the same epoch, which is an alarm; CORRUPT if units do not fit together, another
   *         alarm; TIMEOUT, UNAVAILABLE and the like.
   */
  copyReplica(target: Server, order: CopyOrder): Promise<CopyOutcome>;
  /**
   * Has `auditor` read the replica of another server, as that one's disk has it.
   *
   * @throws LumeoError OVERLOADED as `copyReplica`; TIMEOUT, UNAVAILABLE (the auditor) and so on.
   */
  auditReplica(auditor: Server, order: AuditOrder): Promise<AuditOutcome>;
  /**
   * Has a server take no new chunks under these grants any more, at most CLOSED_GRANTS_MAX.
   *
   * @returns Their handles under which a chunk is there, or is being written: under all others
   *          there will be none, as long as that server is not restarted.
   */
  closeGrants(server: Server, grants: readonly GrantId[]): Promise<readonly ChunkHandle[]>;
}
