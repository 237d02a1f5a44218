export { ClusterFolder, type MemberRecord } from "./cluster-folder.js";
export type { StatusWatch } from "./cluster-watch.js";
// For drills: tests on real processes, the quickstart, measurements.
export {
  type ChaosOptions,
  type ChaosPorts,
  type ChaosReport,
  runChaos,
} from "./drill/chaos/chaos.js";
export { connectedPorts } from "./drill/connections.js";
export { type Failure, type Gap, Ledger, type Outcome, type Tally } from "./drill/ledger.js";
export { LumeoCommand, type LumeoRun, type LumeoRunOptions } from "./drill/lumeo-command.js";
export {
  type MigrationPorts,
  type MigrationResult,
  type MigrationStep,
  migrate,
} from "./drill/migration.js";
export { type SeededBytes, seededBytes } from "./drill/seeded-bytes.js";
export type { AuditResult, Finding } from "./drill/soak/audit.js";
export type { Fault } from "./drill/soak/faults.js";
export { runSoak, type SoakOptions, type SoakPorts, type SoakReport } from "./drill/soak/soak.js";
export {
  compareTrees,
  digestFile,
  digestOf,
  digestTree,
  type TreeDigest,
} from "./drill/tree-digest.js";
export { findPortBase } from "./free-ports.js";
export {
  enoughForDefaults,
  LocalCluster,
  type LocalClusterOptions,
  type MemberLoss,
} from "./local-cluster.js";
export type { EntryFiles } from "./member-process.js";
export { identifyProcess, isRunning, type ProcessIdentity } from "./process-identity.js";
export type { ReportedStatus } from "./readiness.js";
export {
  addMastersIn,
  inspectCluster,
  type Revival,
  type RunningCluster,
  removeMastersIn,
  reviveClusterIn,
  stopClusterIn,
} from "./running-cluster.js";
export {
  CHUNKSERVERS_MAX,
  DISKS_MAX,
  MASTERS_ALLOWED,
  PORT_BASE_MAX,
  TOPOLOGY_DEFAULT,
  type Topology,
} from "./topology.js";
export { waitUntil } from "./wait-until.js";
