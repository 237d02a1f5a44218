/** Buffers of one size, used again: fresh memory for every read costs page faults. */
export class BlockBuffers {
  readonly #free: Uint8Array[] = [];

  constructor(
    readonly bytes: number,
    readonly keptMax: number,
  ) {}

  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(this.bytes);
  }

  /** The caller does not touch it any more. */
  give(buffer: Uint8Array): void {
    if (this.#free.length < this.keptMax) this.#free.push(buffer);
  }
}
