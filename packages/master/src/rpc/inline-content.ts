// Whether the bytes that come with a commit are kept by the masters: docs/design/0031. The leader
// decides, and its decision is in the command: all masters do the same, and a request that is
// repeated at another leader gets the first answer, whatever that one would decide.

import { LumeoError } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import type { Command } from "../metadata/command.js";
import { INLINE_BYTES_MAX } from "../metadata/inline-table.js";

export interface InlineTerms {
  /** A larger file is not kept so; 0: none is. */
  readonly bytesMax: number;
  /** Of all that is kept so. */
  readonly totalBytesMax: number;
  /** Masters that keep a copy for good. */
  readonly voters: () => number;
}

type Commit = Extract<Command, { kind: "commit" }>;

/**
 * The commit with its bytes, or with the refusal of them.
 *
 * @throws LumeoError CHECKSUM if the bytes are not those that the commit speaks of: they get no
 *         place in the log.
 */
export function withInline(terms: InlineTerms, commit: Commit, bytes: Uint8Array): Commit {
  const why = refusalOf(terms, commit, bytes);
  if (why !== undefined) return { ...commit, inline: { kind: "refused", why } };
  const found = nativeCrc32c(bytes);
  if (found !== commit.crc32c) {
    const [is, said] = [found, commit.crc32c].map((crc) => crc.toString(16));
    const what = `Cannot keep the bytes of ${JSON.stringify(commit.path)}`;
    throw new LumeoError("CHECKSUM", `${what}: their checksum is ${is}, expected ${said}`);
  }
  const { totalBytesMax } = terms;
  return { ...commit, inline: { kind: "offered", bytes, totalBytesMax } };
}

function refusalOf(
  { bytesMax, voters }: InlineTerms,
  { replicas }: Commit,
  { byteLength }: Uint8Array,
): string | undefined {
  if (bytesMax === 0) return "the masters keep no files (inline-bytes is 0)";
  const most = Math.min(bytesMax, INLINE_BYTES_MAX);
  if (most < byteLength) return `it has ${byteLength} bytes, at most ${most} do (inline-bytes)`;
  const copies = voters();
  if (copies < replicas) return `it wants ${replicas} copies, and ${copies} masters vote`;
  return undefined;
}
