export {
  type AccessRequest,
  type AccessVerdict,
  type HmacSha256,
  isGenuine,
  judgeAccess,
  keyIdOf,
  mintToken,
  type Right,
  readClaims,
  TOKEN_BYTES,
  type TokenClaims,
} from "./access/token.js";
export { TOKEN_SECRET_BYTES, TokenKey } from "./access/token-key.js";
export type { Brand } from "./brand.js";
export { Budget, type Permit } from "./budget.js";
export { ByteMap, compareBytes, hashBytes, isEqual } from "./byte-map.js";
export { ByteReader } from "./byte-reader.js";
export { ByteSlab } from "./byte-slab.js";
export { ByteWriter } from "./byte-writer.js";
export { type Cancellation, CancelSource, unlessAborted } from "./cancellation.js";
export {
  type ActiveSet,
  type AuthorityAnswer,
  activateEpoch,
  type ChunkAuthority,
  createAuthority,
  type EpochGrant,
  fenceOf,
  grantEpoch,
  isActive,
  isSuperfluous,
  majorityOf,
  type SealedContent,
  sealChunk,
} from "./chunk-authority.js";
export {
  CELL_BYTES_DEFAULT,
  CELL_BYTES_MAX,
  CELL_BYTES_MIN,
  type ChunkCoding,
  CODE_DEFAULT,
  type Code,
  faultOfCode,
  formatCode,
  isSameCode,
  parseCode,
  UNITS_MAX,
  unitCount,
} from "./chunk-code.js";
export {
  endGiven,
  type GivenLease,
  type HeldLease,
  type Instant,
  isHeld,
  isOver,
  LEASE_TERMS,
  type LeaseTerms,
  leaseOfUnknownHolder,
  NOBODYS_LEASE,
  overAt,
  releaseGiven,
  renewGiven,
  renewHeld,
} from "./chunk-lease.js";
export { type Crc32c, crc32c, crc32cCombine } from "./crc32c.js";
export type { Disk, File, OpenOptions } from "./disk.js";
export type { DiskReport } from "./disk-report.js";
export {
  asLumeoError,
  ERRORS,
  type ErrorCode,
  type ErrorDetails,
  type ErrorTraits,
  expectLumeoError,
  isErrorCode,
  LumeoError,
  type Outcome,
} from "./error.js";
export {
  type ChunkHandle,
  chunkHandle,
  type Epoch,
  epoch,
  GRANT_SLOTS,
  type GrantId,
  grantId,
  grantOf,
  handleIn,
  type InodeId,
  inodeId,
  type NodeId,
  nodeId,
  ROOT_INODE,
  type ServerId,
  type SessionId,
  serverId,
  sessionId,
  slotOf,
} from "./ids.js";
export { assertNever, InvariantViolation, invariant } from "./invariant.js";
export { type LogFields, type Logger, SILENT_LOGGER } from "./logger.js";
export { integerBetween, type Random, SeededRandom } from "./random.js";
export type { ReplicaStanding } from "./replica-standing.js";
export { type Closable, ResourceStack } from "./resource.js";
export {
  type Alarm,
  type Clock,
  type MonotonicMs,
  monotonicMs,
  type Timers,
  type WallMs,
  wallMs,
} from "./time.js";
export {
  CELL_STEP,
  type CellRange,
  cellLength,
  cellRanges,
  codedBytes,
  type Stripe,
  stripeCount,
  stripeOf,
  unitLength,
} from "./unit-layout.js";
export {
  BLOCK_BYTES,
  CHUNK_BYTES_DEFAULT,
  GiB,
  KiB,
  MiB,
  SMALL_CHUNK_BYTES_MAX,
} from "./units.js";
export { utf8Length, writeUtf8 } from "./utf8.js";
export { OpenFiles } from "./wal/open-files.js";
export {
  RECORD_BODY_BYTES_MAX,
  RECORD_PREFIX_BYTES,
  readRecordPrefix,
  recordBytes,
  recordIsIntact,
  SEGMENT_HEADER_BYTES,
  segmentSeed,
} from "./wal/record.js";
export { type ScanItem, type ScanOptions, scanSegment } from "./wal/segment-scan.js";
export {
  type ReplayItem,
  Wal,
  type WalMark,
  type WalOptions,
  type WalPlace,
} from "./wal/wal.js";
