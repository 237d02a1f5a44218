/** Whether a refused or failed request may nevertheless have taken effect. */
export type Outcome = "rejected" | "unknown";

export interface ErrorTraits {
  /** The same request may succeed later, or elsewhere. */
  readonly retryable: boolean;
  readonly outcome: Outcome;
}

/** Codes are API: they are never renamed and never change meaning. */
export const ERRORS = {
  NOT_FOUND: { retryable: false, outcome: "rejected" },
  EXISTS: { retryable: false, outcome: "rejected" },
  NOT_EMPTY: { retryable: false, outcome: "rejected" },
  IS_DIRECTORY: { retryable: false, outcome: "rejected" },
  NOT_DIRECTORY: { retryable: false, outcome: "rejected" },
  PRECONDITION: { retryable: false, outcome: "rejected" }, // ifMatch, ifNoneMatch
  CONFLICT: { retryable: false, outcome: "rejected" }, // another writer was first
  INVALID_ARGUMENT: { retryable: false, outcome: "rejected" },
  GRANT_EXPIRED: { retryable: false, outcome: "rejected" }, // the bytes must be sent again
  SESSION_EXPIRED: { retryable: false, outcome: "unknown" }, // an answer may be forgotten
  QUOTA: { retryable: false, outcome: "rejected" }, // a directory may hold no more
  LOCKED: { retryable: false, outcome: "rejected" }, // somebody else holds the lock
  GONE: { retryable: false, outcome: "rejected" }, // so old a revision is no longer kept
  NO_SPACE: { retryable: false, outcome: "rejected" },
  NOT_LEADER: { retryable: true, outcome: "rejected" },
  NO_LEADER: { retryable: true, outcome: "rejected" },
  LEADERSHIP_LOST: { retryable: true, outcome: "unknown" }, // the next leader may still commit it
  OVERLOADED: { retryable: true, outcome: "rejected" },
  UNAVAILABLE: { retryable: true, outcome: "rejected" },
  INLINE_REFUSED: { retryable: false, outcome: "rejected" }, // the file is written as a chunk
  TOO_FEW_SERVERS: { retryable: true, outcome: "rejected" }, // for the units of a code
  CONNECTION_LOST: { retryable: true, outcome: "unknown" },
  TIMEOUT: { retryable: true, outcome: "unknown" },
  CHECKSUM: { retryable: true, outcome: "rejected" }, // another replica may be intact
  UNAUTHENTICATED: { retryable: true, outcome: "rejected" }, // no token, or none of the masters'
  PERMISSION_DENIED: { retryable: true, outcome: "rejected" }, // the token is for something else
  TOKEN_EXPIRED: { retryable: true, outcome: "rejected" }, // the masters give a new one
  STALE_EPOCH: { retryable: true, outcome: "rejected" },
  NOT_PRIMARY: { retryable: true, outcome: "rejected" }, // this server orders no appends there
  SEALED: { retryable: true, outcome: "rejected" }, // takes no more: append to the file's next tail
  UNKNOWN_OUTCOME: { retryable: false, outcome: "unknown" }, // only under the same number
  REPLICA_MISSING: { retryable: true, outcome: "rejected" }, // another replica may have it
  DATA_LOSS: { retryable: false, outcome: "rejected" }, // no intact replica answered
  STORE_FAILED: { retryable: true, outcome: "unknown" }, // that store stopped; another may serve
  PROTOCOL: { retryable: false, outcome: "unknown" }, // the other side broke the format
  ABORTED: { retryable: false, outcome: "unknown" },
  CLOSED: { retryable: false, outcome: "rejected" },
  CORRUPT: { retryable: false, outcome: "rejected" }, // bytes on disk are not what was written
  CONFIG: { retryable: false, outcome: "rejected" },
  INTERNAL: { retryable: false, outcome: "unknown" },
} as const satisfies Record<string, ErrorTraits>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorDetails {
  readonly cause?: unknown;
  /** The leader's address, where the refusing master knows it. */
  readonly leader?: string;
  /** Do not come back sooner. */
  readonly retryAfterMs?: number;
  /** Chunkservers that failed, so that the next attempt avoids them. */
  readonly servers?: readonly number[];
}

/**
 * The one error class: what the world may do to a request. The code decides what the caller does,
 * the message is for people: action, object, state, way out.
 */
export class LumeoError extends Error {
  override readonly name = "LumeoError";
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
  }

  get retryable(): boolean {
    return ERRORS[this.code].retryable;
  }

  get outcome(): Outcome {
    return ERRORS[this.code].outcome;
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** Anything thrown, as a LumeoError: unchanged if it is one, else INTERNAL with the cause kept. */
export function asLumeoError(thrown: unknown): LumeoError {
  if (thrown instanceof LumeoError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new LumeoError("INTERNAL", message, { cause: thrown });
}

/**
 * For what goes on after a failure: the LumeoError that was thrown.
 *
 * @throws Anything else, a broken invariant first of all: that is our own bug.
 */
export function expectLumeoError(thrown: unknown): LumeoError {
  if (thrown instanceof LumeoError) return thrown;
  throw thrown;
}
