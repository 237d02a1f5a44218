// The bytes of a chunk that the masters keep themselves: they come with its place, and count only
// if they are what the chunk's record says.
//
// L1. A master that has lost them, or has others, shows it by what it gives. Each of the others is
//     asked before that is called a loss: one copy is enough.

import { type Crc32c, LumeoError } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { ChunkMap } from "./chunk-map.js";
import type { ChunkTarget } from "./chunk-target.js";
import type { LocatedChunk, SharedRead } from "./operations.js";
import type { MasterPool } from "./rpc/master-pool.js";
import type { SpanBytes } from "./span-reader.js";

export interface InlineReaderParts {
  readonly masters: Pick<MasterPool, "attemptAt" | "endpoints">;
  readonly ports: { readonly crc32c: Crc32c };
}

/** Whatever this one master has, be it old. */
const ITS_OWN: SharedRead = {
  wish: { consistency: "stale", ageMsMax: 0 },
  answered: () => undefined,
};

export class InlineReader {
  readonly #parts: InlineReaderParts;

  constructor(parts: InlineReaderParts) {
    this.#parts = parts;
  }

  /**
   * The bytes of a span of an inline chunk, checked.
   *
   * @throws LumeoError DATA_LOSS (L1); CONFLICT if the file was replaced meanwhile.
   */
  async read(call: Call, target: ChunkTarget): Promise<SpanBytes> {
    const { chunk, wish } = target;
    const fault = faultOfInline(chunk, this.#parts.ports.crc32c);
    if (fault === undefined) return spanOf(chunk, wish.span);
    const other = await this.#fromOthers(call, target);
    if (other !== undefined) return spanOf(other, wish.span);
    await target.file.checkUnchanged(call);
    const which = `number ${wish.span.chunk} of "${target.file.info.path}"`;
    const what = `Cannot read chunk ${chunk.handle} (${which}) from any master, which keep it`;
    throw new LumeoError("DATA_LOSS", `${what}: ${fault}`);
  }

  /** The chunk as the first master has it that has it whole. */
  async #fromOthers(
    call: Call,
    { file, chunk, wish }: ChunkTarget,
  ): Promise<LocatedChunk | undefined> {
    const { masters, ports } = this.#parts;
    const { handle, lengthBytes, crc32c } = chunk;
    for (const address of masters.endpoints) {
      try {
        const place = { file, position: wish.span.chunk, address };
        const found = await chunkAtMaster(masters, call, place);
        if (found?.handle !== handle) continue;
        const meant = { ...found, lengthBytes, crc32c };
        if (faultOfInline(meant, ports.crc32c) === undefined) return meant;
      } catch (error) {
        call.cancellation.throwIfAborted();
        if (!(error instanceof LumeoError)) throw error; // that master is of no use now
      }
    }
    return undefined;
  }
}

/**
 * The bytes of a range of a file that is one inline chunk and has come with its info; undefined if
 * it is another file, or anything speaks against these bytes.
 */
export function inlineRange(
  file: ChunkMap,
  { start, end }: { readonly start: number; readonly end: number },
  crc32c: Crc32c,
): Uint8Array | undefined {
  const { chunkCount, sizeBytes, crc32c: meant } = file.info;
  const chunk = chunkCount === 1 ? file.came(0) : undefined;
  if (chunk?.isInline !== true || chunk.lengthBytes !== sizeBytes) return undefined;
  if (chunk.crc32c !== meant || faultOfInline(chunk, crc32c) !== undefined) return undefined;
  return spanOf(chunk, { offset: start, length: end - start }).pieces[0];
}

/** A chunk of a file as one master has it, whoever leads. @throws LumeoError as it refuses. */
export async function chunkAtMaster(
  masters: Pick<MasterPool, "attemptAt">,
  call: Call,
  place: { readonly file: ChunkMap; readonly position: number; readonly address: string },
): Promise<LocatedChunk | undefined> {
  const { file, position, address } = place;
  const ask = file.askFor(position);
  const { timeoutMs, cancellation: signal } = call;
  const attempt = { kind: "stat", ask, read: ITS_OWN, request: undefined } as const;
  return (await masters.attemptAt(address, { ...attempt, timeoutMs, signal })).chunks[0];
}

/** What is wrong with the bytes that a master gave for an inline chunk; undefined if nothing is. */
export function faultOfInline(
  chunk: Pick<LocatedChunk, "isInline" | "inlineBytes" | "lengthBytes" | "crc32c">,
  crc32c: Crc32c,
): string | undefined {
  if (!chunk.isInline) return "it does not keep this chunk";
  const bytes = chunk.inlineBytes;
  if (bytes?.byteLength !== chunk.lengthBytes) {
    return `${bytes?.byteLength ?? 0} bytes are there, expected ${chunk.lengthBytes}`;
  }
  const crc = crc32c(bytes);
  if (crc === chunk.crc32c) return undefined;
  return `the checksum of its bytes is ${hex(crc)}, expected ${hex(chunk.crc32c)}`;
}

/** A copy: the bytes share their memory with a whole message of the masters. */
function spanOf(
  { inlineBytes, crc32c }: LocatedChunk,
  { offset, length }: { readonly offset: number; readonly length: number },
): SpanBytes {
  const piece = new Uint8Array(inlineBytes ?? []).subarray(offset, offset + length);
  return { pieces: [piece], crc32c };
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
