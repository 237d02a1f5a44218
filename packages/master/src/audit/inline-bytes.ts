// The bytes of small files that the masters keep, against the chunks that they are of and against
// their totals (B1 and B2 in inline-table.ts).

import type { ChunkHandle } from "@lumeofs/base";
import { getChunk } from "../metadata/chunk-table.js";
import { faultOfBytes } from "../metadata/inline-chunks.js";
import { bytesOfRecord, inlineTotals } from "../metadata/inline-table.js";
import { inlineAfter, numberOf } from "../metadata/keys.js";
import type { StateReader } from "../metadata/state.js";
import type { NameFinding } from "./finding.js";
import { pagesOf } from "./records.js";

export interface InlineStep {
  /** In this step. */
  readonly records: number;
  readonly bytes: number;
  readonly findings: readonly NameFinding[];
}

/**
 * Reads all of the bytes, a page a step. Chunks of which there are none at all are for whoever
 * looks at the chunks.
 *
 * @param reader  Must not change meanwhile.
 */
export async function* auditInlineBytes(
  reader: StateReader,
): AsyncGenerator<InlineStep, void, undefined> {
  const found = { chunks: 0, bytes: 0 };
  for await (const page of pagesOf(reader, inlineAfter(0))) {
    const findings: NameFinding[] = [];
    let pageBytes = 0;
    for (const [key, record] of page) {
      const handle = numberOf(key) as ChunkHandle;
      const bytes = bytesOfRecord(record);
      pageBytes += record.byteLength - 1;
      const chunk = getChunk(reader, handle);
      const what =
        chunk?.isInline === true
          ? faultOfBytes(bytes, chunk)
          : "the masters keep bytes of it, and it is no chunk of theirs";
      if (what !== undefined) findings.push(finding(what, chunk?.inode ?? 0, handle));
    }
    found.chunks += page.length;
    found.bytes += pageBytes;
    yield { records: page.length, bytes: pageBytes, findings };
  }
  const said = inlineTotals(reader);
  if (said.chunks === found.chunks && said.bytes === found.bytes) return;
  const are = `${found.chunks} small files with ${found.bytes} bytes are kept by the masters`;
  const what = `${are}, and their totals say ${said.chunks} with ${said.bytes}`;
  yield { records: 0, bytes: 0, findings: [finding(what, 0, 0)] };
}

function finding(what: string, inode: number, handle: number): NameFinding {
  return { fault: "inlineBytes", path: "", inode, handle, what };
}
