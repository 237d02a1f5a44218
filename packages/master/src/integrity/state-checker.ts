// Compares the states of all masters at the same places in the log.
//
// The log says where: every master that applies a check freezes its state right behind it, hashes
// that in the background, and asks the others for theirs. Each judges for itself (verdict.ts).
//
// K1. The state that is hashed is the one at exactly that index, whatever is applied meanwhile.
// K2. One state is hashed at a time. A check that comes meanwhile has no result here. The others
//     are waited for until the next check is hashed at the latest.
// K3. A master in the minority goes into quarantine, durably, before it stops: it serves nothing
//     any more, also after a restart.
// K4. What the others say is asked again until it is known or patience ends; what is not known by
//     then is unknown, and reported as that.

import {
  asLumeoError,
  type Clock,
  type Closable,
  type Logger,
  LumeoError,
  type NodeId,
  type Timers,
} from "@lumeofs/base";
import type { StateImage } from "../consensus/replicated-state.js";
import { SnapshotPace } from "../consensus/snapshot-pace.js";
import type { LogIndex } from "../raft/entry.js";
import type { VoterSets } from "../raft/quorum.js";
import { REPLACEMENT } from "./quarantine.js";
import { type CheckResult, judge, type Verdict } from "./verdict.js";

/** Checks whose results are remembered. */
export const CHECKS_KEPT = 16;

export interface StateCheckerOptions {
  readonly bytesPerSecond: number;
  /** Between two questions to a master that has no result yet. */
  readonly pollMs: number;
  /** How long the others are waited for. */
  readonly patienceMs: number;
}

export interface StateCheckerParts {
  readonly self: NodeId;
  /** Who votes, and where everybody is, now. */
  readonly group: () => {
    readonly voters: VoterSets;
    readonly addresses: Readonly<Record<NodeId, string>>;
  };
  /** SHA-256, in hex. */
  readonly hash: (pieces: AsyncIterable<Uint8Array>) => Promise<string>;
  /** Asks another master, and tells it what this one has found. */
  readonly ask: (address: string, check: OwnResult) => Promise<CheckResult>;
  /** Keeps this folder from being used again. */
  readonly quarantine: (why: string) => Promise<void>;
  readonly applied: () => LogIndex;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly judged: (verdict: Verdict) => void;
  /** This master must not go on. */
  readonly onFatal: (error: unknown) => void;
}

export interface OwnResult {
  readonly index: LogIndex;
  readonly from: NodeId;
  readonly hex: string;
}

/** What is known of one check. */
export interface CheckReport {
  readonly index: LogIndex;
  readonly verdict: Verdict;
  readonly results: ReadonlyMap<NodeId, CheckResult>;
}

interface Check {
  readonly index: LogIndex;
  verdict: Verdict;
  readonly results: Map<NodeId, CheckResult>;
}

const PENDING: CheckResult = { kind: "pending" };
const UNKNOWN: CheckResult = { kind: "unknown" };

export class StateChecker implements Closable {
  readonly #parts: StateCheckerParts;
  readonly #options: StateCheckerOptions;
  readonly #pace: SnapshotPace;
  readonly #checks = new Map<LogIndex, Check>();
  #isHashing = false;
  #latest: LogIndex | undefined;
  /** The last check that has a hash. */
  #hashed: LogIndex | undefined;
  #isClosed = false;

  constructor(parts: StateCheckerParts, options: StateCheckerOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#pace = new SnapshotPace(options.bytesPerSecond, parts.timers);
  }

  /** The last check that this master has begun. */
  get latest(): LogIndex | undefined {
    return this.#latest;
  }

  /** A state is being hashed. */
  get isBusy(): boolean {
    return this.#isHashing;
  }

  /** Checks this state, which is freed in the end; returns at once. */
  begin(image: StateImage): void {
    if (this.#isClosed || this.#isHashing) {
      void image.close();
      return;
    }
    const check = this.#checkAt(image.index);
    this.#latest = image.index;
    this.#isHashing = true;
    this.#run(check, image).catch((error: unknown) => this.#parts.onFatal(error));
  }

  /** What this master has found at an index, for another one that asks. */
  resultAt(index: LogIndex): CheckResult {
    const known = this.#checks.get(index)?.results.get(this.#parts.self);
    if (known !== undefined) return known;
    return this.#parts.applied() < index ? PENDING : UNKNOWN;
  }

  /** Another master tells what it has found. */
  learn({ index, from, hex }: OwnResult): void {
    if (!Object.hasOwn(this.#parts.group().addresses, from)) return;
    this.#checkAt(index).results.set(from, { kind: "hash", hex });
  }

  /** All that is known of a check; undefined if nothing is. */
  reportAt(index: LogIndex): CheckReport | undefined {
    return this.#checks.get(index);
  }

  /** What is under way is left alone: it ends with the next thing that it asks for. */
  async close(): Promise<void> {
    this.#isClosed = true;
  }

  #checkAt(index: LogIndex): Check {
    const known = this.#checks.get(index);
    if (known !== undefined) return known;
    const check = { index, verdict: { kind: "pending" } as const, results: new Map() };
    this.#checks.set(index, check);
    for (const oldest of this.#checks.keys()) {
      if (this.#checks.size <= CHECKS_KEPT) break;
      this.#checks.delete(oldest);
    }
    return check;
  }

  async #run(check: Check, image: StateImage): Promise<void> {
    const { self } = this.#parts;
    check.results.set(self, PENDING);
    const hex = await this.#hash(check, image);
    if (hex === undefined) return;
    check.results.set(self, { kind: "hash", hex });
    this.#hashed = check.index;
    await this.#compare(check, { index: check.index, from: self, hex });
  }

  /** Undefined if the state could not be read to its end. */
  async #hash(check: Check, image: StateImage): Promise<string | undefined> {
    const { self, logger } = this.#parts;
    try {
      return await this.#parts.hash(this.#pace.slowed(image.pieces()));
    } catch (error) {
      if (this.#isClosed) return undefined;
      // A database that knows itself to be damaged needs no majority.
      if (asLumeoError(error).code === "CORRUPT") throw error;
      check.results.set(self, UNKNOWN);
      this.#conclude(check, { kind: "incomplete", unknown: [self] });
      logger.warn("state check failed here", { index: check.index, error });
      return undefined;
    } finally {
      this.#isHashing = false;
      await image.close();
    }
  }

  /** Asks everybody until there is a verdict (K4). */
  async #compare(check: Check, own: OwnResult): Promise<void> {
    const { self, clock } = this.#parts;
    const deadline = clock.monotonicMs() + this.#options.patienceMs;
    for (let isFirst = true; ; isFirst = false) {
      const { voters, addresses } = this.#parts.group();
      const others = Object.entries(addresses) as [NodeId, string][];
      const isOpen = (id: NodeId) => (check.results.get(id) ?? PENDING).kind === "pending";
      await Promise.all(
        others
          // The first time also those who have told: they are to hear it before this one stops.
          .filter(([id]) => id !== self && (isFirst || isOpen(id)))
          .map(([id, address]) => this.#ask(check, id, address, own)),
      );
      if (this.#isClosed) return;
      const isOver = deadline <= clock.monotonicMs() || this.#hashed !== check.index;
      const verdict = judge(self, voters, check.results, isOver);
      if (verdict.kind !== "pending") return this.#act(check, verdict);
      await new Promise<void>((resolve) => {
        this.#parts.timers.after(this.#options.pollMs, resolve);
      });
    }
  }

  async #ask(check: Check, id: NodeId, address: string, own: OwnResult): Promise<void> {
    let result = PENDING; // no answer is no result
    try {
      result = await this.#parts.ask(address, own);
    } catch (error) {
      this.#parts.logger.debug("no result of a state check", { peer: id, error });
    }
    // It may have told by itself meanwhile.
    if ((check.results.get(id) ?? PENDING).kind === "pending") check.results.set(id, result);
  }

  async #act(check: Check, verdict: Verdict): Promise<void> {
    const { self, logger } = this.#parts;
    const { index } = check;
    this.#conclude(check, verdict);
    switch (verdict.kind) {
      case "minority": {
        const why =
          `The state of master "${self}" at entry ${index} differs from that of ` +
          verdict.majority.map((id) => `"${id}"`).join(", ") +
          ", which are a majority and agree. " +
          REPLACEMENT;
        logger.error("ALARM: the state of this master is wrong, it stops", { index });
        await this.#parts.quarantine(why);
        this.#parts.onFatal(new LumeoError("CORRUPT", why));
        return;
      }
      case "noMajority":
        logger.error("ALARM: the states of the masters differ, and no majority agrees", { index });
        return;
      case "passed":
        if (verdict.different.length === 0 && verdict.unknown.length === 0) {
          logger.info("state check passed", { index });
        }
        for (const peer of verdict.different) {
          logger.error("ALARM: the state of another master is wrong", { index, peer });
        }
        for (const peer of verdict.unknown) {
          logger.warn("state check knows nothing of a master", { index, peer });
        }
        return;
      default:
        logger.warn("state check is incomplete: too few masters have answered", { index });
    }
  }

  #conclude(check: Check, verdict: Verdict): void {
    check.verdict = verdict;
    this.#parts.judged(verdict);
  }
}
