// put: local files, trees and the standard input into the cluster.
//
// A file is visible in the cluster only when it is whole; what could not be stored is named, the
// rest is stored.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import type { Body, PutOptions as StoreOptions } from "@lumeofs/client";
import {
  parseCount,
  parseFallback,
  parseLayout,
  parseLifetime,
  parsePairs,
  parseSize,
  UsageError,
} from "../args.js";
import type { Client } from "../client.js";
import type { Context } from "../context.js";
import { choosePlacement, type Placement } from "../destination.js";
import { type ExitStatus, exitStatusOfMany } from "../exit-status.js";
import { type Found, walkTree } from "../local-tree.js";
import { type Progress, startProgress } from "../progress.js";
import { childPath, parseRemotePath, type RemotePath } from "../remote-path.js";
import { Summary } from "../summary.js";
import { type Job, transfer } from "../transfer.js";
import { findRemote } from "./mv.js";

export interface PutOptions {
  readonly recursive?: boolean;
  /** False with `--no-follow`. */
  readonly follow?: boolean;
  readonly replicas?: string;
  readonly ec?: string;
  readonly ecFallback?: string;
  readonly chunkSize?: string;
  /** False with `--no-inline`. */
  readonly inline?: boolean;
  readonly ifNotExists?: boolean;
  readonly ifMatch?: string;
  readonly stdinName?: string;
  readonly meta?: readonly string[];
  readonly tag?: readonly string[];
  readonly contentType?: string;
  readonly ttl?: string;
}

const REPLICAS_MAX = 8;
const STDIN = "-";
/** The others are counted. */
const SKIPPED_NAMED_MAX = 20;

/** Copies `paths` but the last into the last. */
export async function put(
  context: Context,
  paths: readonly string[],
  options: PutOptions,
): Promise<ExitStatus> {
  const sources = paths.slice(0, -1);
  const target = parseRemotePath(paths.at(-1) ?? "");
  checkStdin(sources, target, options);
  const store = storeOptions(options);
  const client = await context.client();
  const { signal, settings, output, call } = context;
  const placement = choosePlacement(sources.length, {
    shown: target.path,
    found: await findRemote(client, target.path, call),
    isFolder: target.isFolder || target.path === "/",
  });
  const progress = await startProgress("put", context);
  const session = new Putting(context, client, { store, progress, options });
  try {
    const tally = await transfer(session.jobs(sources, target, placement), {
      concurrency: settings.concurrency,
      signal,
      onFailure: (error, action) => output.error(error, action),
    });
    progress.finish();
    session.summary.report("Stored", tally, { output, isTree: options.recursive ?? false });
    return exitStatusOfMany(tally);
  } finally {
    progress.finish();
  }
}

class Putting {
  readonly #context: Context;
  readonly #client: Client;
  readonly #store: StoreOptions;
  readonly #progress: Progress;
  readonly #options: PutOptions;
  readonly summary: Summary;

  constructor(
    context: Context,
    client: Client,
    parts: {
      readonly store: StoreOptions;
      readonly progress: Progress;
      readonly options: PutOptions;
    },
  ) {
    this.#context = context;
    this.summary = new Summary(context.clock);
    this.#client = client;
    this.#store = parts.store;
    this.#progress = parts.progress;
    this.#options = parts.options;
  }

  /** What is to do, found while it is done. */
  async *jobs(
    sources: readonly string[],
    target: RemotePath,
    placement: Placement,
  ): AsyncGenerator<Job> {
    for (const source of sources) {
      const place = (name: string): string =>
        placement === "as" ? target.path : childPath(target.path, name);
      if (source === STDIN) {
        const to = place(this.#options.stdinName ?? "");
        yield this.#storing(STDIN, this.#context.stdin, { to, bytes: undefined });
      } else {
        yield* this.#sourceJobs(source, place);
      }
    }
  }

  async *#sourceJobs(source: string, place: (name: string) => string): AsyncGenerator<Job> {
    const action = `Cannot store "${source}"`;
    const found = await stat(source).catch((error: unknown) => ({ error }));
    if ("error" in found) {
      yield failing(action, found.error);
    } else if (!found.isDirectory()) {
      // A pipe or a device is read to its end, as standard input is.
      const [body, bytes] = found.isFile()
        ? [{ file: source }, found.size]
        : [createReadStream(source), undefined];
      yield this.#storing(source, body, { to: place(basename(source)), bytes });
    } else if (this.#options.recursive !== true) {
      yield failing(action, new UsageError(`Cannot store "${source}": it is a directory; add -r`));
    } else {
      // The contents of "." and ".." go into the target itself, as with cp.
      const isDotted = /(^|\/)\.{1,2}\/?$/.test(source);
      const root = isDotted ? place("") : place(basename(resolve(source)));
      const walk = walkTree(source, this.#options.follow ?? true);
      for await (const one of walk) yield* this.#treeJobs(one, root);
    }
  }

  *#treeJobs(found: Found, root: string): Generator<Job> {
    const to = found.names.reduce(childPath, root === "" ? "/" : root.replace(/(.)\/$/, "$1"));
    switch (found.kind) {
      case "skipped":
        if (this.summary.skipped() <= SKIPPED_NAMED_MAX) {
          this.#context.output.warn(`Skipped "${found.path}": ${found.why}`);
        }
        return;
      case "failed":
        yield failing(`Cannot store "${found.path}"`, found.error);
        return;
      case "directory":
        yield {
          action: `Cannot make the directory "${to}"`,
          run: () => this.#client.mkdir(to, { ...this.#context.call, recursive: true }),
        };
        return;
      case "file":
        yield this.#storing(found.path, { file: found.path }, { to, bytes: found.bytes });
    }
  }

  #storing(
    shown: string,
    body: Body,
    target: { readonly to: string; readonly bytes: number | undefined },
  ): Job {
    this.#progress.expect(1, target.bytes);
    return {
      action: `Cannot store "${shown}" as "${target.to}"`,
      run: async () => {
        const stored = await this.#client.put(target.to, body, {
          ...this.#store,
          signal: this.#context.signal,
          onProgress: advanceBy(this.#progress),
        });
        this.summary.copied(stored.path, stored.size);
        this.#progress.fileDone();
        if (this.#context.output.json) {
          const { checksum, ...facts } = stored;
          this.#context.output.result("", { source: shown, ...facts, crc32c: checksum.value });
        }
      },
    };
  }
}

/** Reports of one file as steps. A part that is sent again takes its steps back. */
function advanceBy(progress: Progress): (report: { readonly loaded: number }) => void {
  let before = 0;
  return ({ loaded }) => {
    progress.advance(loaded - before);
    before = loaded;
  };
}

function failing(action: string, error: unknown): Job {
  return { action, run: () => Promise.reject(error) };
}

function storeOptions(options: PutOptions): StoreOptions {
  const { replicas, ec, ecFallback, chunkSize, ifMatch, ifNotExists } = options;
  const { contentType, ttl } = options;
  if (ifMatch !== undefined && ifNotExists === true) {
    throw new UsageError("--if-match and --if-not-exists exclude each other");
  }
  return {
    ...(replicas === undefined
      ? {}
      : { redundancy: { replicas: parseCount(replicas, 1, REPLICAS_MAX) } }),
    ...(ec === undefined ? {} : { code: parseLayout(ec) }),
    ...(ecFallback === undefined ? {} : { codeFallback: parseFallback(ecFallback) }),
    ...(chunkSize === undefined ? {} : { chunkSize: parseSize(chunkSize) }),
    ...(options.inline === false ? { inline: false } : {}),
    ...(ifMatch === undefined ? {} : { ifMatch }),
    ...(ifNotExists === true ? { ifNoneMatch: "*" } : {}),
    ...(contentType === undefined ? {} : { contentType }),
    ...(ttl === undefined ? {} : { ttlMs: parseLifetime(ttl) }),
    metadata: parsePairs(options.meta ?? []),
    tags: parsePairs(options.tag ?? []),
  };
}

function checkStdin(sources: readonly string[], target: RemotePath, options: PutOptions): void {
  const count = sources.filter((source) => source === STDIN).length;
  if (1 < count) throw new UsageError('"-" is given twice: the standard input can be read once');
  const needsName = target.isFolder || 1 < sources.length;
  if (count === 1 && needsName && options.stdinName === undefined) {
    throw new UsageError(
      `Cannot name the standard input in "${target.path}": add --stdin-name NAME`,
    );
  }
}
