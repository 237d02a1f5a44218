// @lumeofs/chunkserver: one chunkserver, in this process.
export { Chunkserver, type ChunkserverPorts } from "./chunkserver.js";
export { type ChunkserverConfig, readConfig } from "./config.js";
