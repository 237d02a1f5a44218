// The gate that every request for a chunk passes: nobody is served without the masters' word
// (docs/design/0023-capability-tokens.md).
//
// G1. A token is checked with the key that it names, once; then it is known by its bytes, until
//     half of KNOWN_MAX others have come since it was last shown, or the keys change. Its time, and
//     whether it is for what is asked, are judged for each request.
// G2. A token of a key that this server has not heard of, or any token while it knows no key, waits
//     for the masters up to KEY_WAIT_MS: this server may have been started a moment ago, or the key
//     made. More than WAITING_MAX do not wait.
// G3. A refusal names the chunk and the way out, never the token or a key.

import {
  type AccessRequest,
  type Alarm,
  type Clock,
  type ErrorCode,
  type HmacSha256,
  isGenuine,
  judgeAccess,
  keyIdOf,
  LumeoError,
  readClaims,
  type Timers,
  type TokenClaims,
} from "@lumeofs/base";
import type { MastersWord } from "./masters-word.js";

/** What serves requests asks this before anything else. */
export interface Gate {
  /**
   * Lets a request pass: at once, or when the masters have told what is needed to judge it.
   *
   * @throws LumeoError UNAUTHENTICATED without a token of the masters; TOKEN_EXPIRED;
   *         PERMISSION_DENIED if the token is for something else; UNAVAILABLE if the keys did not
   *         come in time. At once, or as the promise's rejection.
   */
  check(token: Uint8Array | undefined, request: AccessRequest): Promise<void> | undefined;
}

/** Lets everything pass: for `tokens=off`, and for tests of what lies behind. */
export const OPEN_GATE: Gate = { check: () => undefined };

/** Tokens whose code was found right. A token has 50 bytes, what is kept of it some 300. */
export const KNOWN_MAX = 8_192;
export const KEY_WAIT_MS = 3_000;
export const WAITING_MAX = 512;

export interface TokenGatePorts {
  readonly word: MastersWord;
  readonly hmac: HmacSha256;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly timers: Timers;
  /** Asks the masters for their keys, without waiting for the next heartbeat. */
  readonly askForKeys: () => void;
}

interface Waiter {
  readonly wake: () => void;
  readonly alarm: Alarm;
}

export class TokenGate implements Gate {
  readonly #ports: TokenGatePorts;
  /**
   * By the bytes of the token. Two generations: to take the oldest out of one map, one by one,
   * would cost ten times what a token's code does.
   */
  #young = new Map<string, TokenClaims>();
  #old = new Map<string, TokenClaims>();
  readonly #waiting = new Set<Waiter>();

  constructor(ports: TokenGatePorts) {
    this.#ports = ports;
  }

  check(token: Uint8Array | undefined, request: AccessRequest): Promise<void> | undefined {
    if (token === undefined) throw refusal("UNAUTHENTICATED", request, "it shows no token");
    if (this.#mustWait(token)) return this.#checkLater(token, request);
    this.#judge(token, request);
    return undefined;
  }

  /** The masters have told their keys: who waits is judged, and tokens of old keys forgotten. */
  keysChanged(): void {
    this.#young.clear();
    this.#old.clear();
    for (const waiter of [...this.#waiting]) this.#release(waiter);
  }

  #mustWait(token: Uint8Array): boolean {
    const { word } = this.#ports;
    if (!word.isComplete) return true;
    return word.newestKey < (keyIdOf(token) ?? 0);
  }

  /** G2. */
  async #checkLater(token: Uint8Array, request: AccessRequest): Promise<void> {
    const { timers, askForKeys } = this.#ports;
    if (WAITING_MAX <= this.#waiting.size) {
      throw refusal("OVERLOADED", request, "too many others wait for the keys of the masters");
    }
    await new Promise<void>((wake) => {
      const alarm = timers.after(KEY_WAIT_MS, () => this.#release(waiter));
      const waiter: Waiter = { wake, alarm };
      this.#waiting.add(waiter);
      if (this.#waiting.size === 1) askForKeys(); // the answer is for all that come meanwhile
    });
    if (!this.#ports.word.isComplete) {
      const what = "this server has not heard the keys of the masters yet";
      throw refusal("UNAVAILABLE", request, what);
    }
    this.#judge(token, request);
  }

  #release(waiter: Waiter): void {
    waiter.alarm.cancel();
    this.#waiting.delete(waiter);
    waiter.wake();
  }

  #judge(token: Uint8Array, request: AccessRequest): void {
    const { word, clock } = this.#ports;
    const claims = this.#claimsOf(token);
    if (claims === undefined) {
      throw refusal("UNAUTHENTICATED", request, "its token is none of the masters'");
    }
    const verdict = judgeAccess(claims, request, word.refusesBefore(clock.monotonicMs()));
    switch (verdict) {
      case "allowed":
        return;
      case "expired":
        throw refusal("TOKEN_EXPIRED", request, "its token has expired");
      case "otherHandle":
        throw refusal("PERMISSION_DENIED", request, "its token is for other chunks");
      case "otherEpoch":
        throw refusal("PERMISSION_DENIED", request, "its token is for another epoch");
      case "otherRight": {
        const rights = claims.rights.join(", ");
        throw refusal("PERMISSION_DENIED", request, `its token is to ${rights || "do nothing"}`);
      }
    }
  }

  /** What a genuine token says (G1). */
  #claimsOf(token: Uint8Array): TokenClaims | undefined {
    const name = nameOf(token);
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const old = this.#old.get(name);
    if (old !== undefined) return this.#remember(name, old);
    const { word, hmac } = this.#ports;
    const key = word.key(keyIdOf(token) ?? 0);
    if (key === undefined || !isGenuine(token, key, hmac)) return undefined;
    const claims = readClaims(token);
    return claims === undefined ? undefined : this.#remember(name, claims);
  }

  #remember(name: string, claims: TokenClaims): TokenClaims {
    if (KNOWN_MAX / 2 <= this.#young.size) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(name, claims);
    return claims;
  }
}

/** A text with a character for each byte. */
function nameOf(token: Uint8Array): string {
  return Buffer.from(token.buffer, token.byteOffset, token.byteLength).toString("latin1");
}

function refusal(code: ErrorCode, request: AccessRequest, why: string): LumeoError {
  const { rights, handle } = request;
  const what = `Cannot ${rights[0]} chunk ${handle}: ${why}`;
  const wayOut = code === "UNAVAILABLE" || code === "OVERLOADED" ? "try again" : WAY_OUT;
  return new LumeoError(code, `${what}; ${wayOut}`);
}

const WAY_OUT = "ask the masters where the chunk is, and show the token that comes with the answer";
