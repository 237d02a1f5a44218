// Single numbers of the wire, which may be missing or too large: checked here, and refused with
// INVALID_ARGUMENT.

import { LumeoError } from "@lumeofs/base";

/** A field of a message, as it arrives. */
export type Field<T> = T | null | undefined;

/** A whole number from 0 that fits in 53 bits; missing means 0. */
export function decodeNumber(value: Field<number>, name: string): number {
  const number = value ?? 0;
  if (Number.isSafeInteger(number) && 0 <= number) return number;
  throw invalid(`${name} is not a whole number below 2^53`);
}

/** A number from 1. */
export function decodeId(value: Field<number>, name: string): number {
  const number = decodeNumber(value, name);
  if (number === 0) throw invalid(`${name} is missing`);
  return number;
}

export function invalid(why: string): LumeoError {
  return new LumeoError("INVALID_ARGUMENT", `Cannot read the request: ${why}`);
}
