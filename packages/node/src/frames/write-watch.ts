// Tells a slow write from one that waits for a process which has stopped. A frozen or cut off
// chunkserver keeps its connections open: without this, a write through it would wait until they
// are cut for their silence, which takes half a minute.
//
// L1. A write on which nothing moves is given up only if one of its servers does not even answer a
//     hello: disks may be slow.
// L2. A server that was given up gets twice the time when it is asked again, until it answers, so
//     that a machine without time for anybody is not given the same work once more for ever.
// L3. A server is asked once at a time; the answer is for all who wait.

import { type Alarm, LumeoError, type ServerId, type Timers } from "@lumeofs/base";

const LOOK_MS = 100;
/** Without a byte moving, before the servers are asked. */
const PATIENCE_MS = 300;
/** For the answer to a hello. */
const ANSWER_MS = 1_000;
/** Doublings of both (L2): at most two seconds, because what waits keeps others from their room. */
const DOUBLINGS_MAX = 1;

/** A write under way. */
export interface WatchedWrite {
  /** Whom it may wait for. */
  readonly servers: readonly { readonly server: ServerId; readonly address: string }[];
  /** Grows when bytes move; undefined while nothing is awaited from the servers. */
  progress(): number | undefined;
  /** Ends the write: the servers that the reason names do not answer. Called at most once. */
  giveUp(reason: LumeoError): void;
}

interface Watch {
  readonly write: WatchedWrite;
  seen: number | undefined;
  idleMs: number;
  isAsking: boolean;
}

/** Looks after all writes that go through one pool of connections. */
export class WriteWatch {
  readonly #timers: Timers;
  readonly #ask: (address: string, timeoutMs: number) => Promise<boolean>;
  readonly #watches = new Set<Watch>();
  readonly #asked = new Map<string, Promise<boolean>>();
  /** How often each was given up since it has answered. */
  readonly #givenUp = new Map<string, number>();
  #looking: Alarm | undefined;

  /** @param ask  Whether a process answers at an address in time; never rejects. */
  constructor(timers: Timers, ask: (address: string, timeoutMs: number) => Promise<boolean>) {
    this.#timers = timers;
    this.#ask = ask;
  }

  /** Begins to look after a write. @returns Ends it; to be called in any case. */
  begin(write: WatchedWrite): () => void {
    const watch: Watch = { write, seen: undefined, idleMs: 0, isAsking: false };
    this.#watches.add(watch);
    this.#looking ??= this.#timers.every(LOOK_MS, () => this.#look());
    return () => {
      this.#watches.delete(watch);
    };
  }

  /** Stops looking. */
  close(): void {
    this.#looking?.cancel();
    this.#looking = undefined;
    this.#watches.clear();
  }

  #look(): void {
    if (this.#watches.size === 0) return this.close();
    for (const watch of this.#watches) {
      const progress = watch.write.progress();
      const isIdle = progress !== undefined && progress === watch.seen;
      watch.seen = progress;
      watch.idleMs = isIdle ? watch.idleMs + LOOK_MS : 0;
      const isLong = PATIENCE_MS * this.#patience(watch) <= watch.idleMs;
      if (isLong && !watch.isAsking) void this.#askServers(watch);
    }
  }

  async #askServers(watch: Watch): Promise<void> {
    watch.isAsking = true;
    const { write, seen } = watch;
    const timeoutMs = ANSWER_MS * this.#patience(watch);
    const answers = await Promise.all(
      write.servers.map(({ address }) => this.#answers(address, timeoutMs)),
    );
    watch.isAsking = false;
    watch.idleMs = 0;
    const silent = write.servers.filter((_, i) => answers[i] === false);
    const isStuck = this.#watches.has(watch) && write.progress() === seen;
    if (silent.length === 0 || !isStuck) return;
    this.#watches.delete(watch);
    const addresses = silent.map(({ address }) => `"${address}"`).join(", ");
    const message = `A write waits for ${addresses}, and nobody answers there`;
    write.giveUp(new LumeoError("TIMEOUT", message, { servers: silent.map((one) => one.server) }));
  }

  #answers(address: string, timeoutMs: number): Promise<boolean> {
    const known = this.#asked.get(address);
    if (known !== undefined) return known;
    const asking = this.#ask(address, timeoutMs).then((isAlive) => {
      this.#asked.delete(address);
      if (isAlive) this.#givenUp.delete(address);
      else this.#givenUp.set(address, (this.#givenUp.get(address) ?? 0) + 1);
      return isAlive;
    });
    this.#asked.set(address, asking);
    return asking;
  }

  #patience({ write }: Watch): number {
    const counts = write.servers.map(({ address }) => this.#givenUp.get(address) ?? 0);
    return 2 ** Math.min(Math.max(0, ...counts), DOUBLINGS_MAX);
  }
}
