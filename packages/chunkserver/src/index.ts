// @lumeofs/chunkserver: one chunkserver, in this process.
export { Chunkserver, type ChunkserverPorts } from "./chunkserver.js";
export { type ChunkserverConfig, readConfig } from "./config.js";
// For simulations of whole clusters, which stand chunkservers on hosts of their own.
export type { ChunkserverHost } from "./host.js";
export type { ChunkIndex, IndexChanges, IndexSummary, SegmentUse } from "./store/chunk-index.js";
export type { KnownChunk } from "./store/chunk-store.js";
export type { ChunkEntry } from "./store/record.js";
