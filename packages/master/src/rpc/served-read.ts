// An operation that only reads, served as fresh as its caller wants it.

import { LumeoError } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import type { Consistency, ReadGate, ReadView } from "../consensus/read-gate.js";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { StateReader } from "../metadata/state.js";
import { decodeNumber, invalid } from "./field-wire.js";
import type { Answer } from "./operations.js";

type Wire = Pick<lumeo.master.v1.IOperation, "consistency" | "ageMsMax">;

const Consistencies = lumeo.master.v1.Consistency;

export interface ReadWish {
  readonly consistency: Consistency;
  /** Stale reads that may be further behind are refused; 0 for no limit. */
  readonly ageMsMax: number;
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeReadWish({ consistency, ageMsMax }: Wire): ReadWish {
  return {
    consistency: decodeConsistency(consistency),
    ageMsMax: decodeNumber(ageMsMax, "age"),
  };
}

/**
 * Reads the state, and again if a lease ended meanwhile: then what was read may be old.
 *
 * @throws NO_LEADER if nothing here is fresh enough; UNAVAILABLE while there is no tree. Also as
 *         `ReadGate.open`, and as `read`.
 */
export async function serveRead(
  parts: { readonly reads: ReadGate; readonly log: MetadataLog },
  wish: ReadWish,
  read: (state: StateReader) => Answer | Promise<Answer>,
): Promise<Answer> {
  const { reads, log } = parts;
  const view = await reads.open(wish.consistency);
  if (0 < wish.ageMsMax && wish.ageMsMax < view.ageMs) throw tooOld(view.ageMs, wish);
  if (wish.consistency !== "lease") {
    // Nothing takes it back: the shortest way, for most reads.
    const answer = read(log.localTree);
    return told(log, view, answer instanceof Promise ? await answer : answer);
  }
  const outcome = await settled(async () => read(log.localTree));
  // Also "it does not exist" is an answer that may be old.
  if (!view.holds()) return serveRead(parts, { ...wish, consistency: "linearizable" }, read);
  if (outcome.kind === "failed") throw outcome.error;
  return told(log, view, outcome.answer);
}

/** The answer, with how fresh it is and who gives it. It was made for this read alone. */
function told(log: MetadataLog, view: ReadView, answer: Answer): Answer {
  answer.appliedIndex = view.index;
  answer.ageMs = Math.ceil(view.ageMs);
  return log.isLeading ? answer : Object.assign(answer, servedBy(log));
}

/** A client that hears from a master which does not lead learns who does. */
export function servedBy(log: MetadataLog): Pick<Answer, "byFollower" | "leader"> {
  return log.isLeading ? {} : { byFollower: true, leader: log.leaderAddress ?? "" };
}

type Outcome =
  | { readonly kind: "read"; readonly answer: Answer }
  | { readonly kind: "failed"; readonly error: unknown };

function settled(read: () => Promise<Answer>): Promise<Outcome> {
  return read().then(
    (answer) => ({ kind: "read", answer }),
    (error: unknown) => ({ kind: "failed", error }),
  );
}

function tooOld(ageMs: number, { ageMsMax }: ReadWish): LumeoError {
  const ages = `it was up to date ${Math.ceil(ageMs)} ms ago, allowed are ${ageMsMax}`;
  return new LumeoError("NO_LEADER", `Cannot read here: ${ages}. Ask another master`);
}

function decodeConsistency(value: Wire["consistency"]): Consistency {
  switch (value ?? Consistencies.CONSISTENCY_UNSPECIFIED) {
    case Consistencies.CONSISTENCY_UNSPECIFIED:
    case Consistencies.CONSISTENCY_LINEARIZABLE:
      return "linearizable";
    case Consistencies.CONSISTENCY_LEASE:
      return "lease";
    case Consistencies.CONSISTENCY_STALE:
      return "stale";
    default:
      throw invalid(`consistency ${value} is unknown`);
  }
}
