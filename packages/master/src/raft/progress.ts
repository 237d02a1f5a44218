// What the leader knows of one other member, and how fast it may send to it.              Raft §5.3
//
//             matched                        window filled by appends
//   probe ───────────────► replicate ──────────────► waits for `matched` or a heartbeat's answer
//     ▲  ▲                     │
//     │  └──── conflict, ──────┘        log too short for it
//     │        unreachable        probe ─────────────────────► snapshot
//     └───────────────── snapshot sent, or found not needed ──────┘
//
// * probe: where the logs part is not known. One append at a time, then wait.
// * replicate: appends follow each other without waiting, within a window of count and bytes.
// * snapshot: the member needs entries that the log no longer has. No appends.
//
// P1. match < next. Everything up to `match` was durable on that member when it said so.
// P2. In flight are at most as many appends and bytes as the window allows; one append may exceed
//     the bytes, for an entry can be larger than the window.
// P3. No state lasts for ever when messages are lost: every timed heartbeat that is answered allows
//     one more append, empty if the window is full. A member that misses what was in flight refuses
//     it, and probing finds the gap.

import { invariant, type NodeId } from "@lumeofs/base";
import { type Entry, type LogIndex, logIndex } from "./entry.js";
import { entryBytes } from "./log.js";
import type { PeerStatus, RaftOptions } from "./message.js";

export type Window = Pick<RaftOptions, "inFlightAppendsMax" | "inFlightBytesMax">;

type State =
  | { readonly kind: "probe"; isPaused: boolean }
  | { readonly kind: "replicate" }
  | { readonly kind: "snapshot"; readonly upTo: LogIndex };

interface InFlight {
  readonly last: LogIndex;
  readonly bytes: number;
}

export class Progress {
  readonly #window: Window;
  #state: State = { kind: "probe", isPaused: false };
  #match = logIndex(0);
  #next: LogIndex;
  /** At most `inFlightAppendsMax`, so dropping from its front is cheap. */
  readonly #inFlight: InFlight[] = [];
  #inFlightBytes = 0;
  /** Heard of since the last quorum check. */
  isActive = false;
  /** Heard of between the two checks before. */
  #wasActive = false;
  /** The latest read round that it has confirmed. */
  round = 0;
  /** A timed heartbeat went out, and no answer since then has been used to try again. (P3) */
  mayRetry = false;

  constructor(next: LogIndex, window: Window) {
    this.#next = next;
    this.#window = window;
  }

  get match(): LogIndex {
    return this.#match;
  }

  get next(): LogIndex {
    return this.#next;
  }

  get kind(): State["kind"] {
    return this.#state.kind;
  }

  /** Heard of within one or two election timeouts. */
  get isAlive(): boolean {
    return this.isActive || this.#wasActive;
  }

  /** A quorum check has been made. */
  checked(): void {
    this.#wasActive = this.isActive;
    this.isActive = false;
  }

  /**
   * Whether it has everything up to here, or it is on its way: at most a window of the log is
   * missing, however fast the log grows.
   */
  isCaughtUp(commit: LogIndex): boolean {
    return this.#state.kind === "replicate" && commit < this.#next;
  }

  /** Whether entries may be sent now. */
  get canSend(): boolean {
    switch (this.#state.kind) {
      case "probe":
        return !this.#state.isPaused;
      case "replicate":
        return (
          this.#inFlight.length < this.#window.inFlightAppendsMax &&
          this.#inFlightBytes < this.#window.inFlightBytesMax
        );
      case "snapshot":
        return false;
    }
  }

  /** How many bytes the next append may carry; a single entry may carry more. */
  get roomBytes(): number {
    if (this.#state.kind === "probe") return this.#window.inFlightBytesMax;
    return Math.max(0, this.#window.inFlightBytesMax - this.#inFlightBytes);
  }

  /** Entries went out. In `replicate` the next append continues behind them. */
  sent(entries: readonly Entry[]): void {
    if (this.#state.kind === "probe") this.#state.isPaused = true;
    const last = entries.at(-1);
    if (this.#state.kind !== "replicate" || last === undefined) return;
    invariant(entries[0]?.index === this.#next, "append does not continue the last one");
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    this.#inFlight.push({ last: last.index, bytes });
    this.#inFlightBytes += bytes;
    this.#next = logIndex(last.index + 1);
  }

  /**
   * The member says that its durable log equals ours up to here. Returns whether that is news.
   *
   * @param first The first entry that the log still has: below it appends cannot go on.
   */
  matched(upTo: LogIndex, first: LogIndex): boolean {
    const isNews = this.#match < upTo;
    if (isNews) this.#match = upTo;
    this.#next = logIndex(Math.max(this.#next, this.#match + 1));
    switch (this.#state.kind) {
      case "probe":
        // An old answer, from before what is being probed now, says nothing about the probe.
        if (isNews || this.#next === upTo + 1) this.#replicate();
        break;
      case "replicate":
        this.#release(upTo);
        break;
      case "snapshot":
        if (first <= this.#match + 1) this.#replicate();
        break;
    }
    return isNews;
  }

  /**
   * The member refused the append behind entry `refused`.
   *
   * @param hint  The last entry of our log that may equal its log.
   * @returns     Whether the answer is about the present state and another append should go out.
   */
  conflicted(refused: LogIndex, hint: LogIndex): boolean {
    switch (this.#state.kind) {
      case "snapshot":
        return false;
      case "replicate":
        // Refused what it had confirmed later: an answer that was overtaken. A member that really
        // lost confirmed entries refuses the probe too.
        this.#probeFrom(logIndex((this.#match < refused ? hint : this.#match) + 1));
        return true;
      case "probe":
        if (refused !== this.#next - 1) return false;
        // Less than it confirmed: it came back with less than it had. Believing the smaller number
        // is always safe, and the only way on.
        if (hint < this.#match) this.#match = logIndex(0);
        this.#probeFrom(logIndex(Math.min(refused, hint + 1)));
        return true;
    }
  }

  /** What is in flight may be lost: find out where the member stands. */
  unreachable(): void {
    if (this.#state.kind === "replicate") this.#probeFrom(logIndex(this.#match + 1));
  }

  /** The member is sent a snapshot of everything up to here. */
  awaitSnapshot(upTo: LogIndex): void {
    this.#clearInFlight();
    this.#state = { kind: "snapshot", upTo };
  }

  /** The transfer is over. */
  snapshotSent(delivered: boolean): void {
    if (this.#state.kind !== "snapshot") return;
    const { upTo } = this.#state;
    this.#probeFrom(logIndex((delivered ? Math.max(this.#match, upTo) : this.#match) + 1));
    // The installation takes a while, and a failed transfer shall not be repeated at once: the next
    // heartbeat that is answered goes on.
    this.#pause();
  }

  /** The answer to a timed heartbeat allows one more append in every state but `snapshot`. (P3) */
  resume(): void {
    if (this.#state.kind === "probe") this.#state.isPaused = false;
  }

  status(id: NodeId): PeerStatus {
    return {
      id,
      state: this.#state.kind,
      match: this.#match,
      next: this.#next,
      inFlightAppends: this.#inFlight.length,
      inFlightBytes: this.#inFlightBytes,
      active: this.isAlive,
    };
  }

  #replicate(): void {
    this.#clearInFlight();
    this.#state = { kind: "replicate" };
    this.#next = logIndex(this.#match + 1);
  }

  #probeFrom(next: LogIndex): void {
    this.#clearInFlight();
    this.#state = { kind: "probe", isPaused: false };
    this.#next = logIndex(Math.max(next, this.#match + 1));
  }

  #pause(): void {
    if (this.#state.kind === "probe") this.#state.isPaused = true;
  }

  #release(upTo: LogIndex): void {
    let done = 0;
    for (const append of this.#inFlight) {
      if (upTo < append.last) break;
      this.#inFlightBytes -= append.bytes;
      done++;
    }
    this.#inFlight.splice(0, done);
  }

  #clearInFlight(): void {
    this.#inFlight.length = 0;
    this.#inFlightBytes = 0;
  }
}
