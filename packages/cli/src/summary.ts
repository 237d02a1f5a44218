// The last words of put and get: how much in how long, and what was left out.

import type { Clock, MonotonicMs } from "@lumeofs/base";
import type { Tally } from "./exit-status.js";
import { formatBytes, formatDuration, formatRate, plural, printable } from "./format.js";
import type { Output } from "./output.js";

export class Summary {
  #files = 0;
  #bytes = 0;
  #skipped = 0;
  #last = "";
  readonly #clock: Clock;
  readonly #startedMs: MonotonicMs;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startedMs = clock.monotonicMs();
  }

  /** A file was copied; `path` is its new name. */
  copied(path: string, bytes: number): void {
    this.#files++;
    this.#bytes += bytes;
    this.#last = path;
  }

  /** Something was left out on purpose. @returns How many were. */
  skipped(): number {
    this.#skipped++;
    return this.#skipped;
  }

  /** Says it. With `--json` one object, unless the only file has been reported by itself. */
  report(verb: string, tally: Tally, options: { output: Output; isTree: boolean }): void {
    const { output, isTree } = options;
    const [files, bytes, skipped] = [this.#files, this.#bytes, this.#skipped];
    const elapsedMs = Math.round(this.#clock.monotonicMs() - this.#startedMs);
    if (0 < skipped) output.note(`${plural(skipped, "entry")} skipped, see above`);
    if (tally.stoppedBy !== undefined) output.note("Stopped there: what remained was not tried");
    if (1 < tally.failed) output.note(`${plural(tally.failed, "item")} failed, named above`);
    const isOne = files === 1 && tally.failed === 0 && !isTree;
    if (files === 0 || (output.json && isOne)) return;
    const what = isOne ? `"${printable(this.#last)}"` : plural(files, "file");
    const speed = `${formatDuration(elapsedMs)}, ${formatRate(bytes, elapsedMs)}`;
    const summary = { files, bytes, skipped, failed: tally.failed, elapsedMs };
    output.result(`${verb} ${what}: ${formatBytes(bytes)} in ${speed}`, { summary });
  }
}
