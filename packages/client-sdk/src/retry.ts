// Whether a failed request is tried again, and when. Only the SDK retries requests: layers that
// each retry three times multiply into an outage.
//
// R1. A request that may have taken effect is repeated only if repeating it is harmless.
// R2. Waits grow by doubling up to a ceiling and are drawn from the whole interval below it (full
//     jitter), so that clients that failed together do not return together.
// R3. A server's wish to be left alone for a while is a lower bound of the wait.
// R4. No wait goes past the deadline.
// R5. What is on its way is asked for again after about as long as whoever says so wishes: it comes
//     when it comes, and waits that grow would only add to it.
// R6. Attempts that failed because nobody leads, or because what is asked for is on its way, are
//     not counted for a while: an election or the seal of a growing chunk needs time, and not a
//     number of attempts.

import { ERRORS, type LumeoError, type Random } from "@lumeofs/base";

/** How patient a call is. */
export interface RetryPolicy {
  /** Attempts in all, the first included. */
  readonly maxAttempts: number;
  /** Ceiling of the wait after the first failure; doubles with each further one. */
  readonly baseDelayMs: number;
  /** The ceiling never exceeds this. */
  readonly maxDelayMs: number;
  /**
   * So long a step goes on while no master leads, or the masters say that what is asked for is on
   * its way, however many attempts that takes; then, and for all other failures, `maxAttempts`
   * counts. 0 where `maxAttempts` is given without it.
   */
  readonly leaderlessMs: number;
  /** "full": anything from 0 to the ceiling. "none": the ceiling itself. */
  readonly jitter: "full" | "none";
}

/**
 * Some ten seconds of trying in all, with first repetitions within milliseconds; half a minute for
 * masters that elect a leader, or wait for one of them to come back.
 */
export const RETRY_DEFAULT: RetryPolicy = {
  maxAttempts: 20,
  baseDelayMs: 50,
  maxDelayMs: 1_500,
  leaderlessMs: 30_000,
  jitter: "full",
};

/** `retry: false`. */
export const NO_RETRY: RetryPolicy = { ...RETRY_DEFAULT, maxAttempts: 1, leaderlessMs: 0 };

/** What is on its way is asked for again after the wait that was wished for, or so much more. */
const EXPECTED_WAIT = 2;

/** How often in a row a hint to the leader is followed at once. */
export const REDIRECTS_MAX = 3;

/** A failure, as far as the decision needs it. */
export interface FailedAttempt {
  readonly error: LumeoError;
  /** Attempts made so far, this one included. */
  readonly count: number;
  /** Of these, how many were redirected to a leader and not answered. */
  readonly redirects: number;
  /** Repeating the request cannot double its effect. */
  readonly idempotent: boolean;
  /** Since the first attempt began. */
  readonly elapsedMs: number;
  /** Until the deadline; Infinity without one. */
  readonly remainingMs: number;
}

export type Retry =
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "giveUp"; readonly why: string };

/** What to do after a failure (R1–R6). */
export function afterFailure(failed: FailedAttempt, policy: RetryPolicy, random: Random): Retry {
  const { error, count, redirects, idempotent, remainingMs } = failed;
  const traits = ERRORS[error.code];
  if (!traits.retryable) return { kind: "giveUp", why: "not retryable" };
  if (traits.outcome === "unknown" && !idempotent) return { kind: "giveUp", why: "maybe applied" };
  const isOnItsWay = isLeaderless(error) || isExpected(error);
  const isPatient = isOnItsWay && failed.elapsedMs < policy.leaderlessMs;
  if (!isPatient && !(count < policy.maxAttempts))
    return { kind: "giveUp", why: "attempts used up" };
  const ms = isRedirect(error) && redirects <= REDIRECTS_MAX ? 0 : waitMs(failed, policy, random);
  if (!(ms < remainingMs)) return { kind: "giveUp", why: "deadline" };
  return { kind: "wait", ms };
}

/** The refusing master knows who leads, so there is nothing to wait for. */
export function isRedirect(error: LumeoError): boolean {
  return error.code === "NOT_LEADER" && error.details.leader !== undefined;
}

/** The masters are there, and none of them leads. */
function isLeaderless({ code }: LumeoError): boolean {
  return code === "NO_LEADER" || code === "NOT_LEADER" || code === "LEADERSHIP_LOST";
}

/** Not there yet, and whoever says so says when to ask again. */
function isExpected({ code, details }: LumeoError): boolean {
  return code === "UNAVAILABLE" && details.retryAfterMs !== undefined;
}

function waitMs(failed: FailedAttempt, policy: RetryPolicy, random: Random): number {
  const { retryAfterMs = 0 } = failed.error.details;
  if (isExpected(failed.error)) return retryAfterMs * (1 + EXPECTED_WAIT * random.fraction());
  // Only redirects that were followed at once do not count: in an election the others still name
  // the leader that has gone, and would use up all attempts within a moment.
  const free = Math.min(failed.redirects, REDIRECTS_MAX, failed.count - 1);
  const doublings = Math.min(failed.count - 1 - free, 30);
  const ceilingMs = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** doublings);
  const ms = policy.jitter === "full" ? ceilingMs * random.fraction() : ceilingMs;
  return Math.max(ms, retryAfterMs);
}
