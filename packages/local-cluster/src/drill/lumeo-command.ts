// The `lumeo` command as a process, as people run it.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { Readable, type Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { SystemClock } from "@lumeofs/node";

const clock = new SystemClock();

export interface LumeoRun {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Empty if `onStdout` took it. */
  readonly stdout: string;
  readonly stderr: string;
  readonly elapsedMs: number;
}

export interface LumeoRunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** What the command reads; nothing without it. */
  readonly stdin?: AsyncIterable<Uint8Array>;
  /** Takes the output piece by piece, for what does not fit into a text. */
  readonly onStdout?: (piece: Uint8Array) => void;
  /** Goes away after the first piece of output, as `head` does. */
  readonly closeStdout?: boolean;
  readonly onStart?: (pid: number) => void;
}

/** Text above this is cut off. */
const TEXT_CHARACTERS_MAX = 16 * 1024 * 1024;

export class LumeoCommand {
  readonly #bin: string;
  readonly #environment: Readonly<Record<string, string>>;

  /** @param bin  Path of bin/lumeo.mjs. */
  constructor(bin: string, environment: Readonly<Record<string, string>> = {}) {
    this.#bin = bin;
    this.#environment = environment;
  }

  /** Runs one command to its end; its exit code is part of the answer, not an error. */
  async run(args: readonly string[], options: LumeoRunOptions = {}): Promise<LumeoRun> {
    const startedMs = clock.monotonicMs();
    const child = spawn(process.execPath, [this.#bin, ...args], {
      env: { ...process.env, ...this.#environment, ...options.environment },
      stdio: ["pipe", "pipe", "pipe"],
    });
    if (child.pid !== undefined) options.onStart?.(child.pid);
    if (options.closeStdout === true) child.stdout.once("data", () => child.stdout.destroy());
    const stdout = collect(child.stdout, options.onStdout);
    const stderr = collect(child.stderr);
    // A command that ends before it has read everything breaks the pipe: its exit code says why.
    const fed = pipeline(Readable.from(options.stdin ?? []), child.stdin).catch(() => {});
    const [status, signal] = await ended(child);
    await fed;
    const texts = { stdout: await stdout, stderr: await stderr };
    return { status, signal, ...texts, elapsedMs: clock.monotonicMs() - startedMs };
  }
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

function ended(child: Child): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => resolve([status, signal]));
  });
}

async function collect(stream: Readable, take?: (piece: Uint8Array) => void): Promise<string> {
  let text = "";
  stream.on("data", (piece: Uint8Array) => {
    if (take !== undefined) take(piece);
    else if (text.length < TEXT_CHARACTERS_MAX) text += String(piece);
  });
  await new Promise((closed) => stream.once("close", closed));
  return text;
}
