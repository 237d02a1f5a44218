// The errors that users of the SDK see. Inside the system one class with one table of codes does
// the work; here its codes become the stable LUMEO_* codes, with a subclass for those that callers
// usually catch by class, and with what the caller needs to act: the path, the number of attempts,
// and whether trying again may help.

import { type ErrorCode, LumeoError as InternalError, InvariantViolation } from "@lumeofs/base";

/** Codes are API: they are never renamed and never change meaning. */
export type LumeoErrorCode =
  | "LUMEO_NOT_FOUND"
  | "LUMEO_EXISTS"
  | "LUMEO_PRECONDITION"
  | "LUMEO_CONFLICT"
  | "LUMEO_NOT_EMPTY"
  | "LUMEO_IS_DIRECTORY"
  | "LUMEO_NOT_DIRECTORY"
  | "LUMEO_INVALID_ARGUMENT"
  | "LUMEO_QUOTA"
  | "LUMEO_LOCKED"
  | "LUMEO_GONE"
  | "LUMEO_NO_SPACE"
  | "LUMEO_CHECKSUM"
  | "LUMEO_DATA_LOSS"
  | "LUMEO_UNAVAILABLE"
  | "LUMEO_NO_LEADER"
  | "LUMEO_TIMEOUT"
  | "LUMEO_ABORTED"
  | "LUMEO_CLOSED"
  | "LUMEO_INTERNAL";

/** What travels with an error besides its code and message. */
export interface LumeoErrorFacts {
  /** Trying the whole call again may help. */
  readonly retryable?: boolean;
  /** The file or directory that the call was about. */
  readonly path?: string | undefined;
  /** How often the SDK tried. */
  readonly attempts?: number;
  readonly cause?: unknown;
}

const BRAND = Symbol.for("lumeofs.error");

/** What a call of the SDK rejects with, unless the caller's own body or callback threw. */
export class LumeoError extends Error {
  override readonly name: string = "LumeoError";
  readonly retryable: boolean;
  readonly path: string | undefined;
  readonly attempts: number;

  constructor(
    readonly code: LumeoErrorCode,
    message: string,
    facts: LumeoErrorFacts = {},
  ) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.retryable = facts.retryable ?? false;
    this.path = facts.path;
    this.attempts = facts.attempts ?? 1;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Whether `thrown` is such an error, of this code if one is given; works across SDK copies. */
  static is(thrown: unknown, code?: LumeoErrorCode): thrown is LumeoError {
    if (typeof thrown !== "object" || thrown === null || !(BRAND in thrown)) return false;
    return code === undefined || ("code" in thrown && thrown.code === code);
  }

  /** For logs and `--json`. Causes are shown by their messages. */
  toJSON(): object {
    const { name, code, message, retryable, path, attempts, cause } = this;
    const shown = cause instanceof Error ? cause.message : cause;
    return { name, code, message, retryable, path, attempts, cause: shown };
  }
}

/** Nothing has that name. */
export class NotFoundError extends LumeoError {
  override readonly name = "NotFoundError";
}
/** The name is taken. */
export class ExistsError extends LumeoError {
  override readonly name = "ExistsError";
}
/** ifMatch or ifNoneMatch did not hold. */
export class PreconditionError extends LumeoError {
  override readonly name = "PreconditionError";
}
/** Another writer was first, or the file changed while it was read. */
export class ConflictError extends LumeoError {
  override readonly name = "ConflictError";
}
/** Bytes arrived that do not match their checksum. They were not handed on. */
export class ChecksumError extends LumeoError {
  override readonly name = "ChecksumError";
}
/** No intact replica of a chunk exists. */
export class DataLossError extends LumeoError {
  override readonly name = "DataLossError";
}
/** The cluster, or the part of it that is needed, does not answer. */
export class UnavailableError extends LumeoError {
  override readonly name = "UnavailableError";
}
/** A deadline passed. */
export class TimeoutError extends LumeoError {
  override readonly name = "TimeoutError";
}
/** The caller's signal was aborted. */
export class AbortedError extends LumeoError {
  override readonly name = "AbortError";
}
/** The client has been closed. */
export class ClosedError extends LumeoError {
  override readonly name = "ClosedError";
}

const PUBLIC_CODES: Readonly<Record<ErrorCode, LumeoErrorCode>> = {
  NOT_FOUND: "LUMEO_NOT_FOUND",
  EXISTS: "LUMEO_EXISTS",
  NOT_EMPTY: "LUMEO_NOT_EMPTY",
  IS_DIRECTORY: "LUMEO_IS_DIRECTORY",
  NOT_DIRECTORY: "LUMEO_NOT_DIRECTORY",
  QUOTA: "LUMEO_QUOTA",
  LOCKED: "LUMEO_LOCKED",
  GONE: "LUMEO_GONE",
  PRECONDITION: "LUMEO_PRECONDITION",
  CONFLICT: "LUMEO_CONFLICT",
  INVALID_ARGUMENT: "LUMEO_INVALID_ARGUMENT",
  GRANT_EXPIRED: "LUMEO_CONFLICT",
  SESSION_EXPIRED: "LUMEO_UNAVAILABLE",
  NO_SPACE: "LUMEO_NO_SPACE",
  NOT_LEADER: "LUMEO_NO_LEADER",
  NO_LEADER: "LUMEO_NO_LEADER",
  LEADERSHIP_LOST: "LUMEO_UNAVAILABLE",
  OVERLOADED: "LUMEO_UNAVAILABLE",
  UNAVAILABLE: "LUMEO_UNAVAILABLE",
  INLINE_REFUSED: "LUMEO_UNAVAILABLE",
  TOO_FEW_SERVERS: "LUMEO_UNAVAILABLE",
  CONNECTION_LOST: "LUMEO_UNAVAILABLE",
  TIMEOUT: "LUMEO_TIMEOUT",
  CHECKSUM: "LUMEO_CHECKSUM",
  UNAUTHENTICATED: "LUMEO_UNAVAILABLE",
  PERMISSION_DENIED: "LUMEO_UNAVAILABLE",
  TOKEN_EXPIRED: "LUMEO_UNAVAILABLE",
  STALE_EPOCH: "LUMEO_CONFLICT",
  NOT_PRIMARY: "LUMEO_UNAVAILABLE",
  SEALED: "LUMEO_UNAVAILABLE",
  UNKNOWN_OUTCOME: "LUMEO_UNAVAILABLE",
  REPLICA_MISSING: "LUMEO_UNAVAILABLE",
  DATA_LOSS: "LUMEO_DATA_LOSS",
  STORE_FAILED: "LUMEO_UNAVAILABLE",
  PROTOCOL: "LUMEO_INTERNAL",
  ABORTED: "LUMEO_ABORTED",
  CLOSED: "LUMEO_CLOSED",
  CORRUPT: "LUMEO_CHECKSUM",
  CONFIG: "LUMEO_INVALID_ARGUMENT",
  INTERNAL: "LUMEO_INTERNAL",
};

type ErrorClass = new (code: LumeoErrorCode, message: string, facts: LumeoErrorFacts) => LumeoError;

const CLASSES: Readonly<Partial<Record<LumeoErrorCode, ErrorClass>>> = {
  LUMEO_NOT_FOUND: NotFoundError,
  LUMEO_EXISTS: ExistsError,
  LUMEO_PRECONDITION: PreconditionError,
  LUMEO_CONFLICT: ConflictError,
  LUMEO_CHECKSUM: ChecksumError,
  LUMEO_DATA_LOSS: DataLossError,
  LUMEO_UNAVAILABLE: UnavailableError,
  LUMEO_NO_LEADER: UnavailableError,
  LUMEO_TIMEOUT: TimeoutError,
  LUMEO_ABORTED: AbortedError,
  LUMEO_CLOSED: ClosedError,
};

/**
 * What a call rejects with, from whatever was thrown inside: our own errors get their public code;
 * errors of the caller's own body or callbacks, and broken invariants, pass unchanged.
 */
export function toPublic(thrown: unknown, path: string | undefined, attempts: number): unknown {
  if (LumeoError.is(thrown) || thrown instanceof InvariantViolation) return thrown;
  if (!(thrown instanceof InternalError)) return thrown;
  const code = PUBLIC_CODES[thrown.code];
  const Class = CLASSES[code] ?? LumeoError;
  const { retryable, message } = thrown;
  return new Class(code, message, { retryable, path, attempts, cause: thrown.details.cause });
}

/** What an aborted call rejects with, inside. The public error is named "AbortError". */
export function aborted(signal: { readonly reason: unknown }): InternalError {
  return new InternalError("ABORTED", "The call was aborted by its signal", {
    cause: signal.reason,
  });
}

/** Runs an action that may throw our internal errors; the caller sees the public ones. */
export function publicly<T>(action: () => T, path?: string): T {
  try {
    return action();
  } catch (error) {
    throw toPublic(error, path, 1);
  }
}
