// What every decoder of the SDK checks with: a master that breaks the contract is answered with
// PROTOCOL.

import { LumeoError } from "@lumeofs/base";

/** A part that must be there. */
export function expected<T>(part: T | null | undefined, name: string): T {
  if (part === null || part === undefined) throw broken(`no ${name}`);
  return part;
}

/** A number that counts from 1. */
export function positive(n: number | null | undefined, what: string): number {
  if (typeof n === "number" && Number.isSafeInteger(n) && 0 < n) return n;
  throw broken(`${what} ${n}`);
}

/** What is thrown for an answer that no master may give. */
export function broken(what: string): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot understand the master's answer: it has ${what}`);
}
