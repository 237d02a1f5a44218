// Bytes that were written and are not in the file yet: ranges that do not overlap, by their start.

interface Range {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export class Overlay {
  #ranges: Range[] = [];

  /** Of all ranges together. */
  get byteLength(): number {
    return this.#ranges.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
  }

  /** Behind the last byte; 0 if there is none. */
  get end(): number {
    const last = this.#ranges.at(-1);
    return last === undefined ? 0 : last.start + last.bytes.byteLength;
  }

  /** Takes a copy of the bytes; they hide what was written there before. */
  write(start: number, data: Uint8Array): void {
    if (data.byteLength === 0) return;
    const kept = this.#without(start, start + data.byteLength);
    kept.push({ start, bytes: new Uint8Array(data) }); // slice() of a Buffer copies nothing
    this.#ranges = kept.sort((a, b) => a.start - b.start);
  }

  /** Forgets what lies at or behind an offset. */
  cut(end: number): void {
    this.#ranges = this.#without(end, Infinity);
  }

  clear(): void {
    this.#ranges = [];
  }

  /** Whether something was written from `start` up to, not including, `end`. */
  touches(start: number, end: number): boolean {
    if (end <= start) return false;
    return this.#ranges.some((one) => one.start < end && start < one.start + one.bytes.byteLength);
  }

  /** Writes into `target`, whose first byte stands at `start` of the file. */
  applyTo(target: Uint8Array, start: number): void {
    const end = start + target.byteLength;
    for (const { start: at, bytes } of this.#ranges) {
      const from = Math.max(at, start);
      const to = Math.min(at + bytes.byteLength, end);
      if (from < to) target.set(bytes.subarray(from - at, to - at), from - start);
    }
  }

  #without(start: number, end: number): Range[] {
    return this.#ranges.flatMap((range) => {
      const { start: at, bytes } = range;
      const stop = at + bytes.byteLength;
      if (stop <= start || end <= at) return [range];
      const before = { start: at, bytes: bytes.subarray(0, Math.max(0, start - at)) };
      const after = { start: end, bytes: bytes.subarray(Math.min(end - at, bytes.byteLength)) };
      return [before, after].filter((part) => 0 < part.bytes.byteLength);
    });
  }
}
