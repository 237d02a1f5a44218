// @lumeofs/client: files in a LumeoFS cluster.

export { type AppendResult, RECORD_BYTES_MAX } from "./append/appenders.js";
export type { Body } from "./body.js";
export { type ClientState, type ClusterInfo, Lumeo } from "./client.js";
export type {
  ChunkserverStatus,
  ClusterStatus,
  DiskStatus,
  MasterStanding,
  MasterStatus,
  ScrubStatus,
} from "./cluster-status.js";
export { connect, fromEnv } from "./connect.js";
export {
  type ChunkserverFacts,
  Diagnosis,
  type MasterFacts,
  type ProcessHealth,
} from "./diagnosis.js";
export {
  AbortedError,
  ChecksumError,
  ClosedError,
  ConflictError,
  DataLossError,
  ExistsError,
  LumeoError,
  type LumeoErrorCode,
  NotFoundError,
  PreconditionError,
  TimeoutError,
  UnavailableError,
} from "./error.js";
export type { LumeoEvents } from "./events.js";
export {
  FS_EVENT_TYPES,
  type FsEvent,
  type FsEventType,
  type Watch,
  type WatchOptions,
} from "./feed.js";
export type { LumeoFile } from "./file/lumeo-file.js";
export type { OpenFlags } from "./file/open-file.js";
export type {
  Checksum,
  ChunkInfo,
  FileInfo,
  PutResult,
  Redundancy,
  ReplicaInfo,
  TailInfo,
} from "./file-info.js";
export { Audits } from "./fsck/audits.js";
export type {
  FsckEvent,
  FsckFault,
  FsckFinding,
  FsckProgress,
} from "./fsck/finding.js";
export type { FsckOptions } from "./fsck/fsck.js";
export type { VerifiedChunk, VerifiedReplica, VerifyOptions } from "./fsck/verify.js";
export {
  type BeginOptions,
  type ChunkFilter,
  type ChunkHealth,
  type ChunkState,
  type ConvertOptions,
  type CopyCheck,
  type CopyVerdict,
  Healing,
  type JobConversion,
  type JobInfo,
  type JobKind,
  type NodeChange,
  type NodeInfo,
  type NodeListing,
  type NodeStanding,
} from "./healing.js";
export type { Listing, Page } from "./listing.js";
export { Lease, type LockInfo, type LockOptions, Locks } from "./locks.js";
export {
  type AddMastersOptions,
  type CheckMastersOptions,
  Masters,
  type NewMaster,
} from "./masters.js";
export type {
  Consistency,
  Fence,
  Freshness,
  Policy,
  PolicyChanges,
  Quota,
  QuotaChanges,
  Usage,
} from "./operations.js";
export type {
  AppendOptions,
  AttributeOptions,
  CallOptions,
  CopyOptions,
  GetOptions,
  HedgeOptions,
  ListOptions,
  LumeoOptions,
  MkdirOptions,
  Progress,
  PutOptions,
  RemoveOptions,
  RenameOptions,
  StatOptions,
} from "./options.js";
// For simulations of whole clusters, which stand clients on hosts of their own.
export type { Ports } from "./ports.js";
export type { Reading } from "./reading.js";
export type { Removed } from "./removals.js";
export type { RetryPolicy } from "./retry.js";
export type { GrowingChunk, SalvagedChunk } from "./rpc/tail-wire.js";
export { type SnapshotInfo, Snapshots, Versions } from "./snapshots.js";
export type { ByteRange } from "./span.js";
export type { CheckedMaster, MasterAgreement, StateCheck } from "./state-check.js";
export { Trash, type TrashItem } from "./trash.js";
