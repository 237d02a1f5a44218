// Log events as JSON lines, through winston.
//
// A line is {"time", "level", "message", …fields}. An error in the field `error` becomes `error`
// (its message), `code` and `cause`; one that is not ours keeps its stack, because its message
// alone rarely says where it came from.

import { once } from "node:events";
import { createWriteStream } from "node:fs";
import {
  type Closable,
  InvariantViolation,
  type LogFields,
  type Logger,
  LumeoError,
} from "@lumeofs/base";
import type winston from "winston";

/** From the rarest to the most talkative; a logger writes its own level and those before it. */
export const LOG_LEVELS = ["error", "warn", "info", "debug"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface JsonLoggerOptions {
  readonly level: LogLevel;
  /** Append to this file. Default: standard error. */
  readonly file?: string;
  /** Stand in every line. */
  readonly fields?: LogFields;
}

/** A winston logger behind the Logger port. `close` waits until every line is written. */
export class JsonLogger implements Logger, Closable {
  readonly #sink: Sink;
  readonly #fields: LogFields;

  private constructor(sink: Sink, fields: LogFields) {
    this.#sink = sink;
    this.#fields = fields;
  }

  /** winston is loaded here and not earlier, so that a client that never logs does not pay. */
  static async open(options: JsonLoggerOptions): Promise<JsonLogger> {
    const sink = await Sink.open(options.level, options.file);
    return new JsonLogger(sink, options.fields ?? {});
  }

  error(message: string, fields?: LogFields): void {
    this.#write("error", message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#write("warn", message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#write("info", message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    this.#write("debug", message, fields);
  }

  child(fields: LogFields): JsonLogger {
    return new JsonLogger(this.#sink, { ...this.#fields, ...fields });
  }

  close(): Promise<void> {
    return this.#sink.close();
  }

  #write(level: LogLevel, message: string, fields: LogFields = {}): void {
    const { error, ...plain } = { ...this.#fields, ...fields };
    const described = error === undefined ? {} : describeError(error);
    this.#sink.write(level, { message, ...plain, ...described });
  }
}

class Sink {
  #closing: Promise<void> | undefined;

  private constructor(
    private readonly logger: winston.Logger,
    private readonly file: NodeJS.WritableStream | undefined,
  ) {}

  static async open(level: LogLevel, path: string | undefined): Promise<Sink> {
    const { default: library } = await import("winston");
    const file = path === undefined ? undefined : createWriteStream(path, { flags: "a" });
    if (file !== undefined) await once(file, "open");
    const toJson = library.format.printf(({ level: name, message, ...fields }) => {
      return JSON.stringify({ time: new Date().toISOString(), level: name, message, ...fields });
    });
    const logger = library.createLogger({
      level,
      levels: Object.fromEntries(LOG_LEVELS.map((name, rank) => [name, rank])),
      format: toJson,
      transports: [new library.transports.Stream({ stream: file ?? process.stderr, eol: "\n" })],
    });
    return new Sink(logger, file);
  }

  write(level: LogLevel, line: { readonly message: string }): void {
    if (this.#closing === undefined) this.logger.log({ level, ...line });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const finished = once(this.logger, "finish");
    this.logger.end();
    await finished;
    await new Promise<void>((done) => setImmediate(done)); // the transport is one pipe further
    if (this.file === undefined) return;
    const closed = once(this.file, "close");
    this.file.end();
    await closed;
  }
}

interface DescribedError {
  readonly error: string;
  readonly code?: string;
  readonly cause?: string;
  readonly stack?: string;
}

function describeError(error: unknown): DescribedError {
  if (!(error instanceof Error)) return { error: String(error) };
  const code = (error as { readonly code?: unknown }).code;
  const { cause } = error;
  const isOurs = error instanceof LumeoError && error.code !== "INTERNAL";
  return {
    error: error.message,
    ...(error instanceof InvariantViolation ? { code: "INVARIANT" } : {}),
    ...(typeof code === "string" ? { code } : {}),
    ...(cause === undefined ? {} : { cause: cause instanceof Error ? cause.message : `${cause}` }),
    ...(isOurs || error.stack === undefined ? {} : { stack: error.stack }),
  };
}
