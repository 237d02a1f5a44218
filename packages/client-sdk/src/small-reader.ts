// Small chunks that are read as a whole, as many as there are for a server in one frame: what one
// read costs is mostly the same for one chunk and for sixteen (docs/design/0010).
//
// This is the short way for what goes well. Whatever does not, be it that the server is silent, is
// not reached, or has another chunk, is told as "not this way": the ordinary way (span-reader.ts)
// then finds out what is wrong, asks the other replicas, and reports what has to be reported.
//
// N1. A chunk never waits for company: while fewer than FRAMES_OUT_MAX frames are out at a server,
//     what has been asked for leaves at the end of the turn of the event loop.
// N2. Silence is judged as in a race (read-race.ts): after the policy's delay a hedge is taken, if
//     there is one, or after its patience in any case, and the server counts as slow.

import type { Alarm, MonotonicMs } from "@lumeofs/base";
import { asLumeoError, KiB, MiB } from "@lumeofs/base";
import { CHUNKS_PER_FRAME_MAX } from "@lumeofs/node/frames";
import type { HedgePolicy } from "./hedge-policy.js";
import type { LocatedChunk, ReplicaState } from "./operations.js";
import type { Ports } from "./ports.js";
import type { ReplicaOutlook } from "./replica-outlook.js";
import type { ChunkserverPool } from "./rpc/chunkserver-pool.js";
import type { ServerScores } from "./server-scores.js";

/** A checksum block. */
export const JOINT_READ_BYTES_MAX = 64 * KiB;
/** What a frame may bring. */
const FRAME_BYTES_MAX = 1 * MiB;
/** Frames without an answer at one server. */
const FRAMES_OUT_MAX = 2;

export interface SmallReaderParts {
  readonly chunkservers: Pick<ChunkserverPool, "readTogether">;
  readonly outlook: Pick<ReplicaOutlook, "failed" | "worked">;
  readonly scores: ServerScores;
  readonly hedges: HedgePolicy;
  readonly ports: Pick<Ports, "clock" | "timers">;
}

interface Waiting {
  readonly chunk: LocatedChunk;
  readonly since: MonotonicMs;
  readonly resolve: (bytes: Uint8Array | undefined) => void;
}

/** What is asked of one server. */
interface Queue {
  readonly replica: ReplicaState;
  readonly waiting: Waiting[];
  framesOut: number;
  isPumping: boolean;
}

/** See the head of this file. */
export class SmallReader {
  readonly #parts: SmallReaderParts;
  /** By address; only those where something waits or is out. */
  readonly #queues = new Map<string, Queue>();

  constructor(parts: SmallReaderParts) {
    this.#parts = parts;
  }

  /** Whether there is a way at all: without hedges nobody would look into a silence. */
  get isOpen(): boolean {
    return this.#parts.hedges.delayMs < Infinity;
  }

  /** The whole chunk, checked; undefined: not this way. Never rejects. */
  read(chunk: LocatedChunk, replica: ReplicaState): Promise<Uint8Array | undefined> {
    this.#parts.hedges.readBegan();
    this.#parts.scores.began(replica.server, this.#now());
    return new Promise((resolve) => {
      const queue = this.#queue(replica);
      queue.waiting.push({ chunk, since: this.#now(), resolve });
      this.#pumpSoon(queue);
    });
  }

  #queue(replica: ReplicaState): Queue {
    const known = this.#queues.get(replica.address);
    if (known !== undefined) return known;
    const queue: Queue = { replica, waiting: [], framesOut: 0, isPumping: false };
    this.#queues.set(replica.address, queue);
    return queue;
  }

  #pumpSoon(queue: Queue): void {
    if (queue.isPumping) return;
    queue.isPumping = true;
    process.nextTick(() => {
      queue.isPumping = false;
      this.#pump(queue);
    });
  }

  #pump(queue: Queue): void {
    while (0 < queue.waiting.length && queue.framesOut < FRAMES_OUT_MAX) {
      const frame = queue.waiting.splice(0, countFor(queue.waiting));
      queue.framesOut++;
      void this.#ask(queue.replica, frame).finally(() => {
        queue.framesOut--;
        if (0 < queue.waiting.length) this.#pump(queue);
        else if (queue.framesOut === 0) this.#queues.delete(queue.replica.address);
      });
    }
  }

  /** Never rejects: who waits is told. */
  async #ask(replica: ReplicaState, frame: readonly Waiting[]): Promise<void> {
    const { chunkservers, outlook, scores, hedges } = this.#parts;
    const patience = new Patience(this.#parts, replica, frame);
    try {
      const chunks = frame.map(({ chunk }) => chunk);
      const { address } = replica;
      const options = { address, begun: (giveUp: () => void) => patience.begin(giveUp) };
      const found = await chunkservers.readTogether(chunks, options);
      if (patience.isOver) return;
      const now = this.#now();
      for (const [i, { since, resolve }] of frame.entries()) {
        hedges.waited(now - since);
        scores.answered(replica.server, now - since, now);
        resolve(found[i]);
      }
      outlook.worked(replica);
    } catch (thrown) {
      if (!patience.isOver) outlook.failed(0, replica, asLumeoError(thrown));
    } finally {
      patience.end();
      for (const { resolve } of frame) {
        scores.ended(replica.server);
        resolve(undefined); // no effect on whoever has been told
      }
    }
  }

  #now(): MonotonicMs {
    return this.#parts.ports.clock.monotonicMs();
  }
}

/** How many of the first fit one frame: at least one. */
function countFor(waiting: readonly Waiting[]): number {
  let bytes = 0;
  let count = 0;
  for (const { chunk } of waiting) {
    bytes += chunk.lengthBytes;
    if (CHUNKS_PER_FRAME_MAX === count || FRAME_BYTES_MAX < bytes) break;
    count++;
  }
  return count;
}

/** Looks after one frame that is out (N2). */
class Patience {
  readonly #parts: SmallReaderParts;
  readonly #replica: ReplicaState;
  readonly #frame: readonly Waiting[];
  #giveUp: () => void = () => undefined;
  #alarm: Alarm | undefined;
  #isOver = false;

  constructor(parts: SmallReaderParts, replica: ReplicaState, frame: readonly Waiting[]) {
    this.#parts = parts;
    this.#replica = replica;
    this.#frame = frame;
    this.#wakeIn(parts.hedges.delayMs);
  }

  /** It was given up: what comes is not wanted any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** The request is out. */
  begin(giveUp: () => void): void {
    this.#giveUp = giveUp;
    if (this.#isOver) giveUp();
  }

  end(): void {
    this.#alarm?.cancel();
  }

  #wakeIn(ms: number): void {
    this.#alarm = this.#parts.ports.timers.after(ms, () => this.#woke());
  }

  #woke(): void {
    const { hedges, scores, ports } = this.#parts;
    const now = ports.clock.monotonicMs();
    const silentMs = now - (this.#frame[0] as Waiting).since;
    if (silentMs < hedges.patienceMs && !hedges.tryHedge()) {
      const leftMs = Math.max(1, Math.ceil(hedges.patienceMs - silentMs));
      return this.#wakeIn(Math.min(hedges.delayMs, leftMs));
    }
    this.#isOver = true;
    scores.lost(this.#replica.server, silentMs, now);
    this.#giveUp();
    for (const { resolve } of this.#frame) resolve(undefined);
  }
}
