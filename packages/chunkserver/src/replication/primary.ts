// The primary of one chunk for one epoch: finds out what may have been acknowledged before, then
// orders what is appended.
//
//   claiming ──► fencing ──► fetching ──► leading: establishing ──► activating ─► active ─► sealed
//      │            │            │           │
//      └────────────┴────────────┴───────────┴──► ended
//
//   claiming      the own replica promises the epoch; if it has promised it before, this server
//                 began the epoch once and restarted
//   fencing       the members of the last active set say what they have
//   fetching      the records of the one that has most, by (epoch, seq), come here
//   establishing  they and a barrier reach a majority of the members of this epoch
//   activating    the masters record that the epoch is active
//   active        appends; sealed: everything is decided
//
// The primary of a chunk that nobody has written is active behind its claim.
//
// All of it is in memory: a restart ends the epoch for this server, and the masters grant another
// one. Time is the input `resend`; nothing that must hold depends on how often it comes.
//
// E1. Only acknowledgements of this epoch count.                                       (rule 11)
// E2. Nothing is committed before the masters have recorded the epoch as active.     (rules 8, 11)
// E3. A record of an earlier epoch is committed only with one of this epoch behind it. (rule 11)
// E4. What was ended stays ended, and what was open then is unknown, not failed.       (rule 12)
// E5. A write stands in the history at most once; its answer is always the same.       (rule 18)

import { assertNever, type EpochGrant, type ServerId } from "@lumeofs/base";
import {
  beginFencing,
  fences,
  receiveWhileFencing,
  receiveWhileFetching,
  refetch,
} from "./activation.js";
import { History } from "./history.js";
import {
  append,
  beginFresh,
  confirmActive,
  confirmSealed,
  receiveWhileLeading,
  resendAll,
  seal,
} from "./leading.js";
import type { ReplicaReply } from "./message.js";
import {
  type PrimaryInput,
  type PrimaryOutput,
  type PrimaryState,
  type PrimaryStep,
  send,
  stay,
} from "./primary-state.js";

/** Begins an epoch on the server that the grant names as primary. */
export function beginEpoch(grant: EpochGrant): PrimaryStep {
  const outputs = [send(grant.primary, { kind: "claim", epoch: grant.epoch })];
  return { state: { kind: "claiming", grant }, outputs };
}

/**
 * Takes one input.
 *
 * @throws InvariantViolation if something happened that cannot: the chunk must stop here.
 */
export function stepPrimary(state: PrimaryState, input: PrimaryInput): PrimaryStep {
  switch (input.kind) {
    case "received":
      return receive(state, input.from, input.reply);
    case "append":
      if (state.kind === "leading") return append(state, input);
      return { state, outputs: [{ kind: "refused", request: input.request, why: "notActive" }] };
    case "seal":
      return state.kind === "leading" ? seal(state) : stay(state);
    case "activated":
      if (!input.isDone) return end(state, "refusedByMasters");
      return state.kind === "leading" ? confirmActive(state) : stay(state);
    case "sealRecorded":
      if (!input.isDone) return end(state, "refusedByMasters");
      return state.kind === "leading" ? confirmSealed(state) : stay(state);
    case "resend":
      return resend(state, input.to);
    default:
      return assertNever(input);
  }
}

function receive(state: PrimaryState, from: ServerId, reply: ReplicaReply): PrimaryStep {
  const { epoch } = state.grant;
  if (reply.epoch !== epoch) return stay(state);
  if (reply.kind === "stale") {
    return end(state, reply.promised === epoch ? "begunBefore" : "laterEpoch");
  }
  switch (state.kind) {
    case "claiming":
      return receiveClaim(state.grant, from, reply);
    case "fencing":
      return receiveWhileFencing(state, from, reply);
    case "fetching":
      return receiveWhileFetching(state, from, reply);
    case "leading":
      return receiveWhileLeading(state, from, reply);
    case "ended":
      return stay(state);
    default:
      return assertNever(state);
  }
}

function receiveClaim(grant: EpochGrant, from: ServerId, reply: ReplicaReply): PrimaryStep {
  if (from !== grant.primary) return stay({ kind: "claiming", grant });
  return grant.previous === undefined
    ? beginFresh(grant, History.empty())
    : beginFencing(grant, reply);
}

function resend(state: PrimaryState, to: ReadonlySet<ServerId> | undefined): PrimaryStep {
  switch (state.kind) {
    case "claiming":
      // The own replica answers, or this process ends with it.
      return stay(state);
    case "fencing":
      return { state, outputs: fences(state) };
    case "fetching":
      return refetch(state);
    case "leading":
      return resendAll(state, to);
    case "ended":
      return stay(state);
    default:
      return assertNever(state);
  }
}

function end(
  state: PrimaryState,
  why: Extract<PrimaryOutput, { kind: "ended" }>["why"],
): PrimaryStep {
  if (state.kind === "ended") return stay(state);
  const unknown = state.kind === "leading" ? state.waiting.map(({ request }) => request) : [];
  return {
    state: { kind: "ended", grant: state.grant },
    outputs: [{ kind: "ended", why, unknown }],
  };
}
