// Whether servers give out what they should not: looks at the frames that leave chunkservers.
//
// D1. A block that leaves a server has the checksum that leaves with it: a damaged replica is never
//     served.
// D2. A block of a chunk that is kept as copies is the same, whoever serves it and whenever (C3).
// L4. Nobody answers a read of a growing chunk as its primary once a later epoch is active: its
//     lease was over before (docs/design/0019, rule 15).

import { nativeCrc32c } from "@lumeofs/node";
import { FrameDecoder, firstBadBlock, type Message } from "@lumeofs/node/frames";
import { must } from "./violation.js";

/** Listens to one connection, from the side that has accepted it. */
export interface Tap {
  /** Bytes on their way to the server. */
  came(bytes: Buffer): void;
  /** Bytes on their way from it. */
  left(bytes: Buffer): void;
}

/** Messages behind which a request gets no more. */
const ENDS: ReadonlySet<Message["type"]> = new Set(["readEnd", "tailEnd", "error"]);

type Listen = (request: number, message: Message, payload: readonly Uint8Array[]) => void;

export interface ServedBytesParts {
  /** Told what is broken: who sends bytes is not to be disturbed. */
  readonly failed: (error: unknown) => void;
  /** Whether a chunk is known to be kept as copies: units of one are not alike. */
  readonly isCopied: (handle: number) => boolean;
  /** The epoch that became active last, as far as any master knows; undefined: none counts now. */
  readonly activeEpoch: (handle: number) => number | undefined;
}

/** Remembers what was served in one world. */
export class ServedBytes {
  /** Blocks that were looked at. */
  count = 0;
  readonly #crcs = new Map<string, string>();
  readonly #parts: ServedBytesParts;

  constructor(parts: ServedBytesParts) {
    this.#parts = parts;
  }

  tap(machine: string): Tap {
    const reads = new Map<number, string>();
    const tailReads = new Map<number, number>();
    return {
      came: decoding((request, message) => {
        if (message.type === "tailRead" && message.seen === undefined) {
          tailReads.set(request, message.handle);
        }
        if (message.type !== "read") return;
        reads.set(request, `${message.handle} of epoch ${message.epoch}`);
      }),
      left: decoding((request, message, payload) => {
        try {
          const handle = tailReads.get(request);
          if (message.type === "tailEnd" && handle !== undefined) {
            this.#checkLease(machine, handle, message.epoch);
          }
          const chunk = reads.get(request) ?? "?";
          if (message.type === "readData") this.#check({ machine, chunk }, message, payload);
        } catch (error) {
          this.#parts.failed(error);
        }
        if (!ENDS.has(message.type)) return;
        reads.delete(request);
        tailReads.delete(request);
      }),
    };
  }

  #checkLease(machine: string, handle: number, epoch: number): void {
    const active = this.#parts.activeEpoch(handle);
    must(active === undefined || active <= epoch, "L4", () => {
      return `${machine} answers for chunk ${handle} in epoch ${epoch}, and ${active} is active`;
    });
  }

  #check(
    { machine, chunk }: { readonly machine: string; readonly chunk: string },
    { offset, crcs }: Extract<Message, { readonly type: "readData" }>,
    payload: readonly Uint8Array[],
  ): void {
    const bad = firstBadBlock(payload, crcs, nativeCrc32c);
    const where = (): string => `${machine} serves chunk ${chunk} at ${offset}`;
    must(bad === undefined, "D1", () => `${where()}: block ${bad} is damaged`);
    if (this.#parts.isCopied(Number.parseInt(chunk, 10))) {
      this.#same(`${chunk} ${offset}`, crcs, where);
    }
  }

  #same(block: string, crcs: Uint8Array, where: () => string): void {
    this.count++;
    const found = Buffer.from(crcs).toString("hex");
    const known = this.#crcs.get(block) ?? found;
    // One server may give out more blocks at once than another.
    const isSame = known.startsWith(found) || found.startsWith(known);
    must(isSame, "D2", () => `${where()}: its checksums are ${found}, and were ${known}`);
    if (known.length <= found.length) this.#crcs.set(block, found);
  }
}

/** Frames out of bytes. What cannot be read ends the listening: the receiver ends it too. */
function decoding(listen: Listen): (bytes: Buffer) => void {
  const decoder = new FrameDecoder(nativeCrc32c);
  let isOver = false;
  return (bytes) => {
    if (isOver) return;
    decoder.push(bytes);
    for (;;) {
      let frame: ReturnType<FrameDecoder["body"]>;
      try {
        frame = decoder.head() === undefined ? undefined : decoder.body();
      } catch {
        isOver = true;
        return;
      }
      if (frame === undefined) return;
      listen(frame.request, frame.message, frame.payload);
    }
  };
}
