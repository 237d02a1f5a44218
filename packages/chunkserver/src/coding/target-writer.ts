// One new replica, or one new unit of a coded chunk, on its way to the server that is to have it; a
// replica goes on from there to the others of its chain.
//
// W1. Bytes that were written may be changed again: they are copied into frames here.
// W2. A frame is filled anew only when it has left.
// W3. `finish` ends well only when everybody in the chain has it durably: a store that was wiped
//     has another number, and its copy would be nobody's.

import {
  BLOCK_BYTES,
  type Cancellation,
  type ChunkHandle,
  type Crc32c,
  type Epoch,
  invariant,
  LumeoError,
  MiB,
  type ServerId,
  SMALL_CHUNK_BYTES_MAX,
} from "@lumeofs/base";
import { blockCrcs, type ChainLink, crcOfBlocks, type FramePool } from "@lumeofs/node/frames";
import { blamed, NextHop } from "../transfer/next-hop.js";

/** Apart from what servers pass on to each other, which has small numbers. */
const LANE = 120;
const FRAME_BYTES = 1 * MiB;
const FRAMES = 2;

export interface TargetPorts {
  readonly pool: FramePool;
  readonly crc32c: Crc32c;
}

export interface Target {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly token: Uint8Array | undefined;
  /** The server that gets it, and those to which it goes from there. */
  readonly chain: readonly [ChainLink, ...ChainLink[]];
  /** Whom the record names as its author: the same for all units of a chunk. */
  readonly author: ServerId;
  /** Known beforehand: small ones travel in one frame. */
  readonly lengthBytes: number;
}

interface Frame {
  readonly bytes: Uint8Array;
  /** Of its last use. */
  left: Promise<void>;
}

/** See the head of this file. */
export class TargetWriter {
  readonly #ports: TargetPorts;
  readonly #target: Target;
  readonly #signal: Cancellation;
  readonly #frames: Frame[] = [];
  #hop: NextHop | undefined;
  #filled = 0;
  #sentBytes = 0;
  #sentFrames = 0;
  #crc32c = 0;
  readonly #abort = (): void => this.close();

  constructor(ports: TargetPorts, target: Target, signal: Cancellation) {
    this.#ports = ports;
    this.#target = target;
    this.#signal = signal;
    signal.addEventListener("abort", this.#abort, { once: true });
  }

  /** Of all bytes written so far. */
  get crc32c(): number {
    return this.#crc32c;
  }

  /** @throws LumeoError that names the server that failed; the signal's reason. */
  async write(bytes: Uint8Array): Promise<void> {
    const written = this.#sentBytes + this.#filled + bytes.byteLength;
    invariant(written <= this.#target.lengthBytes, "a target gets no more than it is long");
    for (let at = 0; at < bytes.byteLength; ) {
      const frame = await this.#frame();
      const part = bytes.subarray(at, at + frame.byteLength - this.#filled);
      frame.set(part, this.#filled);
      this.#filled += part.byteLength;
      at += part.byteLength;
      if (this.#filled === frame.byteLength) await this.#send();
    }
  }

  /** @throws As `write`; then nobody counts as having it. */
  async finish(): Promise<void> {
    const { lengthBytes } = this.#target;
    const written = this.#sentBytes + this.#filled;
    invariant(written === lengthBytes, "a target gets all its bytes", { lengthBytes, written });
    if (lengthBytes === 0) return this.close(); // it is stored nowhere
    if (lengthBytes <= SMALL_CHUNK_BYTES_MAX) await this.#sendWhole();
    else await this.#close();
    const hop = this.#hop;
    const done = await hop?.done.catch((error: unknown) => {
      this.#signal.throwIfAborted();
      throw error;
    });
    if (done?.length !== lengthBytes || done.crc32c !== this.#crc32c) {
      const [{ server }] = this.#target.chain;
      const message = `Server ${server} confirmed other bytes than it was sent`;
      throw new LumeoError("PROTOCOL", message, { servers: [server] });
    }
    this.#checkServers(done.servers);
    this.close();
  }

  /** W3. */
  #checkServers(confirmed: readonly ServerId[]): void {
    const absent = this.#target.chain.filter(({ server }) => !confirmed.includes(server));
    if (absent.length === 0) return;
    const servers = absent.map(({ server }) => server);
    const message = `Servers ${servers.join(", ")} have nothing: other stores are there now`;
    throw new LumeoError("CONFLICT", message, { servers });
  }

  /** Gives the connection back; a write that has not ended is given up by its server. */
  close(): void {
    this.#signal.removeEventListener("abort", this.#abort);
    this.#hop?.close();
  }

  /** The one that is being filled. */
  async #frame(): Promise<Uint8Array> {
    const at = this.#sentFrames % FRAMES;
    const bytes = Math.min(FRAME_BYTES, roundUp(this.#target.lengthBytes));
    this.#frames[at] ??= { bytes: new Uint8Array(bytes), left: Promise.resolve() };
    const frame = this.#frames[at];
    if (this.#filled === 0) await frame.left;
    this.#check();
    return frame.bytes;
  }

  async #send(): Promise<void> {
    const frame = this.#frames[this.#sentFrames % FRAMES];
    if (frame === undefined || this.#target.lengthBytes <= SMALL_CHUNK_BYTES_MAX) return;
    this.#hop ??= await this.#open({ type: "writeOpen", ...this.#addressed() });
    this.#check();
    const payload = [frame.bytes.subarray(0, this.#filled)];
    const crcs = blockCrcs(payload, this.#ports.crc32c);
    const message = { type: "writeData" as const, offset: this.#sentBytes, crcs };
    this.#crc32c = crcOfBlocks(crcs, this.#filled, this.#crc32c);
    this.#sentBytes += this.#filled;
    this.#sentFrames++;
    this.#filled = 0;
    const hop = this.#hop;
    let roomy: Promise<void> | undefined;
    frame.left = new Promise((resolve) => {
      try {
        roomy = hop.send(message, payload, resolve);
      } catch {
        resolve(); // the connection is gone: the answer says so, and is looked at next
      }
    });
    await roomy?.catch(() => undefined);
    this.#check();
  }

  async #close(): Promise<void> {
    if (0 < this.#filled) await this.#send();
    const hop = this.#hop;
    invariant(hop !== undefined, "a large target has been opened");
    hop.exchange.send({ type: "writeClose", length: this.#sentBytes, crc32c: this.#crc32c });
    hop.awaitAnswer();
  }

  async #sendWhole(): Promise<void> {
    const payload = [(this.#frames[0]?.bytes ?? new Uint8Array()).subarray(0, this.#filled)];
    const crcs = blockCrcs(payload, this.#ports.crc32c);
    const length = this.#filled;
    this.#crc32c = crcOfBlocks(crcs, length);
    const whole = { crcs, length, crc32c: this.#crc32c };
    this.#hop = await this.#open({ type: "writeSmall", ...this.#addressed(), ...whole }, payload);
    this.#check();
  }

  #addressed() {
    const { handle, epoch, token, chain, author } = this.#target;
    const shown = token === undefined ? {} : { token };
    return { handle, epoch, ...shown, chain: chain.slice(1), primary: author };
  }

  async #open(
    first: Parameters<typeof NextHop.open>[2],
    payload?: readonly Uint8Array[],
  ): Promise<NextHop> {
    this.#signal.throwIfAborted();
    const [link] = this.#target.chain;
    const send = payload === undefined ? { lane: LANE } : { lane: LANE, payload };
    try {
      const hop = await NextHop.open(this.#ports.pool, link, first, send);
      if (this.#signal.aborted) hop.close();
      return hop;
    } catch (error) {
      throw blamed(error, link.server);
    }
  }

  #check(): void {
    this.#signal.throwIfAborted();
    if (this.#hop?.failedBy !== undefined) throw this.#hop.failedBy;
  }
}

/** Whole blocks: a frame that is not the last ends at the end of one. */
function roundUp(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / BLOCK_BYTES)) * BLOCK_BYTES;
}
