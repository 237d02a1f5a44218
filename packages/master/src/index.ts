// A master as a library: what tests, tools and the local cluster start.
export { checkSettings, type Invocation, type MasterConfig, readConfig } from "./config.js";
// For simulations of whole clusters, which stand masters on hosts of their own and look inside.
export type {
  LevelDatabase,
  LevelOperation,
  LevelPair,
  LevelRange,
  LevelScan,
  LevelSnapshot,
} from "./consensus/level-database.js";
export type { MasterHost } from "./host.js";
export { Master, type MasterPorts } from "./master.js";
export { type ChunkRecord, getChunk } from "./metadata/chunk-table.js";
export {
  chunksPage,
  jobsPage,
  type NumberedChunk,
  type NumberedJob,
} from "./metadata/healing-queries.js";
export { faultOfInline } from "./metadata/inline-chunks.js";
export { isOpen } from "./metadata/jobs.js";
export { holdsNothing, memberContent } from "./metadata/member-content.js";
export { getServer, type Server, serverOfUuid } from "./metadata/servers.js";
export type { StateReader } from "./metadata/state.js";
export { getTail, tailsPage } from "./metadata/tail-table.js";
export { type BackedUpState, type FoundingMember, restoreMember } from "./restore-member.js";
