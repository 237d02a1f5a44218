// LumeoError ⇄ gRPC.
//
// A refusal by our own code travels whole, as an ErrorDetail in the trailer "lumeo-error-bin"; the
// gRPC status beside it is for foreign tools only. A failure without that trailer was made by gRPC
// itself, and then the question is whether the request may have reached the other side.

import { Metadata, type ServiceError, type StatusObject, status } from "@grpc/grpc-js";
import {
  asLumeoError,
  type ErrorCode,
  type ErrorDetails,
  isErrorCode,
  LumeoError,
} from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";

const TRAILER = "lumeo-error-bin";

/** A trailer must fit the peer's header limit, together with all else. */
const MESSAGE_CHARACTERS_MAX = 1_000;

const STATUS_OF: Readonly<Record<ErrorCode, status>> = {
  NOT_FOUND: status.NOT_FOUND,
  EXISTS: status.ALREADY_EXISTS,
  NOT_EMPTY: status.FAILED_PRECONDITION,
  IS_DIRECTORY: status.FAILED_PRECONDITION,
  NOT_DIRECTORY: status.FAILED_PRECONDITION,
  PRECONDITION: status.FAILED_PRECONDITION,
  CONFLICT: status.ABORTED,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  GRANT_EXPIRED: status.FAILED_PRECONDITION,
  SESSION_EXPIRED: status.FAILED_PRECONDITION,
  QUOTA: status.RESOURCE_EXHAUSTED,
  LOCKED: status.FAILED_PRECONDITION,
  GONE: status.OUT_OF_RANGE,
  NO_SPACE: status.RESOURCE_EXHAUSTED,
  NOT_LEADER: status.FAILED_PRECONDITION,
  NO_LEADER: status.UNAVAILABLE,
  LEADERSHIP_LOST: status.ABORTED,
  OVERLOADED: status.RESOURCE_EXHAUSTED,
  UNAVAILABLE: status.UNAVAILABLE,
  INLINE_REFUSED: status.FAILED_PRECONDITION,
  TOO_FEW_SERVERS: status.UNAVAILABLE,
  CONNECTION_LOST: status.UNAVAILABLE,
  TIMEOUT: status.DEADLINE_EXCEEDED,
  CHECKSUM: status.DATA_LOSS,
  UNAUTHENTICATED: status.UNAUTHENTICATED,
  PERMISSION_DENIED: status.PERMISSION_DENIED,
  TOKEN_EXPIRED: status.UNAUTHENTICATED,
  STALE_EPOCH: status.ABORTED,
  NOT_PRIMARY: status.FAILED_PRECONDITION,
  SEALED: status.FAILED_PRECONDITION,
  UNKNOWN_OUTCOME: status.ABORTED,
  REPLICA_MISSING: status.NOT_FOUND,
  DATA_LOSS: status.DATA_LOSS,
  STORE_FAILED: status.INTERNAL,
  PROTOCOL: status.INVALID_ARGUMENT,
  ABORTED: status.CANCELLED,
  CLOSED: status.UNAVAILABLE,
  CORRUPT: status.DATA_LOSS,
  CONFIG: status.FAILED_PRECONDITION,
  INTERNAL: status.INTERNAL,
};

/** The wire form of an error: for the trailer, and inside batched answers. */
export function encodeErrorDetail(error: LumeoError): lumeo.common.v1.IErrorDetail {
  return {
    code: error.code,
    message: error.message.slice(0, MESSAGE_CHARACTERS_MAX),
    leader: error.details.leader ?? "",
    retryAfterMs: error.details.retryAfterMs ?? 0,
  };
}

/** The mirror of `encodeErrorDetail`. A code that this version does not know is INTERNAL. */
export function decodeErrorDetail(detail: lumeo.common.v1.IErrorDetail): LumeoError {
  const name = detail.code ?? "";
  const details: ErrorDetails = {
    ...(detail.leader ? { leader: detail.leader } : {}),
    ...(detail.retryAfterMs ? { retryAfterMs: detail.retryAfterMs } : {}),
  };
  if (isErrorCode(name)) return new LumeoError(name, detail.message ?? "", details);
  return new LumeoError("INTERNAL", `${name}: ${detail.message ?? ""}`, details);
}

/** What a server sends for an error that a handler threw. */
export function toStatus(thrown: unknown): StatusObject {
  const error = asLumeoError(thrown);
  const detail = encodeErrorDetail(error);
  const metadata = new Metadata();
  metadata.set(TRAILER, Buffer.from(lumeo.common.v1.ErrorDetail.encode(detail).finish()));
  return { code: STATUS_OF[error.code], details: detail.message ?? "", metadata };
}

/**
 * What a caller sees for a failed call.
 *
 * @param address  Of the other side, for the message.
 * @param sent     Whether the request may have left this process.
 */
export function fromServiceError(
  failed: Pick<ServiceError, "code" | "details" | "metadata">,
  address: string,
  sent: boolean,
): LumeoError {
  const trailer = failed.metadata?.get(TRAILER)[0];
  if (trailer instanceof Uint8Array) {
    return decodeErrorDetail(lumeo.common.v1.ErrorDetail.decode(trailer));
  }
  const code = codeWithoutTrailer(failed, sent);
  const why =
    failed.code === status.UNIMPLEMENTED
      ? "it is another kind of server, or of another version, and does not know this call"
      : failed.details;
  return new LumeoError(code, `Cannot finish the call to ${address}: ${why}`, { cause: failed });
}

function codeWithoutTrailer(
  failed: Pick<ServiceError, "code" | "details">,
  sent: boolean,
): ErrorCode {
  switch (failed.code) {
    case status.UNAVAILABLE:
    case status.CANCELLED: // by the other side: whoever cancels here does not ask why
      return sent ? "CONNECTION_LOST" : "UNAVAILABLE";
    case status.DEADLINE_EXCEEDED:
      return "TIMEOUT";
    case status.UNIMPLEMENTED:
    case status.RESOURCE_EXHAUSTED: // a message above the limit
      return "PROTOCOL";
    case status.INTERNAL: // a stream that the other side's death cut off arrives so
      return /RST_STREAM|stream closed/i.test(failed.details) ? "CONNECTION_LOST" : "INTERNAL";
    default:
      return "INTERNAL";
  }
}
