// From a complete history to records in order: barrier, activation, appends, seal.
//                                                                    (rules 7, 8, 9, 11, 17, 18)
//
// Every record goes to all members at once, the own replica among them. What a majority of the
// members has acknowledged in this epoch is committed, provided the masters have recorded the epoch
// as active.

import {
  CHUNK_BYTES_DEFAULT,
  type EpochGrant,
  invariant,
  type SealedContent,
  type ServerId,
} from "@lumeofs/base";
import { RECORD_BYTES_MAX, type RecordContent, recordBehind } from "./append-record.js";
import type { History } from "./history.js";
import type { ReplicaReply } from "./message.js";
import {
  type AppendRefusal,
  type AppendRequest,
  type Leading,
  type PrimaryOutput,
  type PrimaryStep,
  send,
  stay,
} from "./primary-state.js";
import { appendsFor, matchedByMajority, type Progress } from "./progress.js";

/** Data in one chunk. */
export const APPENDABLE_BYTES_MAX = CHUNK_BYTES_DEFAULT;
/** Records in one chunk; all their headers are in memory while it may grow. */
export const RECORDS_MAX = 32_768;
/** Requests that wait for their record to be committed. */
export const WAITING_MAX = 1_024;

/** A chunk that nobody has written is active from its allocation: there is nothing to find out. */
export function beginFresh(grant: EpochGrant, history: History): PrimaryStep {
  const progress = new Map(grant.members.map((member) => [member, { matched: 0, next: 1 }]));
  const openingSeq = 1;
  const ours = { grant, history, openingSeq, commitSeq: 0, progress, waiting: [] };
  return stay({ kind: "leading", stage: "active", ...ours });
}

/**
 * Puts the barrier behind the adopted history and brings both to the members.           (rule 7)
 *
 * @param commitSeqs  So far a member is known to hold this history. Of others nothing is known.
 */
export function beginLeading(
  grant: EpochGrant,
  adopted: History,
  commitSeqs: ReadonlyMap<ServerId, number>,
): PrimaryStep {
  const history = adopted.append(ownRecord(grant, adopted, { kind: "barrier" }));
  const openingSeq = history.lastSeq;
  const progress = new Map(
    grant.members.map((member) => {
      const next = (commitSeqs.get(member) ?? adopted.lastSeq) + 1;
      return [member, { matched: 0, next }];
    }),
  );
  const ours = { grant, history, openingSeq, commitSeq: 0, progress, waiting: [] };
  return sendAll({ kind: "leading", stage: "establishing", ...ours }, true);
}

/** Appends a record, or answers as the write was answered before.                  (rules 9, 18) */
export function append(state: Leading, asked: AppendRequest): PrimaryStep {
  const { request, write, lengthBytes, crc32c } = asked;
  invariant(0 < lengthBytes && lengthBytes <= RECORD_BYTES_MAX, "a record has a lawful length", {
    lengthBytes,
  });
  const refuse = (why: AppendRefusal) => {
    return { state, outputs: [{ kind: "refused", request, why }] } satisfies PrimaryStep;
  };
  if (!isOpen(state)) return refuse("notActive");
  if (WAITING_MAX <= state.waiting.length) return refuse("busy");
  const { history } = state;
  const there = history.find(write);
  if (there !== undefined) {
    const content = history.at(there)?.content;
    const isSame = content?.kind === "data" && content.crc32c === crc32c;
    return isSame ? answerFrom(state, { request, seq: there }) : refuse("otherContent");
  }
  if (history.sealSeq !== undefined) return refuse("sealed");
  const isFull = APPENDABLE_BYTES_MAX < history.lengthBytes + lengthBytes;
  if (isFull || RECORDS_MAX <= history.lastSeq) return refuse("full");
  const grown = grow(state, { kind: "data", write, lengthBytes, crc32c });
  const waiting = [...state.waiting, { request, seq: grown.history.lastSeq }];
  return sendAll({ ...grown, waiting }, false);
}

/** Puts the seal behind the last record, once.                                         (rule 17) */
export function seal(state: Leading): PrimaryStep {
  const { history } = state;
  if (!isOpen(state) || history.sealSeq !== undefined) return stay(state);
  const { lengthBytes, crc32c } = history;
  return sendAll(grow(state, { kind: "seal", lengthBytes, crc32c }), false);
}

/** Takes an answer to `append`. */
export function receiveWhileLeading(
  state: Leading,
  from: ServerId,
  reply: ReplicaReply,
): PrimaryStep {
  const before = state.progress.get(from);
  if (before === undefined) return stay(state);
  if (reply.kind === "appended") {
    invariant(reply.durable <= state.history.lastSeq, "a member has only what was sent", {
      from,
      durable: reply.durable,
    });
    const matched = Math.max(before.matched, reply.durable);
    const next = Math.max(before.next, matched + 1);
    return advance(withProgress(state, from, { matched, next }), from);
  }
  if (reply.kind !== "mismatch") return stay(state);
  invariant(reply.commitSeq <= state.history.lastSeq, "what is committed is in every history", {
    from,
    commitSeq: reply.commitSeq,
  });
  // Also below what it has acknowledged: it may have found damage since.              (rule 20)
  const next = reply.commitSeq + 1;
  return sendTo(withProgress(state, from, { ...before, next }), from, true);
}

/** The masters have recorded the epoch as active.                                       (rule 8) */
export function confirmActive(state: Leading): PrimaryStep {
  if (state.stage !== "activating") return stay(state);
  return commit({ ...state, stage: "active" });
}

/** The masters have recorded the chunk as sealed.                                      (rule 17) */
export function confirmSealed(state: Leading): PrimaryStep {
  const content = sealOf(state);
  if (state.stage !== "active" || content === undefined) return stay(state);
  return { state: { ...state, stage: "sealed" }, outputs: [{ kind: "sealed", content }] };
}

/**
 * Says again what has not been answered.
 *
 * @param to  The members whose answer is not awaited any more; all, if it is not known.
 */
export function resendAll(state: Leading, to?: ReadonlySet<ServerId>): PrimaryStep {
  let step: PrimaryStep = { state, outputs: askMasters(state) };
  for (const [member, { matched, next }] of state.progress) {
    if (to?.has(member) === false) continue;
    // A member of which nothing is known is asked where it stands; the others go on from there.
    const probe = Math.max(1, Math.min(next, state.history.lastSeq));
    const again = { matched, next: matched === 0 ? probe : matched + 1 };
    step = then(step, (leading) => sendTo(withProgress(leading, member, again), member, true));
  }
  return step;
}

/** Everything committed: what a read may see, if the epoch is active and the lease valid. */
export function committed(
  state: Leading,
): { readonly seq: number; readonly lengthBytes: number } | undefined {
  if (!isOpen(state)) return undefined;
  return { seq: state.commitSeq, lengthBytes: state.history.endOf(state.commitSeq) };
}

function isOpen({ stage }: Leading): boolean {
  return stage === "active" || stage === "sealed";
}

/** What an acknowledgement may bring about: the barrier on a majority, or commits. */
function advance(state: Leading, from: ServerId): PrimaryStep {
  const agreed = matchedByMajority(state.grant.members, state.progress);
  if (state.stage === "establishing" && state.openingSeq <= agreed) {
    const activating: Leading = { ...state, stage: "activating" };
    return then({ state: activating, outputs: askMasters(activating) }, (leading) =>
      sendTo(leading, from, false),
    );
  }
  return then(commit(state), (leading) => sendTo(leading, from, false));
}

/** Commits what a majority has, if it is of this epoch and the epoch is active.        (rule 11) */
function commit(state: Leading): PrimaryStep {
  const agreed = matchedByMajority(state.grant.members, state.progress);
  if (!isOpen(state) || agreed < state.openingSeq || agreed <= state.commitSeq) return stay(state);
  const grown: Leading = { ...state, commitSeq: agreed };
  const isDone = ({ seq }: { readonly seq: number }): boolean => seq <= agreed;
  const outputs = grown.waiting.filter(isDone).map((one) => answer(grown, one));
  const waiting = grown.waiting.filter((one) => !isDone(one));
  const isSealedNow = sealOf(state) === undefined && sealOf(grown) !== undefined;
  const asked = isSealedNow ? askMasters(grown) : [];
  return { state: { ...grown, waiting }, outputs: [...outputs, ...asked] };
}

function answerFrom(
  state: Leading,
  one: { readonly request: number; readonly seq: number },
): PrimaryStep {
  if (one.seq <= state.commitSeq) return { state, outputs: [answer(state, one)] };
  return stay({ ...state, waiting: [...state.waiting, one] });
}

function answer(
  { history }: Leading,
  { request, seq }: { readonly request: number; readonly seq: number },
): PrimaryOutput {
  const position = history.positionAt(seq);
  invariant(position !== undefined, "what is answered is in the history", { seq });
  return { kind: "appended", request, position, offset: history.endOf(seq - 1) };
}

/** What the masters have not confirmed yet. */
function askMasters(state: Leading): readonly PrimaryOutput[] {
  const { epoch } = state.grant;
  if (state.stage === "activating") return [{ kind: "activate", epoch }];
  const content = state.stage === "active" ? sealOf(state) : undefined;
  return content === undefined ? [] : [{ kind: "sealAtMasters", epoch, content }];
}

/** The committed seal. */
function sealOf({ history, commitSeq }: Leading): SealedContent | undefined {
  const { sealSeq } = history;
  if (sealSeq === undefined || commitSeq < sealSeq) return undefined;
  const content = history.at(sealSeq)?.content;
  invariant(content?.kind === "seal", "the seal stands where it is said to", { sealSeq });
  return { lengthBytes: content.lengthBytes, crc32c: content.crc32c };
}

function grow(state: Leading, content: RecordContent): Leading {
  const { grant, history } = state;
  return { ...state, history: history.append(ownRecord(grant, history, content)) };
}

function ownRecord(grant: EpochGrant, history: History, content: RecordContent) {
  const { epoch, primary: author } = grant;
  return recordBehind({ seq: history.lastSeq, clock: history.clock }, { epoch, author }, content);
}

function sendAll(state: Leading, isPressed: boolean): PrimaryStep {
  let step = stay(state);
  for (const member of state.grant.members) {
    step = then(step, (leading) => sendTo(leading, member, isPressed));
  }
  return step;
}

function sendTo(state: Leading, member: ServerId, isPressed: boolean): PrimaryStep {
  const before = state.progress.get(member);
  invariant(before !== undefined, "every member has its progress", { member });
  const { progress, messages } = appendsFor(before, state, isPressed);
  const { epoch } = state.grant;
  const outputs = messages.map((message) => send(member, { ...message, epoch }));
  return { state: withProgress(state, member, progress), outputs };
}

function withProgress(state: Leading, member: ServerId, progress: Progress): Leading {
  return { ...state, progress: new Map(state.progress).set(member, progress) };
}

/** Goes on with a step that has not left this stage. */
function then(step: PrimaryStep, next: (state: Leading) => PrimaryStep): PrimaryStep {
  if (step.state.kind !== "leading") return step;
  const { state, outputs } = next(step.state);
  return { state, outputs: [...step.outputs, ...outputs] };
}
