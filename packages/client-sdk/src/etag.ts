// The etag of a file: `revision-crc32c`, both in hex, and for a file that is being appended to
// `revision-crc32c-bytes`. The revision changes with every commit and every seal, so an etag names
// one content of one file; the checksum lets people compare contents across files.

import { LumeoError } from "@lumeofs/base";

/** The etag of a revision, such as "2f-8a9136aa". */
export function formatEtag(revision: number, crc32c: number): string {
  return `${revision.toString(16)}-${crc32c.toString(16).padStart(8, "0")}`;
}

/**
 * The revision that an etag names.
 *
 * @throws LumeoError INVALID_ARGUMENT if it is not an etag of this system.
 */
export function revisionOf(etag: string): number {
  const digits = /^"?([0-9a-f]{1,14})-[0-9a-f]{8}(?:-[0-9a-f]{1,8})?"?$/.exec(etag)?.[1];
  const revision = digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
  if (Number.isSafeInteger(revision) && 0 < revision) return revision;
  throw new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot use etag "${etag}": expected one such as "2f-8a9136aa", as stat shows it`,
  );
}
