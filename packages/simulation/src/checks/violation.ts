import { LumeoError } from "@lumeofs/base";

/** A property does not hold. */
export class Violation extends Error {
  override readonly name = "Violation";

  constructor(
    readonly property: string,
    message: string,
  ) {
    super(`${property}: ${message}`);
  }
}

/** @throws Violation of this property if the fact is none. */
export function must(fact: boolean, property: string, what: () => string): asserts fact {
  if (!fact) throw new Violation(property, what());
}

/** Whoever was looked at has a disk that has just failed: it is about to end, or to do without. */
export function isOfFailedStore(error: unknown): boolean {
  return error instanceof LumeoError && error.code === "STORE_FAILED";
}
