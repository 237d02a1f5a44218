// From a grant to a history that holds everything acknowledged before.        (rules 4, 5, 6, 12)
//
// An acknowledged record is durable on a majority of the set that was last active. So many members
// answer that every majority of that set has one of them (`fenceOf`), so one of the answers names
// the record; and because an answer is a promise as well, no earlier primary completes another
// majority afterwards.
//
// The list of records comes with `fetch`, not with the answer to `fence`: to choose, the last
// position is enough, and `fetch` makes the same promise.

import { type EpochGrant, fenceOf, invariant, type ServerId } from "@lumeofs/base";
import { comparePositions, type Position } from "./append-record.js";
import { History } from "./history.js";
import { beginLeading } from "./leading.js";
import type { ReplicaReply } from "./message.js";
import {
  type Fencing,
  type Fetching,
  type PrimaryStep,
  send,
  stay,
  type Testimonies,
} from "./primary-state.js";

/** The own replica has answered `claim`: its answer counts like any other. */
export function beginFencing(grant: EpochGrant, reply: ReplicaReply): PrimaryStep {
  const fencing: Fencing = { kind: "fencing", grant, testimonies: new Map() };
  const first = receiveWhileFencing(fencing, grant.primary, reply);
  if (first.state.kind !== "fencing") return first;
  return { state: first.state, outputs: [...first.outputs, ...fences(first.state)] };
}

/** Asks everybody who has not answered. */
export function fences({ grant, testimonies }: Fencing): PrimaryStep["outputs"] {
  const message = { kind: "fence", epoch: grant.epoch } as const;
  return witnesses(grant)
    .filter((member) => testimonies.get(member)?.kind !== "fenced")
    .map((member) => send(member, message));
}

/** Takes an answer; with enough of the last active set the best history is fetched. */
export function receiveWhileFencing(
  state: Fencing,
  from: ServerId,
  reply: ReplicaReply,
): PrimaryStep {
  const { grant } = state;
  const testimonies = testify(state, from, reply);
  const heard = [...testimonies.values()].filter(({ kind }) => kind === "fenced").length;
  if (heard < fenceOf(witnesses(grant))) return stay({ ...state, testimonies });
  return fetchFrom({ ...state, testimonies }, bestDonors(testimonies, grant.primary)[0]);
}

/** Takes the donor's records, page by page. */
export function receiveWhileFetching(
  state: Fetching,
  from: ServerId,
  reply: ReplicaReply,
): PrimaryStep {
  if (reply.kind === "fetched" && from === state.donor) return takePage(state, reply);
  const testimonies = testify(state, from, reply);
  if (reply.kind !== "unknown" || from !== state.donor) return stay({ ...state, testimonies });
  // What the donor had is damaged: without it there may not be enough witnesses.
  const { grant } = state;
  const fencing: Fencing = { kind: "fencing", grant, testimonies };
  return { state: fencing, outputs: fences(fencing) };
}

/** The donor says nothing: the next one that has as much is asked, or the same one again. */
export function refetch(state: Fetching): PrimaryStep {
  const donors = bestDonors(state.testimonies, state.grant.primary);
  const next = (donors.indexOf(state.donor) + 1) % donors.length;
  return fetchFrom(state, donors[next]);
}

function takePage(state: Fetching, reply: Extract<ReplicaReply, { kind: "fetched" }>): PrimaryStep {
  if (reply.after !== state.history.lastSeq) return stay(state);
  const history = state.history.appendAll(reply.records);
  if (history.lastSeq < reply.last.seq) return askDonor({ ...state, history });
  const { testimonies } = state;
  for (const [member, testimony] of testimonies) {
    if (testimony.kind === "unknown") continue;
    invariant(testimony.commitSeq <= history.lastSeq, "what is committed is in the best history", {
      member,
      commitSeq: testimony.commitSeq,
      last: history.last,
    });
  }
  return beginLeading(state.grant, history, commitSeqs(testimonies));
}

function fetchFrom(state: Fencing | Fetching, donor: ServerId | undefined): PrimaryStep {
  invariant(donor !== undefined, "enough have answered, so there is a best answer");
  const { grant, testimonies } = state;
  return askDonor({ kind: "fetching", grant, testimonies, donor, history: History.empty() });
}

function askDonor(state: Fetching): PrimaryStep {
  const { grant, donor, history } = state;
  const message = { kind: "fetch", epoch: grant.epoch, after: history.lastSeq } as const;
  return { state, outputs: [send(donor, message)] };
}

/** Whose answers count: the set that was active last, whoever the members now are.      (rule 5) */
function witnesses(grant: EpochGrant): readonly ServerId[] {
  invariant(grant.previous !== undefined, "only a chunk that was written before is fenced");
  return grant.previous.members;
}

function testify(state: Fencing | Fetching, from: ServerId, reply: ReplicaReply): Testimonies {
  if (!witnesses(state.grant).includes(from)) return state.testimonies;
  if (reply.kind === "unknown") return new Map(state.testimonies).set(from, { kind: "unknown" });
  if (reply.kind !== "fenced") return state.testimonies;
  const { kind, commitSeq, last } = reply;
  return new Map(state.testimonies).set(from, { kind, commitSeq, last });
}

/** All that have the last record of the best history; the own replica first, then by number. */
function bestDonors(testimonies: Testimonies, own: ServerId): readonly ServerId[] {
  let best: Position | undefined;
  let donors: ServerId[] = [];
  for (const [member, testimony] of testimonies) {
    if (testimony.kind === "unknown") continue;
    const order = best === undefined ? 1 : comparePositions(testimony.last, best);
    if (order < 0) continue;
    donors = order === 0 ? [...donors, member] : [member];
    best = testimony.last;
  }
  return donors.sort((a, b) => Number(b === own) - Number(a === own) || a - b);
}

function commitSeqs(testimonies: Testimonies): ReadonlyMap<ServerId, number> {
  const known = new Map<ServerId, number>();
  for (const [member, testimony] of testimonies) {
    if (testimony.kind === "fenced") known.set(member, testimony.commitSeq);
  }
  return known;
}
