// Answered requests, so that a request that is sent again takes effect once and gets the first
// answer again (Raft §8, thesis §6.3). Answers live in the replicated state: every later leader
// has them.
//
// E1. Answers are kept for sequences from `trimmedBelow` to `highest`, where they were given.
// E2. A sequence below `trimmedBelow` is never applied: its answer may be forgotten.
// E3. One command deletes at most TRIM_MAX answers, one expiry EXPIRE_ANSWERS_MAX.

import { type SessionId, sessionId, type WallMs, wallMs } from "@lumeofs/base";
import { type Refused, type RequestId, refuse } from "./command.js";
import { takeNumber } from "./counters.js";
import { beginBytes, readFlag, readWhole, writeFlag } from "./fields.js";
import { answerKey, sessionKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** How far a session's newest sequence may be ahead of its oldest unanswered one. */
export const SESSION_WINDOW = 65_536;
const TRIM_MAX = 64;
const EXPIRE_ANSWERS_MAX = 1024;

export interface Session {
  /** Last used. */
  readonly at: WallMs;
  readonly trimmedBelow: number;
  /** The highest sequence that was answered; 0 before the first. */
  readonly highest: number;
  /** It takes no more requests; what is left of its answers is being deleted. */
  readonly isExpired: boolean;
}

export type Admission =
  /** Not seen before: apply it, then `recordAnswer`. */
  | { readonly kind: "fresh"; readonly session: Session }
  | { readonly kind: "answered"; readonly reply: Uint8Array }
  | Refused;

export function openSession(state: State, at: WallMs): SessionId {
  const id = sessionId(takeNumber(state, "session"));
  putSession(state, id, { at, trimmedBelow: 1, highest: 0, isExpired: false });
  return id;
}

/** What to do with a request: apply it, answer as before, or refuse. Changes nothing. */
export function admit(view: StateView, request: RequestId): Admission {
  const session = getSession(view, request.session);
  if (session === undefined || session.isExpired) {
    return refuse("SESSION_EXPIRED", `Session ${request.session} has expired: open a new one`);
  }
  const { sequence } = request;
  if (sequence < session.trimmedBelow) {
    const what = `Cannot repeat request ${sequence} of session ${request.session}`;
    return refuse("SESSION_EXPIRED", `${what}: its answer has been given and forgotten`);
  }
  if (session.trimmedBelow + SESSION_WINDOW <= sequence) {
    const what = `Cannot accept request ${sequence} of session ${request.session}`;
    return refuse("OVERLOADED", `${what}: request ${session.trimmedBelow} is still open`);
  }
  const reply = view.get(answerKey(request.session, sequence));
  return reply === undefined ? { kind: "fresh", session } : { kind: "answered", reply };
}

/** Keeps the answer of a fresh request, and forgets some that the client has received. */
export function recordAnswer(
  state: State,
  given: {
    readonly request: RequestId;
    readonly session: Session;
    readonly reply: Uint8Array;
    readonly at: WallMs;
  },
): void {
  const { request, session, reply, at } = given;
  state.put(answerKey(request.session, request.sequence), reply);
  const highest = Math.max(session.highest, request.sequence);
  const wanted = Math.min(request.answeredBelow, request.sequence);
  const trimmedBelow = trim(state, request.session, session, { wanted, countMax: TRIM_MAX });
  putSession(state, request.session, { at, trimmedBelow, highest, isExpired: false });
}

/** Ends sessions not used since `unusedSince`; those with many answers need more than one call. */
export function expireSessions(
  state: State,
  sessions: readonly SessionId[],
  unusedSince: WallMs,
): void {
  for (const id of sessions) {
    const session = getSession(state, id);
    if (session === undefined || unusedSince < session.at) continue;
    const end = session.highest + 1;
    const limits = { wanted: end, countMax: EXPIRE_ANSWERS_MAX };
    const trimmedBelow = trim(state, id, session, limits);
    if (end <= trimmedBelow) state.delete(sessionKey(id));
    else putSession(state, id, { ...session, trimmedBelow, isExpired: true });
  }
}

export function getSession(view: StateView, id: SessionId): Session | undefined {
  const bytes = view.get(sessionKey(id));
  return bytes === undefined ? undefined : decodeSession(bytes);
}

export function encodeSession(session: Session): Uint8Array {
  const writer = beginBytes(32).u53(session.at).u53(session.trimmedBelow).u53(session.highest);
  writeFlag(writer, session.isExpired);
  return writer.finish();
}

export function decodeSession(bytes: Uint8Array): Session {
  return readWhole("session record", bytes, (r) => ({
    at: wallMs(r.u53()),
    trimmedBelow: r.u53(),
    highest: r.u53(),
    isExpired: readFlag(r),
  }));
}

/** Deletes answers below `wanted`, oldest first; below what none is left. */
function trim(
  state: State,
  id: SessionId,
  session: Session,
  limits: { readonly wanted: number; readonly countMax: number },
): number {
  const { trimmedBelow, highest } = session;
  // No earlier request was answered above `highest`: a jump over unused sequences costs nothing.
  const last = Math.min(limits.wanted, highest + 1, trimmedBelow + limits.countMax);
  for (let sequence = trimmedBelow; sequence < last; sequence++) {
    state.delete(answerKey(id, sequence));
  }
  const isDone = last === Math.min(limits.wanted, highest + 1);
  return Math.max(trimmedBelow, isDone ? limits.wanted : last);
}

function putSession(state: State, id: SessionId, session: Session): void {
  state.put(sessionKey(id), encodeSession(session));
}
