// How the chunkservers have answered this client's reads lately, and what is under way at each.
// Pure: the time is passed in.
//
// V1. A wait counts less the longer ago it was: a server that was slow is tried again.
// V2. A server that lost one hedge after the other is left alone for a while, longer each time, up
//     to LAGS_MS_MAX; one piece in time, and it is trusted again.
// V3. Servers that were not heard of for FORGET_MS, and have nothing under way, are forgotten when
//     there are more than SERVERS_MAX.

import type { MonotonicMs, ServerId } from "@lumeofs/base";

/** Weight of the newest wait in the mean. */
const WEIGHT = 0.2;
/** A mean counts half as much after this time without a newer wait. */
const HALF_LIFE_MS = 5_000;
/** What any request costs: so a server with much under way is not the best for having no past. */
const BASE_MS = 0.2;
/**
 * A read under way makes the next one slower by this much of it: the mean shows most of what
 * waiting in line costs, this what has begun since.
 */
const IN_FLIGHT_SHARE = 1 / 8;
const LAGS_MS_MIN = 500;
export const LAGS_MS_MAX = 10_000;
const SERVERS_MAX = 4_096;
const FORGET_MS = 60_000;

interface Score {
  meanMs: number;
  at: number;
  inFlight: number;
  /** Lost hedges since it last sent something in time. */
  losses: number;
  lagsUntil: number;
}

export class ServerScores {
  readonly #scores = new Map<ServerId, Score>();

  /** A read from it begins. */
  began(server: ServerId, now: MonotonicMs): void {
    this.#of(server, now).inFlight++;
  }

  /** A read from it is over, however. */
  ended(server: ServerId): void {
    const score = this.#scores.get(server);
    if (score !== undefined) score.inFlight = Math.max(0, score.inFlight - 1);
  }

  /** It has sent a piece that was waited for so long. */
  answered(server: ServerId, waitedMs: number, now: MonotonicMs): void {
    const score = this.#of(server, now);
    this.#add(score, waitedMs, now);
    score.losses = 0;
    score.lagsUntil = 0;
  }

  /** It has sent nothing for so long, and another one was faster (V2). */
  lost(server: ServerId, waitedMs: number, now: MonotonicMs): void {
    const score = this.#of(server, now);
    this.#add(score, waitedMs, now);
    if (now < score.lagsUntil) return; // of the same time as the loss before
    const lagsMs = Math.min(LAGS_MS_MAX, LAGS_MS_MIN * 2 ** score.losses);
    score.losses++;
    score.lagsUntil = now + lagsMs;
  }

  /** It is left alone where there is another. */
  isLagging(server: ServerId, now: MonotonicMs): boolean {
    return now < (this.#scores.get(server)?.lagsUntil ?? 0);
  }

  /** How long the next piece from it may take: a measure to compare servers by. */
  expectedMs(server: ServerId, now: MonotonicMs): number {
    const score = this.#scores.get(server);
    if (score === undefined) return BASE_MS;
    return (BASE_MS + decayed(score, now)) * (1 + IN_FLIGHT_SHARE * score.inFlight);
  }

  #add(score: Score, waitedMs: number, now: MonotonicMs): void {
    score.meanMs = (1 - WEIGHT) * decayed(score, now) + WEIGHT * waitedMs;
    score.at = now;
  }

  #of(server: ServerId, now: MonotonicMs): Score {
    const known = this.#scores.get(server);
    if (known !== undefined) return known;
    if (SERVERS_MAX <= this.#scores.size) this.#forget(now);
    const score: Score = { meanMs: 0, at: now, inFlight: 0, losses: 0, lagsUntil: 0 };
    this.#scores.set(server, score);
    return score;
  }

  #forget(now: MonotonicMs): void {
    for (const [server, { at, inFlight }] of this.#scores) {
      if (inFlight === 0 && FORGET_MS <= now - at) this.#scores.delete(server);
    }
  }
}

function decayed({ meanMs, at }: Score, now: MonotonicMs): number {
  return meanMs * 0.5 ** (Math.max(0, now - at) / HALF_LIFE_MS);
}
