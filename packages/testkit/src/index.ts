// For tests, simulations and benchmarks only.
export { type ClockUnderTest, testClock } from "./contract/clock.js";
export { type DiskUnderTest, testDisk } from "./contract/disk.js";
export { findFreePorts } from "./free-ports.js";
export {
  checkOperations,
  History,
  type Model,
  type Operation,
  type Pending,
  type Verdict,
} from "./history.js";
export { MemoryDisk } from "./memory-disk.js";
export { type ImportPatched, type Patch, withPatchedCopy } from "./patched-copy.js";
export { type ClockError, SimClock } from "./sim/clock.js";
export {
  type CrashLoss,
  type DiskCall,
  type DiskCallKind,
  type DiskFault,
  type DiskMoment,
  SimDisk,
  type SimDiskOptions,
  type UnsyncedPiece,
} from "./sim/disk.js";
export { type FaultPause, FaultSchedule } from "./sim/fault-schedule.js";
export { Lifetime } from "./sim/lifetime.js";
export {
  type LinkSettings,
  type NetworkCounts,
  PERFECT_LINK,
  type Receive,
  SimNetwork,
} from "./sim/network.js";
export {
  type Direction,
  PARTITION_MODES,
  type PartitionMode,
  partition,
  shuffled,
} from "./sim/partition.js";
export { type RunEnd, type RunLimits, World } from "./sim/world.js";
export {
  checkTransactions,
  type Step,
  type Transaction,
  type TransactionVerdict,
} from "./transactions.js";
