// What is applied and what clients are told, compared over all members and over the whole run.
//
// S5.  All members apply the same entry at an index, give the same reply, and have the same state
//      after it.
// S13. What a client was told is in the log, and a repeated request has one effect and one answer.
// S14. A read shows everything that anybody was told or shown before it began; a stale one shows
//      everything up to the age that it admits, and nothing that is not committed. (Whether the
//      answers also make sense together is checked on the history of all calls.)

import type { NodeId } from "@lumeofs/base";
import { decodeProposal } from "../../src/metadata/command-codec.js";
import { decodeReply } from "../../src/metadata/reply-codec.js";
import { hashOf, must } from "./checker.js";
import type { Found } from "./client.js";

/** Clocks tell time in steps no larger than this. */
const CLOCK_STEP_MS = 1;

interface Applied {
  readonly entry: number;
  readonly reply: Uint8Array;
  readonly digest: number;
  readonly by: NodeId;
}

interface Answered {
  readonly index: number;
  readonly reply: Uint8Array;
}

export interface WorldView {
  /** Virtual time. */
  readonly now: () => number;
  /** The last entry that anybody has called committed. */
  readonly commit: () => number;
  /** Speed of the slowest clock: an age that it measures is really longer. */
  readonly slowestClock: number;
}

export class Outcomes {
  readonly #applied: (Applied | undefined)[] = [];
  readonly #answered = new Map<string, Answered>();
  /** What somebody knew from when on, oldest first. */
  readonly #known: { readonly at: number; readonly fromMs: number }[] = [];
  readonly #view: WorldView;
  #repeats = 0;

  constructor(view: WorldView) {
    this.#view = view;
  }

  /** Requests that reached the log again and got their first answer again. */
  get repeats(): number {
    return this.#repeats;
  }

  /** A member has applied an entry. `digest` is that of its whole state after it. */
  applied(by: NodeId, index: number, given: Pick<Applied, "reply" | "digest"> & Data): void {
    const entry = hashOf(given.data);
    const { reply, digest } = given;
    const first = this.#applied[index];
    if (first === undefined) {
      this.#applied[index] = { entry, reply, digest, by };
      this.#answer(index, given.data, reply);
      return;
    }
    const where = (): string => `at ${index}, ${first.by} and ${by}`;
    must(first.entry === entry, "S5", () => `${where()} applied different entries`);
    must(isSame(first.reply, reply), "S5", () => `${where()} give different replies`);
    must(first.digest === digest, "S5", () => `${where()} have different states`);
  }

  /** A client was told the outcome of this request. */
  told(request: string): void {
    const answered = this.#answered.get(request);
    must(answered !== undefined, "S13", () => `request ${request} was answered, not applied`);
    this.#learn(answered.index);
  }

  /** The reply that a request got, whoever heard it; undefined if it was never applied. */
  replyTo(request: string): Uint8Array | undefined {
    return this.#answered.get(request)?.reply;
  }

  /** What some client knows of: a read that begins now must not be older. */
  get known(): number {
    return this.#known.at(-1)?.at ?? 0;
  }

  /** A client was shown the state as of this entry by a read that began when `known` was so. */
  shown(at: number, known: number): void {
    must(known <= at, "S14", () => `a read shows entry ${at}, ${known} was known before it began`);
    this.#learn(at);
  }

  /** A client was shown a state that may be old. */
  glanced({ at, readMs, ageMs }: Pick<Found, "at" | "readMs" | "ageMs">): void {
    const sinceMs = readMs - ageMs / this.#view.slowestClock - CLOCK_STEP_MS;
    const floor = this.#known.findLast(({ fromMs }) => fromMs < sinceMs)?.at ?? 0;
    const what = (): string =>
      `a state as of ${at} calls itself ${ageMs.toFixed(1)} ms old at ${readMs.toFixed(1)}`;
    must(floor <= at, "S14", () => `${what()}, but ${floor} was known before that`);
    must(at <= this.#view.commit(), "S14", () => `${what()}, which nobody committed`);
  }

  #learn(at: number): void {
    if (this.known < at) this.#known.push({ at, fromMs: this.#view.now() });
  }

  #answer(index: number, data: Uint8Array, reply: Uint8Array): void {
    const { request } = decodeProposal(data);
    if (request === undefined) return;
    const answer = decodeReply(reply);
    if (answer.kind === "refused" && answer.code === "SESSION_EXPIRED") return;
    const name = `${request.session}/${request.sequence}`;
    const known = this.#answered.get(name);
    if (known === undefined) {
      this.#answered.set(name, { index, reply });
      return;
    }
    this.#repeats++;
    const where = (): string => `at ${known.index} and at ${index}`;
    must(
      isSame(known.reply, reply),
      "S13",
      () => `request ${name} was answered ${where()}, differently`,
    );
  }
}

interface Data {
  readonly data: Uint8Array;
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  if (one === other) return true;
  if (one.byteLength !== other.byteLength) return false;
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false;
  return true;
}
