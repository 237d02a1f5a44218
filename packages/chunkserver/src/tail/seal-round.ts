// From a committed seal to the end of a growing chunk: the members keep it as a sealed chunk, the
// masters record it, and then the members give its records up.
//
// Z1. The masters are told when a majority has settled, and either everybody has or the others have
//     had their time or were silent before: who has not is healed later, like any missing replica.

import { LumeoError, type MonotonicMs, majorityOf, type ServerId } from "@lumeofs/base";
import type { ReplicaReply } from "../replication/message.js";
import type { MemberReply } from "./member-message.js";

/** What the slower members have behind the majority. */
const GRACE_MS = 2_000;
/** A member or master that did not answer is asked again. */
const AGAIN_MS = 200;
/** After that the members that have not finished learn it from the masters. */
const FINISH_MS = 5_000;

export interface SealRoundPorts {
  readonly members: readonly ServerId[];
  readonly own: ServerId;
  readonly now: () => MonotonicMs;
  /** Whether a member is known to have the seal: before that it could not settle. */
  readonly hasSeal: (server: ServerId) => boolean;
  /** A member that has owed an answer for long. */
  readonly isSilent: (server: ServerId) => boolean;
  readonly tell: (server: ServerId, kind: "settle" | "finish") => Promise<MemberReply>;
  /** A member has promised a later epoch. */
  readonly stale: (from: ServerId, reply: ReplicaReply) => void;
  /** Tells the masters; `finish` or `stop` is called when they have decided. */
  readonly record: () => Promise<void>;
  /** @param unfinished  Members that have not said that they have the chunk. */
  readonly finished: (unfinished: readonly ServerId[]) => void;
  readonly failed: (server: ServerId, error: LumeoError) => void;
}

/** See the head of this file. */
export class SealRound {
  readonly #ports: SealRoundPorts;
  readonly #done = new Set<ServerId>();
  readonly #asked = new Set<ServerId>();
  readonly #againAt = new Map<ServerId, number>();
  #stage: "settling" | "finishing" | "stopped" = "settling";
  #majorityAt: MonotonicMs | undefined;
  #recording: Promise<void> | undefined;
  #finishingSince: MonotonicMs | undefined;

  constructor(ports: SealRoundPorts) {
    this.#ports = ports;
  }

  /** Some time has passed. */
  tick(now: MonotonicMs): void {
    if (this.#stage === "stopped") return;
    for (const server of this.#ports.members) this.#ask(server, now);
    if (this.#stage === "settling") this.#tryToRecord(now);
    else this.#tryToEnd(now);
  }

  /** Whether a member has not been asked for what is due, though it may be ready now. */
  isAwaiting(server: ServerId): boolean {
    return this.#stage !== "stopped" && !this.#done.has(server) && !this.#asked.has(server);
  }

  /** The masters have recorded the seal. */
  finish(): void {
    if (this.#stage !== "settling") return;
    this.#stage = "finishing";
    this.#finishingSince = this.#ports.now();
    this.#done.clear();
    this.#againAt.clear();
    this.tick(this.#finishingSince);
  }

  stop(): void {
    this.#stage = "stopped";
  }

  /** The own replica finishes last: it is the one that knows that others have not. */
  #ask(server: ServerId, now: MonotonicMs): void {
    const { own, members } = this.#ports;
    if (this.#done.has(server) || this.#asked.has(server)) return;
    if (!this.#ports.hasSeal(server)) return;
    if (now < (this.#againAt.get(server) ?? 0)) return;
    const isEarly = server === own && this.#stage === "finishing" && !this.#isLate(now);
    if (isEarly && this.#done.size < members.length - 1) return;
    this.#asked.add(server);
    void this.#tell(server).finally(() => {
      this.#asked.delete(server);
      this.#againAt.set(server, this.#ports.now() + AGAIN_MS);
      if (this.#done.has(server)) this.tick(this.#ports.now());
    });
  }

  async #tell(server: ServerId): Promise<void> {
    const kind = this.#stage === "settling" ? "settle" : "finish";
    try {
      const reply = await this.#ports.tell(server, kind);
      const expected = kind === "settle" ? "settled" : "finished";
      const isCurrent = kind === (this.#stage === "settling" ? "settle" : "finish");
      if (reply.kind === expected && isCurrent) this.#done.add(server);
      if (reply.kind === "stale") this.#ports.stale(server, reply);
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      this.#ports.failed(server, error);
    }
  }

  /** Z1. */
  #tryToRecord(now: MonotonicMs): void {
    const { members } = this.#ports;
    if (this.#done.size < majorityOf(members)) return;
    this.#majorityAt ??= now;
    const isAwaited = members.some(
      (member) => !this.#done.has(member) && !this.#ports.isSilent(member),
    );
    const isTime = !isAwaited || GRACE_MS <= now - this.#majorityAt;
    if (!isTime || this.#recording !== undefined || now < (this.#recordAgainAt ?? 0)) return;
    this.#recording = this.#ports
      .record()
      .catch((error: unknown) => {
        if (!(error instanceof LumeoError)) throw error;
        this.#recordAgainAt = this.#ports.now() + AGAIN_MS;
      })
      .finally(() => {
        this.#recording = undefined;
      });
  }

  #tryToEnd(now: MonotonicMs): void {
    if (this.#done.has(this.#ports.own)) this.#end();
    else if (this.#isLate(now) && this.#finishingSince !== undefined) {
      if (2 * FINISH_MS <= now - this.#finishingSince) this.#end();
    }
  }

  #isLate(now: MonotonicMs): boolean {
    return this.#finishingSince !== undefined && FINISH_MS <= now - this.#finishingSince;
  }

  #end(): void {
    this.#stage = "stopped";
    this.#ports.finished(this.#ports.members.filter((member) => !this.#done.has(member)));
  }

  #recordAgainAt: number | undefined;
}
