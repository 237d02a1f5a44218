import { type ErrorCode, LumeoError } from "@lumeofs/base";

const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "TOKEN_EXPIRED",
]);

/** Whether a chunkserver did not take the token of a request: the masters give a new one. */
export function isTokenRefusal(error: unknown): boolean {
  return error instanceof LumeoError && REFUSALS.has(error.code);
}
