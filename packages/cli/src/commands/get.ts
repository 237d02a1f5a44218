// get: files and trees of the cluster into local files or the standard output.
//
// A local file appears, or is replaced, only when every byte has arrived and been verified.

import { mkdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { FileInfo, Reading } from "@lumeofs/client";
import { type ByteRange, parseRange, UsageError } from "../args.js";
import type { Client } from "../client.js";
import type { Context } from "../context.js";
import { choosePlacement, type Placement, type Target } from "../destination.js";
import { EXIT, type ExitStatus, exitStatusOfMany } from "../exit-status.js";
import { writeWholeFile } from "../local-file.js";
import { type Progress, startProgress } from "../progress.js";
import { baseName, isLocalName, nameBelow, parseRemotePath } from "../remote-path.js";
import { Summary } from "../summary.js";
import { type Job, transfer } from "../transfer.js";

export interface GetOptions {
  readonly recursive?: boolean;
  readonly range?: string;
  readonly version?: string;
}

const STDOUT = "-";

/** Copies `paths` but the last to the last. */
export async function get(
  context: Context,
  paths: readonly string[],
  options: GetOptions,
): Promise<ExitStatus> {
  const sources = paths.slice(0, -1).map((text) => parseRemotePath(text).path);
  const target = paths.at(-1) ?? "";
  const range = options.range === undefined ? undefined : parseRange(options.range);
  if (range !== undefined && (1 < sources.length || options.recursive === true)) {
    throw new UsageError("--range takes one file, without -r");
  }
  if (options.version !== undefined && (1 < sources.length || options.recursive === true)) {
    throw new UsageError("--version takes one file, without -r");
  }
  if (target === STDOUT && (1 < sources.length || options.recursive === true)) {
    throw new UsageError('"-" takes one file, without -r; see "lumeo cat" for several');
  }
  const { signal, settings, output } = context;
  const client = await context.client();
  const progress = await startProgress("get", context);
  const session = new Getting(context, client, { progress, range, options });
  try {
    if (target === STDOUT) return await session.toStdout(sources[0] ?? "");
    const placement = choosePlacement(sources.length, {
      shown: target,
      found: await findLocal(target),
      isFolder: target.endsWith("/"),
    });
    const tally = await transfer(session.jobs(sources, target, placement), {
      concurrency: settings.concurrency,
      signal,
      onFailure: (error, action) => output.error(error, action),
    });
    progress.finish();
    session.summary.report("Got", tally, { output, isTree: options.recursive ?? false });
    return exitStatusOfMany(tally);
  } finally {
    progress.finish();
  }
}

class Getting {
  readonly #context: Context;
  readonly #client: Client;
  readonly #progress: Progress;
  readonly #range: ByteRange | undefined;
  readonly #options: GetOptions;
  readonly summary: Summary;

  constructor(
    context: Context,
    client: Client,
    parts: {
      readonly progress: Progress;
      readonly range: ByteRange | undefined;
      readonly options: GetOptions;
    },
  ) {
    this.#context = context;
    this.summary = new Summary(context.clock);
    this.#client = client;
    this.#progress = parts.progress;
    this.#range = parts.range;
    this.#options = parts.options;
  }

  async toStdout(source: string): Promise<ExitStatus> {
    await using content = await this.#open(source);
    this.#progress.expect(1, content.range.end - content.range.start);
    for await (const piece of content) {
      await this.#context.output.write(piece);
      this.#progress.advance(piece.byteLength);
    }
    return EXIT.ok;
  }

  /** What is to do, found while it is done. */
  async *jobs(
    sources: readonly string[],
    target: string,
    placement: Placement,
  ): AsyncGenerator<Job> {
    for (const source of sources) {
      const action = `Cannot get "${source}"`;
      try {
        const entry = await this.#client.stat(source, { ...this.#context.call, ...this.#version });
        const to = placement === "as" ? target : join(target, baseName(source));
        if (entry.kind === "file") {
          yield this.#fetching(source, to, entry.size);
        } else if (this.#options.recursive === true) {
          yield* this.#treeJobs(source, to);
        } else {
          throw new UsageError(`Cannot get "${source}": it is a directory; add -r`);
        }
      } catch (error) {
        if (this.#context.signal.aborted) throw error;
        yield { action, run: () => Promise.reject(error) };
      }
    }
  }

  async *#treeJobs(source: string, to: string): AsyncGenerator<Job> {
    await mkdir(to, { recursive: true });
    const listing = this.#client.list(source, { ...this.#context.call, recursive: true });
    for await (const entry of listing) {
      yield* this.#entryJobs(entry, nameBelow(source, entry.path).split("/"), to);
    }
  }

  async *#entryJobs(entry: FileInfo, names: readonly string[], to: string): AsyncGenerator<Job> {
    const action = `Cannot get "${entry.path}"`;
    if (!names.every(isLocalName)) {
      yield { action, run: () => Promise.reject(new Error("its name cannot be a local name")) };
      return;
    }
    const path = join(to, ...names);
    if (entry.kind === "file") {
      yield this.#fetching(entry.path, path, entry.size);
      return;
    }
    try {
      await mkdir(path, { recursive: true });
    } catch (error) {
      yield { action, run: () => Promise.reject(error) };
    }
  }

  #fetching(source: string, to: string, bytes: number): Job {
    this.#progress.expect(1, bytes);
    return {
      action: `Cannot get "${source}" as "${to}"`,
      run: async () => {
        await using content = await this.#open(source);
        await mkdir(dirname(to), { recursive: true });
        const written = await writeWholeFile(to, content, (count) => this.#progress.advance(count));
        this.#done(content.info, to, written);
      },
    };
  }

  #open(source: string): Promise<Reading> {
    const range = this.#range === undefined ? {} : { range: this.#range };
    const { signal } = this.#context;
    return this.#client.get(source, { signal, ...range, ...this.#version });
  }

  get #version(): { readonly version?: string } {
    const { version } = this.#options;
    return version === undefined ? {} : { version };
  }

  #done(info: FileInfo, to: string, bytes: number): void {
    this.summary.copied(to, bytes);
    this.#progress.fileDone();
    if (!this.#context.output.json) return;
    const { path, etag, version, size } = info;
    this.#context.output.result("", { path, target: to, etag, version, size, bytes });
  }
}

/** What is at a local path. */
async function findLocal(path: string): Promise<Target["found"]> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "file";
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOTDIR" && path.endsWith("/")) return "file";
    if (code === "ENOENT" || code === "ENOTDIR") return "nothing";
    throw error;
  }
}
