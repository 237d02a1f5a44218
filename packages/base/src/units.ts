export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

/** A chunk holds at most this many bytes unless the file says less. */
export const CHUNK_BYTES_DEFAULT = 64 * MiB;
/** A checksum (CRC32C) stands for this many bytes of a chunk; its last block may be shorter. */
export const BLOCK_BYTES = 64 * KiB;
/** Chunks up to this size are stored inside a log segment instead of a file of their own. */
export const SMALL_CHUNK_BYTES_MAX = 256 * KiB;
