import type { Crc32c } from "@lumeofs/base";
import { crc32c } from "@node-rs/crc32";

/** CRC32C by the processor's own instruction: some gigabytes a second. Same answers as base's. */
export const nativeCrc32c: Crc32c = (data, initial = 0) => crc32c(data, initial);
