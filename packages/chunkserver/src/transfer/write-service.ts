// Writes: each piece is checked, passed on to the next server while the own disk still writes
// (cut-through), and acknowledged when both have it durably.
//
// X1. `writeDone` is sent only when the own copy is durable and the next server has answered
//     `writeDone` with everybody behind it.
// X2. A frame's payload counts against the room until the disk and the next connection are done
//     with it.
// X3. An error names the servers that failed, so that the client's next try avoids them.

import {
  type Crc32c,
  invariant,
  LumeoError,
  type Permit,
  type ServerId,
  SMALL_CHUNK_BYTES_MAX,
} from "@lumeofs/base";
import {
  CHUNK_BYTES_MAX,
  crcOfBlocks,
  type Exchange,
  type FramePool,
  firstBadBlock,
  type ReceivedFrame,
  type WriteData,
  type WriteOpen,
  type WriteSmall,
} from "@lumeofs/node/frames";
import { type Accepted, WriteSession } from "../mutation/write-session.js";
import type { ChunkStore, LargeWrite } from "../store/chunk-store.js";
import { blamed, NextHop } from "./next-hop.js";

export interface WriteContext {
  readonly store: ChunkStore;
  readonly pool: FramePool;
  readonly crc32c: Crc32c;
  readonly self: () => ServerId;
  /** The first copy of a large chunk stays in the page cache. */
  readonly cachesWrites: boolean;
}

/** Serves one `writeSmall`. @throws LumeoError (X3) */
export async function writeSmall(
  context: WriteContext,
  first: ReceivedFrame,
  message: WriteSmall,
  exchange: Exchange,
): Promise<void> {
  const { store, crc32c } = context;
  const self = context.self();
  const { handle, epoch, length, crcs } = message;
  invariant(length <= SMALL_CHUNK_BYTES_MAX, "small chunk too large", { length });
  const bad = firstBadBlock(first.payload, crcs, crc32c);
  if (bad !== undefined || crcOfBlocks(crcs, length) !== message.crc32c) {
    throw damagedOnTheWay(self, `block ${bad ?? 0}`);
  }
  const author = message.primary ?? self;
  const content = { length, crc32c: message.crc32c, crcs };
  const [own, others] = await Promise.allSettled([
    store.putSmall({ handle, epoch, author }, content, first.payload),
    passOn(context, first, { ...message, primary: author }),
  ]);
  if (others.status === "rejected") throw others.reason;
  if (own.status === "rejected") throw blamed(own.reason, self);
  const { value } = others;
  exchange.send({
    type: "writeDone",
    length,
    crc32c: message.crc32c,
    servers: [self, ...value],
  });
}

/** Sends a small chunk to the rest of its chain; resolves to who has it. */
async function passOn(
  context: WriteContext,
  first: ReceivedFrame,
  message: WriteSmall,
): Promise<readonly ServerId[]> {
  const [link, ...chain] = message.chain;
  if (link === undefined) return [];
  let sent: () => void = () => undefined;
  const isSent = new Promise<void>((resolve) => {
    sent = resolve;
  });
  const send = { lane: chain.length, payload: first.payload, sent };
  const hop = await NextHop.open(context.pool, link, { ...message, chain }, send);
  try {
    return (await hop.done).servers;
  } finally {
    hop.close();
    await isSent; // the payload is given back after this
  }
}

/** Serves one `writeOpen` to its end. @throws LumeoError (X3) */
export async function writeLarge(
  context: WriteContext,
  message: WriteOpen,
  exchange: Exchange,
): Promise<void> {
  const self = context.self();
  const author = message.primary ?? self;
  const { handle, epoch } = message;
  const [link, ...chain] = message.chain;
  const next =
    link === undefined
      ? undefined
      : await NextHop.open(
          context.pool,
          link,
          { ...message, chain, primary: author },
          { lane: chain.length },
        );
  try {
    // Who reads it soon asks the primary: one copy in memory is enough.
    const uncached = author !== self || !context.cachesWrites;
    const chunk = { handle, epoch, author };
    const own = await context.store.beginLarge(chunk, { uncached }).catch((error) => {
      throw blamed(error, self);
    });
    const write = new LargeTransfer(context, exchange, own, next);
    try {
      await write.run();
    } finally {
      next?.close(); // first: what waits for that connection ends with it
      await write.end();
    }
  } finally {
    next?.close();
  }
}

/** One large write under way. */
class LargeTransfer {
  readonly #session = new WriteSession(CHUNK_BYTES_MAX);
  readonly #context: WriteContext;
  readonly #exchange: Exchange;
  readonly #own: LargeWrite;
  readonly #next: NextHop | undefined;
  readonly #self: ServerId;
  /** Payloads that the disk or the next connection still uses. */
  readonly #using = new Set<Promise<void>>();
  #ownFailure: { readonly cause: unknown } | undefined;
  #receiving: Promise<ReceivedFrame> | undefined;

  constructor(
    context: WriteContext,
    exchange: Exchange,
    own: LargeWrite,
    next: NextHop | undefined,
  ) {
    this.#context = context;
    this.#exchange = exchange;
    this.#own = own;
    this.#next = next;
    this.#self = context.self();
  }

  async run(): Promise<void> {
    for (;;) {
      const frame = await this.#receive();
      const { message } = frame;
      switch (message.type) {
        case "writeData":
          await this.#data(frame, message);
          break;
        case "writeClose":
          return this.#close(message);
        case "writeAbort":
          this.#tryToPassOn(() => this.#next?.exchange.send({ type: "writeAbort" }));
          throw new LumeoError("ABORTED", "Write was given up by its writer");
        default:
          frame.release();
          throw new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" inside a write`);
      }
    }
  }

  /** Gives back everything; drops the chunk file unless the write succeeded. */
  async end(): Promise<void> {
    // A frame that was awaited when something else failed is still given back.
    this.#receiving?.then(
      (frame) => frame.release(),
      () => undefined,
    );
    await this.#own.abort();
    await Promise.allSettled([...this.#using]);
  }

  /** The next frame, or the first failure of the disk or of the next server. */
  async #receive(): Promise<ReceivedFrame> {
    this.#receiving = this.#exchange.receive();
    const failing = this.#next?.done.then(() => this.#answeredEarly());
    const waiting = failing === undefined ? [this.#receiving] : [this.#receiving, failing];
    const frame = await Promise.race(waiting);
    this.#checkOwn(); // the frame is given back at the end if this throws
    this.#receiving = undefined;
    return frame;
  }

  #answeredEarly(): never {
    const message = "Cannot go on: the next server answered before the write was complete";
    throw new LumeoError("PROTOCOL", message, {
      servers: this.#next ? [this.#next.link.server] : [],
    });
  }

  async #data(frame: ReceivedFrame, message: WriteData): Promise<void> {
    const uses: Promise<void>[] = [];
    try {
      const { payload, payloadBytes: length } = frame;
      const { offset, crcs } = message;
      const bad = firstBadBlock(payload, crcs, this.#context.crc32c);
      if (bad !== undefined)
        throw damagedOnTheWay(this.#self, `block ${bad} from offset ${offset}`);
      const crc32c = crcOfBlocks(crcs, length);
      check(this.#session.accept({ offset, length, crc32c, crcs }));
      uses.push(this.#writeOwn(payload));
      if (this.#next !== undefined) {
        const next = this.#next;
        let roomy: Promise<void> | undefined;
        uses.push(
          new Promise((resolve) => {
            roomy = next.send(message, payload, resolve);
          }),
        );
        await roomy;
      }
    } catch (error) {
      throw this.#next?.failedBy ?? error;
    } finally {
      this.#releaseAfter(uses, { release: () => frame.release() });
    }
  }

  /** Never rejects: the failure is noted, and found at the next step. */
  #writeOwn(payload: readonly Uint8Array[]): Promise<void> {
    return this.#own.write(payload).catch((cause: unknown) => {
      this.#ownFailure ??= { cause };
    });
  }

  #releaseAfter(uses: readonly Promise<void>[], payload: Permit): void {
    const done = Promise.allSettled(uses).then(() => {
      this.#using.delete(done);
      payload.release();
    });
    this.#using.add(done);
  }

  async #close(message: { readonly length: number; readonly crc32c: number }): Promise<void> {
    const { length, crc32c } = message;
    check(this.#session.close({ length, crc32c }));
    this.#tryToPassOn(() => this.#next?.exchange.send({ type: "writeClose", length, crc32c }));
    this.#next?.awaitAnswer();
    const [own, others] = await Promise.allSettled([
      this.#own.finish({ length, crc32c, crcs: this.#session.blockCrcs() }),
      this.#next?.done,
    ]);
    this.#checkOwn();
    if (others.status === "rejected") throw others.reason;
    if (own.status === "rejected") throw blamed(own.reason, this.#self);
    const servers = [this.#self, ...(others.value?.servers ?? [])];
    this.#exchange.send({ type: "writeDone", length, crc32c, servers });
  }

  /** A connection that broke meanwhile shows in the answer that is awaited anyway. */
  #tryToPassOn(send: () => unknown): void {
    try {
      send();
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
    }
  }

  #checkOwn(): void {
    if (this.#ownFailure !== undefined) throw blamed(this.#ownFailure.cause, this.#self);
  }
}

function check(accepted: Accepted): void {
  if (accepted.kind === "accepted") return;
  throw new LumeoError(accepted.code, `Cannot write chunk: ${accepted.why}`);
}

/** What is said of bytes that are not what the sender had. */
export function damagedOnTheWay(self: ServerId, what: string): LumeoError {
  const message = `Cannot write chunk: ${what} came with another checksum than it was sent with`;
  return new LumeoError("CHECKSUM", message, { servers: [self] });
}
