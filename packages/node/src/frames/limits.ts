import { KiB, MiB } from "@lumeofs/base";

/** Bytes before a frame's header. */
export const PREFIX_BYTES = 20;
export const HEADER_BYTES_MAX = 64 * KiB;
export const PAYLOAD_BYTES_MAX = 1 * MiB;
/** Largest chunk that the data plane carries. */
export const CHUNK_BYTES_MAX = 64 * MiB;
/** Replicas that a write may still have to reach. */
export const CHAIN_LENGTH_MAX = 7;
/** Primaries that a chunk may have had: as many as its record can count. */
export const CLOCK_ENTRIES_MAX = 255;
/** Chunks that one frame brings. */
export const CHUNKS_PER_FRAME_MAX = 64;
/** Requests that one connection carries at once. */
export const REQUESTS_PER_CONNECTION_MAX = 256;
/** Frames of one request that wait for its reader; a peer that sends more breaks the protocol. */
export const FRAMES_WAITING_MAX = 4096;
/** Bytes of frames that wait for the socket before `send` asks to wait. */
export const SEND_QUEUE_BYTES_MAX = 2 * MiB;
/** Payload bytes that an opener holds for all requests of one connection. */
export const RECEIVED_BYTES_MAX = 4 * MiB;
/** An accepted or opened connection with requests but without any byte moving is cut after this. */
export const STALL_MS = 60_000;
export const TEXT_BYTES_MAX = 4 * KiB;
/** Tokens of a later version may be longer than those of today. */
export const TOKEN_BYTES_MAX = 256;
