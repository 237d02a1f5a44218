// Answered requests, so that a request that is sent again takes effect once and gets the first
// answer again (Raft §8, thesis §6.3). Answers live in the replicated state: every later leader
// has them.
//
// Answers lie in pages of PAGE_ANSWERS sequences, so that a busy session costs a few keys of the
// state and not two for each request.
//
// E1. An answer is kept at least until its sequence is below `trimmedBelow`.
// E2. A sequence below `trimmedBelow` is never applied: its answer may be forgotten.
// E3. Pages below `freedPages` are deleted. One command deletes at most TRIM_PAGES_MAX of them, one
//     expiry EXPIRE_PAGES_MAX.

import {
  type ByteReader,
  type ByteWriter,
  type SessionId,
  sessionId,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { type Refused, type RequestId, refuse } from "./command.js";
import { takeNumber } from "./counters.js";
import {
  encodeValue,
  encodeWhole,
  readFlag,
  readWhole,
  VERSION_BYTES,
  writeFlag,
} from "./fields.js";
import { answerPageKey, sessionKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** How far a session's newest sequence may be ahead of its oldest unanswered one. */
export const SESSION_WINDOW = 65_536;
export const PAGE_ANSWERS = 32;
const TRIM_PAGES_MAX = 4;
const EXPIRE_PAGES_MAX = 64;

export interface Session {
  /** Last used. */
  readonly at: WallMs;
  readonly trimmedBelow: number;
  readonly freedPages: number;
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
  putSession(state, id, { at, trimmedBelow: 1, freedPages: 0, highest: 0, isExpired: false });
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
  if (session.highest < sequence) return { kind: "fresh", session };
  const page = view.get(answerPageKey(request.session, pageOf(sequence)));
  const reply = page === undefined ? undefined : findAnswer(page, sequence);
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
  const { session: id, sequence } = request;
  const key = answerPageKey(id, pageOf(sequence));
  state.put(key, withAnswer(state.get(key), sequence, reply));
  const trimmedBelow = Math.max(session.trimmedBelow, Math.min(request.answeredBelow, sequence));
  const unneeded = { below: pageOf(trimmedBelow), countMax: TRIM_PAGES_MAX };
  const freedPages = freePages(state, id, session, unneeded);
  const highest = Math.max(session.highest, sequence);
  putSession(state, id, { at, trimmedBelow, freedPages, highest, isExpired: false });
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
    const end = pageOf(session.highest) + 1;
    const unneeded = { below: end, countMax: EXPIRE_PAGES_MAX };
    const freedPages = freePages(state, id, session, unneeded);
    if (freedPages === end) state.delete(sessionKey(id));
    else putSession(state, id, { ...session, freedPages, isExpired: true });
  }
}

export function getSession(view: StateView, id: SessionId): Session | undefined {
  const bytes = view.get(sessionKey(id));
  return bytes === undefined ? undefined : decodeSession(bytes);
}

export function encodeSession(session: Session): Uint8Array {
  return encodeValue(session, writeSession);
}

function writeSession(writer: ByteWriter, session: Session): void {
  writer.u53(session.at).u53(session.trimmedBelow);
  writer.u53(session.freedPages).u53(session.highest);
  writeFlag(writer, session.isExpired);
}

export function decodeSession(bytes: Uint8Array): Session {
  return readWhole("session record", bytes, readSession);
}

function readSession(r: ByteReader): Session {
  return {
    at: wallMs(r.u53()),
    trimmedBelow: r.u53(),
    freedPages: r.u53(),
    highest: r.u53(),
    isExpired: readFlag(r),
  };
}

/** The answer to a request in a page of answers. */
export function findAnswer(page: Uint8Array, wanted: number): Uint8Array | undefined {
  return readWhole("page of answers", page, (reader) => {
    let found: Uint8Array | undefined;
    while (0 < reader.remaining) {
      const sequence = reader.u53();
      const reply = reader.sized();
      if (sequence === wanted) found = reply;
    }
    return found;
  });
}

/** A page with one answer more at its end; a new page for undefined. */
export function withAnswer(
  page: Uint8Array | undefined,
  sequence: number,
  reply: Uint8Array,
): Uint8Array {
  return encodeWhole((writer) => {
    if (page !== undefined) writer.bytes(page.subarray(VERSION_BYTES));
    writer.u53(sequence).sized(reply);
  });
}

function pageOf(sequence: number): number {
  return Math.floor(sequence / PAGE_ANSWERS);
}

/** Deletes pages below `below`, oldest first; below which page none is left. */
function freePages(
  state: State,
  id: SessionId,
  { freedPages, highest }: Session,
  unneeded: { readonly below: number; readonly countMax: number },
): number {
  // No earlier request was answered above `highest`: a jump over unused sequences costs nothing.
  const end = Math.min(unneeded.below, pageOf(highest) + 1);
  const last = Math.min(end, freedPages + unneeded.countMax);
  for (let page = freedPages; page < last; page++) state.delete(answerPageKey(id, page));
  return Math.max(freedPages, last === end ? unneeded.below : last);
}

function putSession(state: State, id: SessionId, session: Session): void {
  state.put(sessionKey(id), encodeSession(session));
}
