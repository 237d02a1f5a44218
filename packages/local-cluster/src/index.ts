export { ClusterFolder, type MemberRecord } from "./cluster-folder.js";
export type { StatusWatch } from "./cluster-watch.js";
export { findPortBase } from "./free-ports.js";
export {
  enoughForDefaults,
  LocalCluster,
  type LocalClusterOptions,
} from "./local-cluster.js";
export type { EntryFiles, MemberExit } from "./member-process.js";
export { identifyProcess, isRunning, type ProcessIdentity } from "./process-identity.js";
export type { ReportedStatus } from "./readiness.js";
export {
  inspectCluster,
  type RunningCluster,
  reviveClusterIn,
  stopClusterIn,
} from "./running-cluster.js";
export { TOPOLOGY_DEFAULT, type Topology } from "./topology.js";
export { waitUntil } from "./wait-until.js";
