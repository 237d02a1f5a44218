// The only writer to standard output and standard error.
//
// O1. Results go to standard output; progress, warnings and errors go to standard error.
// O2. A reader that goes away (`lumeo cat /x | head`) is no error: who produces output stops
//     quietly, who does other work goes on without a listener.
// O3. Writing waits while the reader is slow: nothing piles up.

import { once } from "node:events";
import type { Writable } from "node:stream";
import pico from "picocolors";
import { errorJson, errorText } from "./error-text.js";
import { printable } from "./format.js";

/** Nobody reads the standard output any more. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly debug: boolean;
  readonly color: boolean;
}

export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly #stdout: Writable;
  readonly #stderr: Writable;
  readonly #debug: boolean;
  readonly #paint: ReturnType<typeof pico.createColors>;
  /** Why nothing can be written to the standard output any more. */
  #broken: Error | undefined;
  /** Takes the progress bar off the screen before a line is written. */
  #clearLine: () => void = () => {};

  constructor(streams: { stdout: Writable; stderr: Writable }, options: OutputOptions) {
    this.#stdout = streams.stdout;
    this.#stderr = streams.stderr;
    this.json = options.json;
    this.quiet = options.quiet;
    this.#debug = options.debug;
    this.#paint = pico.createColors(options.color);
    this.#stdout.on("error", (error: NodeJS.ErrnoException) => {
      this.#broken =
        error.code === "EPIPE"
          ? new ReaderGone("nobody reads the output")
          : reworded(error, `Cannot write to standard output: ${errorText(error)}`);
    });
    this.#stderr.on("error", () => {});
  }

  /** Writes what the command is for. @throws ReaderGone */
  async write(data: string | Uint8Array): Promise<void> {
    if (this.#broken !== undefined) throw this.#broken;
    this.#clearLine();
    if (!this.#stdout.write(data)) await settled(this.#stdout);
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** Writes one line, or with `--json` one object. @throws ReaderGone */
  async line(text: string, value: object): Promise<void> {
    await this.write(`${this.json ? JSON.stringify(value) : text}\n`);
  }

  /** Says what was done. Work goes on whether or not somebody listens. */
  result(text: string, value: object): void {
    if (this.#broken !== undefined || (this.quiet && !this.json)) return;
    this.#clearLine();
    this.#stdout.write(`${this.json ? JSON.stringify(value) : text}\n`);
  }

  /** A remark for people, on the error output; silent with `--quiet` or `--json`. */
  note(text: string): void {
    if (!this.quiet && !this.json) this.#toStderr(text);
  }

  /** Something that the user should know although the command goes on. */
  warn(text: string): void {
    const value = JSON.stringify({ warning: { message: text } });
    this.#toStderr(
      this.json ? value : `lumeo: ${this.#paint.yellow("warning:")} ${printable(text)}`,
    );
  }

  /** Something failed. `action` is put in front where the error does not say it itself. */
  error(error: unknown, action?: string): void {
    const isOwn = errorText(error).startsWith("Cannot ");
    const text =
      action === undefined || isOwn ? errorText(error) : `${action}: ${errorText(error)}`;
    const value = errorJson(text === errorText(error) ? error : reworded(error, text));
    this.#toStderr(
      this.json ? JSON.stringify(value) : `lumeo: ${this.#paint.red("error:")} ${printable(text)}`,
    );
    if (this.#debug && error instanceof Error) this.#toStderr(error.stack ?? "");
  }

  /** Plain text to the error output, for progress. */
  progress(text: string): void {
    this.#toStderr(text);
  }

  /** Called before every line, so that a bar and lines do not mix; undefined takes it back. */
  set clearLine(clear: (() => void) | undefined) {
    this.#clearLine = clear ?? (() => {});
  }

  bold(text: string): string {
    return this.#paint.bold(text);
  }

  dim(text: string): string {
    return this.#paint.dim(text);
  }

  /**
   * Waits until everything written has left this process, or nobody can take it.
   *
   * @throws What the system says if results could not be written, except that nobody reads them.
   */
  async flush(): Promise<void> {
    for (const stream of [this.#stdout, this.#stderr]) {
      if (stream.destroyed) continue;
      // Pieces are taken in order: when this empty one is done, all before it are.
      await new Promise<void>((flushed) => stream.write("", () => flushed()));
    }
    if (this.#broken !== undefined && !(this.#broken instanceof ReaderGone)) throw this.#broken;
  }

  #toStderr(text: string): void {
    this.#clearLine();
    if (!this.#stderr.destroyed) this.#stderr.write(`${text}\n`);
  }
}

function reworded(error: unknown, message: string): Error {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : "";
  return Object.assign(new Error(message), { code });
}

/** Drained, or broken: an error is noted by the listener of the constructor. */
async function settled(stream: Writable): Promise<void> {
  const ended = new AbortController();
  const { signal } = ended;
  const wait = (event: string) => once(stream, event, { signal }).catch(() => {});
  try {
    await Promise.race([wait("drain"), wait("close"), wait("error")]);
  } finally {
    ended.abort();
  }
}
