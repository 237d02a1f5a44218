import { invariant } from "../invariant.js";

/** Bytes of a key's secret: those of the hash that it is used with. */
export const TOKEN_SECRET_BYTES = 32;

/**
 * A key that tokens are made and checked with. The secret stands in no text that is made of it:
 * not in JSON, not in what a debugger or a log prints.
 */
export class TokenKey {
  readonly #secret: Uint8Array;

  /**
   * @param id      From 1, rising; tokens name it.
   * @param secret  TOKEN_SECRET_BYTES of chance; not copied.
   */
  constructor(
    readonly id: number,
    secret: Uint8Array,
  ) {
    invariant(secret.byteLength === TOKEN_SECRET_BYTES, "a key has another length", {
      length: secret.byteLength,
    });
    this.#secret = secret;
  }

  /** For the code of a token, and for handing the key to those who have to know it. */
  secret(): Uint8Array {
    return this.#secret;
  }

  toJSON(): object {
    return { id: this.id };
  }
}
