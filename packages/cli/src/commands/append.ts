// append: records at the end of a file in the cluster, each in one piece and exactly once.
//
// A record is durable when its line is printed. Records go out as they come, many at a time, and
// stand in the file in their order.

import { createReadStream } from "node:fs";
import type { AppendResult } from "@lumeofs/client";
import { parseCount, UsageError } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, plural, printable } from "../format.js";
import { lines, whole } from "../records.js";
import { parseRemotePath } from "../remote-path.js";

export interface AppendOptions {
  /** Each source is one record. */
  readonly record?: boolean;
  /** The record itself. */
  readonly text?: string;
  readonly offsets?: boolean;
  /** False with `--no-create`. */
  readonly create?: boolean;
  readonly replicas?: string;
}

const REPLICAS_MAX = 8;
const STDIN = "-";
/** Handed to the client and not answered yet. */
const UNDER_WAY_MAX = 256;

/** Appends what is in the sources, or on standard input, to a file in the cluster. */
export async function append(
  context: Context,
  target: string,
  sources: readonly string[],
  options: AppendOptions,
): Promise<ExitStatus> {
  const { path, isFolder } = parseRemotePath(target);
  if (isFolder) throw new UsageError(`Cannot append to "${target}": name a file`);
  if (options.text !== undefined && 0 < sources.length) {
    throw new UsageError("--text and files exclude each other");
  }
  const client = await context.client();
  const wish = {
    signal: context.signal,
    create: options.create ?? true,
    ...(options.replicas === undefined
      ? {}
      : { redundancy: { replicas: parseCount(options.replicas, 1, REPLICAS_MAX) } }),
  };
  const session = new Appending(context, options.offsets ?? false, (record) =>
    client.append(path, record, wish),
  );
  try {
    for await (const record of recordsOf(context, sources, options)) await session.add(record);
  } finally {
    await session.end();
  }
  session.report(path);
  return EXIT.ok;
}

class Appending {
  readonly #context: Context;
  readonly #isTold: boolean;
  readonly #append: (record: Uint8Array) => Promise<AppendResult>;
  /** Of each record under way: done when it and all before it have been told. */
  readonly #underWay: Promise<void>[] = [];
  #told: Promise<void> = Promise.resolve();
  #failure: unknown;
  #first: number | undefined;
  #records = 0;
  #bytes = 0;

  constructor(
    context: Context,
    isTold: boolean,
    append: (record: Uint8Array) => Promise<AppendResult>,
  ) {
    this.#context = context;
    this.#isTold = isTold || context.output.json;
    this.#append = append;
  }

  /** Sends a record, when few enough are under way. @throws The first failure so far. */
  async add(record: Uint8Array): Promise<void> {
    if (UNDER_WAY_MAX <= this.#underWay.length) await this.#underWay.shift();
    if (this.#failure !== undefined) throw this.#failure;
    const appended = this.#append(record);
    const before = this.#told;
    this.#told = Promise.all([appended, before]).then(([result]) => this.#tell(result));
    this.#told.catch((error: unknown) => {
      this.#failure ??= error;
    });
    this.#underWay.push(this.#told);
  }

  /** Waits for all that was sent. @throws The first failure. */
  async end(): Promise<void> {
    try {
      await this.#told;
    } catch (error) {
      const before = `${plural(this.#records, "record")} from before it`;
      if (0 < this.#records) this.#context.output.warn(`Only ${before} are known to be appended`);
      throw error;
    }
  }

  report(path: string): void {
    if (this.#context.output.json) return;
    const where = this.#first === undefined ? "" : `, from byte ${this.#first} on`;
    const what = `${plural(this.#records, "record")}, ${formatBytes(this.#bytes)}`;
    this.#context.output.result(`Appended ${what}, to "${printable(path)}"${where}`, {});
  }

  #tell(result: AppendResult): void {
    this.#first ??= result.offset;
    this.#records += 1;
    this.#bytes += result.length;
    if (this.#isTold) this.#context.output.result(`${result.offset}  ${result.length}`, result);
  }
}

async function* recordsOf(
  context: Context,
  sources: readonly string[],
  { record, text }: AppendOptions,
): AsyncGenerator<Uint8Array> {
  if (text !== undefined) {
    yield Buffer.from(`${text}\n`);
    return;
  }
  const cut = record === true ? whole : lines;
  for (const source of sources.length === 0 ? [STDIN] : sources) {
    yield* cut(source === STDIN ? context.stdin : createReadStream(source));
  }
}
