import { MiB } from "@lumeofs/base";

/** Bytes of a frame: the most that the data plane takes. */
export const FRAME_BYTES = 1 * MiB;

/** Buffers that stay allocated while no stream is being stored. */
const IDLE_BUFFERS_MAX = 4;

/** Buffers of one frame each, used again and again by all streams that share them. */
export class FrameBuffers {
  readonly #free: Buffer[] = [];
  #users = 0;

  /** A stream begins. While there is one, every buffer that comes back is kept. */
  enter(): void {
    this.#users++;
  }

  /** A stream has ended. */
  leave(): void {
    this.#users--;
    if (this.#users === 0) this.#free.splice(IDLE_BUFFERS_MAX);
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(FRAME_BYTES);
  }

  /** Nobody reads them any more: also no socket. */
  give(buffers: readonly Buffer[]): void {
    this.#free.push(...buffers);
  }
}
