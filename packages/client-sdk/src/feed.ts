// What changes in the namespace, as it happens.
//
// W1. Every change behind the position comes once and in order, whatever happens to masters and
//     connections: the position counts up with what is given out, and what comes again is dropped.
// W2. A slow consumer slows the master; nothing piles up here.
// W3. A watch ends by its consumer, its signal, `close` of the client, or an error that another
//     master would repeat.

import { LumeoError as InternalError } from "@lumeofs/base";
import type { Call, CallSettings } from "./call.js";
import type { Calls } from "./calls.js";
import { toPublic } from "./error.js";
import type { CallOptions } from "./options.js";
import { directoryPath } from "./path.js";
import type { Ports } from "./ports.js";

/** `write` replaces a file's content; `attributes` changes anything else that is known of it. */
export type FsEventType = "create" | "write" | "delete" | "rename" | "attributes";

export const FS_EVENT_TYPES = [
  "create",
  "write",
  "delete",
  "rename",
  "attributes",
] as const satisfies readonly FsEventType[];

/** One change of one name. A directory is deleted or renamed with all that is in it: one event. */
export interface FsEvent {
  readonly type: FsEventType;
  readonly kind: "file" | "dir";
  readonly path: string;
  /** rename: where it was. What was at `path` before is replaced. */
  readonly from?: string;
  /** Of a file's content; 0 for directories and what is gone. */
  readonly size: number;
  /** Grows from change to change over the whole cluster; several may share one. */
  readonly revision: number;
  /** Position among the changes of one revision, from 0. */
  readonly sequence: number;
  readonly at: Date;
}

/** The changes at a path and below. It can be iterated once; disposing ends it without an error. */
export interface Watch extends AsyncIterable<FsEvent>, AsyncDisposable {
  /** All changes up to here were given out: a later watch goes on with it as `since`. */
  readonly revision: number | undefined;
  /**
   * Connects, if that has not happened: no change after it is missed. The iteration does it too.
   *
   * @returns The revision behind which the changes begin.
   * @throws  LumeoError LUMEO_GONE if they are no longer kept; LUMEO_UNAVAILABLE and others.
   */
  ready(): Promise<number>;
}

export interface WatchOptions extends CallOptions {
  /** Changes behind this revision, 0 for all that are kept; "now" (the default): what comes. */
  readonly since?: number | "now";
  /** Default all. */
  readonly types?: readonly FsEventType[];
}

/** What one master is asked for. */
export interface FeedAsk {
  readonly prefix: string;
  readonly since: number | "now";
  /** Empty for all. */
  readonly types: readonly FsEventType[];
}

/** Some events, and up to where all have been given out. */
export interface FeedMessage {
  readonly events: readonly FsEvent[];
  readonly revision: number;
}

/** Opens the feed at some master. The first message comes at once. Ends with an error only. */
export type OpenFeed = (ask: FeedAsk, signal: AbortSignal) => AsyncGenerator<FeedMessage, void>;

export interface FeedParts {
  readonly open: OpenFeed;
  readonly calls: Calls;
  readonly ports: Ports;
  readonly settings: (path: string, options: CallOptions) => CallSettings;
}

/** How long the first connection is tried for. */
const CONNECT_MS_MAX = 5_000;
/** How long one is tried for that takes the place of a lost one. */
const RESUME_MS_MAX = 60_000;
/** After a loss, the first try comes within this. */
const RESUME_PAUSE_MS_MAX = 100;

/** Makes watches, and ends them with the client. */
export class Feed {
  readonly #parts: FeedParts;
  readonly #open = new Set<FeedWatch>();

  constructor(parts: FeedParts) {
    this.#parts = parts;
  }

  /** @throws LumeoError LUMEO_INVALID_ARGUMENT */
  watch(path: string, options: WatchOptions): Watch {
    try {
      const { since = "now", types = [] } = options;
      const ask = { prefix: directoryPath(path), since: checkedSince(since), types };
      const watch = new FeedWatch(this.#parts, ask, options, () => this.#open.delete(watch));
      this.#open.add(watch);
      return watch;
    } catch (error) {
      throw toPublic(error, path, 1);
    }
  }

  /** Ends all watches: a client that is closed does not wait for what never ends. */
  close(): void {
    const reason = new InternalError("CLOSED", "The watch has ended: the client is closed");
    for (const watch of [...this.#open]) watch.cancel(reason);
  }
}

/** One connection. */
interface Link {
  readonly messages: AsyncGenerator<FeedMessage, void>;
  readonly first: FeedMessage;
  readonly end: () => void;
}

class FeedWatch implements Watch {
  readonly #parts: FeedParts;
  readonly #ask: FeedAsk;
  readonly #options: WatchOptions;
  readonly #onEnd: () => void;
  #call: Call | undefined;
  #first: Promise<Link> | undefined;
  #revision: number | undefined;
  #last = { revision: -1, sequence: 0 };
  #isIterated = false;
  #isDisposed = false;

  constructor(parts: FeedParts, ask: FeedAsk, options: WatchOptions, onEnd: () => void) {
    this.#parts = parts;
    this.#ask = ask;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#revision = ask.since === "now" ? undefined : ask.since;
  }

  get revision(): number | undefined {
    return this.#revision;
  }

  async ready(): Promise<number> {
    try {
      await this.#connectFirst();
      return this.#revision ?? 0;
    } catch (error) {
      throw this.#publicly(error);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FsEvent, void, undefined> {
    let failure: unknown;
    try {
      if (this.#isDisposed) return;
      if (this.#isIterated) throw new InternalError("CLOSED", "A watch can be iterated once");
      this.#isIterated = true;
      yield* this.#events();
    } catch (error) {
      if (this.#isDisposed) return;
      failure = this.#publicly(error);
      throw failure;
    } finally {
      this.#end(failure);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.cancel(new InternalError("ABORTED", "The watch was given up"));
  }

  /** Ends it with an error. */
  cancel(reason: InternalError): void {
    this.#call?.cancel(reason);
    if (!this.#isIterated) this.#end(undefined);
  }

  async *#events(): AsyncGenerator<FsEvent, void, undefined> {
    let link = await this.#connectFirst();
    const call = this.#begun();
    for (;;) {
      try {
        yield* this.#take(link.first);
        for await (const message of link.messages) yield* this.#take(message);
      } catch (error) {
        call.signal.throwIfAborted();
        if (!(error instanceof InternalError) || !error.retryable) throw error;
      } finally {
        link.end();
      }
      await call.pause(this.#parts.ports.random.fraction() * RESUME_PAUSE_MS_MAX);
      link = await this.#connect(call);
    }
  }

  /** Gives out what is new in a message (W1). */
  *#take({ events, revision }: FeedMessage): Generator<FsEvent, void, undefined> {
    for (const event of events) {
      if (!isBehind(event, this.#last)) continue;
      this.#last = { revision: event.revision, sequence: event.sequence };
      yield event;
    }
    this.#revision = Math.max(revision, this.#revision ?? 0);
  }

  #connectFirst(): Promise<Link> {
    this.#first ??= this.#connect(this.#begun()).then((link) => {
      // A watch from now on is fixed to where it began, also if this very connection is lost.
      this.#revision ??= link.first.revision;
      return link;
    });
    return this.#first;
  }

  #connect(call: Call): Promise<Link> {
    const limitMs = (): number => (this.#first === undefined ? CONNECT_MS_MAX : RESUME_MS_MAX);
    return call.run({ idempotent: true, limitMs }, async () => {
      const since = this.#revision ?? "now";
      const over = new AbortController();
      const signal = AbortSignal.any([call.signal, over.signal]);
      const messages = this.#parts.open({ ...this.#ask, since }, signal);
      const end = (): void => {
        over.abort();
        messages.return().catch(() => {}); // how it ends is of no interest any more
      };
      try {
        return { messages, first: await this.#inTime(call, messages.next()), end };
      } catch (error) {
        end();
        throw error;
      }
    });
  }

  async #inTime(
    call: Call,
    next: Promise<IteratorResult<FeedMessage, void>>,
  ): Promise<FeedMessage> {
    const { timers } = this.#parts.ports;
    const { timeoutMs } = call;
    const late = new Promise<never>((_, reject) => {
      const message = `No answer to a watch within ${timeoutMs} ms`;
      const alarm = timers.after(timeoutMs, () => reject(new InternalError("TIMEOUT", message)));
      const stop = (): void => alarm.cancel();
      next.then(stop, stop);
    });
    const { value } = await Promise.race([next, late]);
    if (value === undefined) throw new InternalError("CONNECTION_LOST", "The watch ended at once");
    return value;
  }

  #begun(): Call {
    const { calls, settings } = this.#parts;
    if (this.#call === undefined) {
      const { deadlineMs = Infinity } = this.#options;
      const from = settings(this.#ask.prefix, this.#options);
      // A watch is patient by time, not by count; unless it is not to try again at all.
      const maxAttempts = from.policy.maxAttempts === 1 ? 1 : Infinity;
      this.#call = calls.begin({ ...from, deadlineMs, policy: { ...from.policy, maxAttempts } });
    }
    return this.#call;
  }

  #publicly(error: unknown): unknown {
    if (this.#call === undefined) return toPublic(error, this.#ask.prefix, 1);
    return this.#call.toPublic(error);
  }

  #end(failure: unknown): void {
    if (this.#call !== undefined) {
      this.#call.cancel(new InternalError("ABORTED", "The watch has ended"));
      this.#parts.calls.end(this.#call, failure);
    }
    this.#onEnd();
  }
}

function isBehind(
  event: FsEvent,
  last: { readonly revision: number; readonly sequence: number },
): boolean {
  if (event.revision !== last.revision) return last.revision < event.revision;
  return last.sequence < event.sequence;
}

function checkedSince(since: number | "now"): number | "now" {
  if (since === "now" || (Number.isSafeInteger(since) && 0 <= since)) return since;
  throw new InternalError(
    "INVALID_ARGUMENT",
    `Cannot watch since ${since}: expected "now" or a revision, 0 or more`,
  );
}
