// Capability tokens: the masters' word that a request for a chunk may be served. Whoever shows a
// token may do what it names; nothing is asked about who that is. The bytes, and what they do not
// protect against, are described in docs/formats/capability-token.md.
//
// T1. A token is genuine only if its code was made with a key that the masters gave out, over all
//     its other bytes.
// T2. A genuine token allows one thing: one of its rights, on one of its handles, under its epoch
//     if it names one, until it expires by the clock of the masters.
// T3. Bytes that are no token are refused like a forged one: nothing here throws on any input.
//
// Which writes are safe never depends on it: tokens are access control, epochs are the protocol.

import { ByteReader } from "../byte-reader.js";
import { ByteWriter } from "../byte-writer.js";
import { type ChunkHandle, chunkHandle, type Epoch, epoch } from "../ids.js";
import { invariant } from "../invariant.js";
import { type WallMs, wallMs } from "../time.js";
import type { TokenKey } from "./token-key.js";

/** HMAC-SHA-256 (RFC 2104): 32 bytes. */
export type HmacSha256 = (key: Uint8Array, message: Uint8Array) => Uint8Array;

/**
 * What tokens allow. `copy` is for chunkservers that read a replica to copy or to audit it, `lead`
 * for the primary of an appendable chunk, towards the other replicas. Bits are never used again.
 */
const RIGHT_BITS = { read: 1, write: 2, append: 4, copy: 8, lead: 16 } as const;

export type Right = keyof typeof RIGHT_BITS;

/** What a token says. */
export interface TokenClaims {
  readonly rights: readonly Right[];
  readonly firstHandle: ChunkHandle;
  /** It is for this many handles, one after the other. */
  readonly handleCount: number;
  /** Undefined: for any epoch. */
  readonly epoch: Epoch | undefined;
  /** By the clock of the masters; not valid at or after it. */
  readonly expiresAt: WallMs;
}

/** What somebody wants to do. */
export interface AccessRequest {
  /** One of these is enough. */
  readonly rights: readonly Right[];
  readonly handle: ChunkHandle;
  /** Undefined where the request is for whatever epoch there is. */
  readonly epoch: Epoch | undefined;
}

/** What a genuine token means for a request. */
export type AccessVerdict = "allowed" | "otherHandle" | "otherEpoch" | "otherRight" | "expired";

const VERSION = 1;
/** The code is cut to this length, which RFC 2104 allows: nobody tries 2^128 of them. */
const CODE_BYTES = 16;
const BODY_BYTES = 34;
export const TOKEN_BYTES = BODY_BYTES + CODE_BYTES;
/** A grant has 64 handles; more than this in one token is a bug of whoever mints. */
const HANDLES_MAX = 65_535;

/** Makes a token. */
export function mintToken(claims: TokenClaims, key: TokenKey, hmac: HmacSha256): Uint8Array {
  const { firstHandle, handleCount, expiresAt } = claims;
  invariant(0 < handleCount && handleCount <= HANDLES_MAX, "handles of a token out of range", {
    handleCount,
  });
  const writer = new ByteWriter(TOKEN_BYTES);
  writer.u8(VERSION).u8(bitsOf(claims.rights)).u32(key.id);
  writer
    .u53(firstHandle)
    .u32(handleCount)
    .u53(claims.epoch ?? 0)
    .u53(expiresAt);
  const code = hmac(key.secret(), writer.finish());
  return writer.part(code, 0, CODE_BYTES).finish();
}

/** The number of the key that a token says it was made with; undefined if it is no token (T3). */
export function keyIdOf(token: Uint8Array): number | undefined {
  if (token.byteLength !== TOKEN_BYTES || token[0] !== VERSION) return undefined;
  return new ByteReader(token.subarray(2)).u32();
}

/** Whether a token was made with this key (T1). A wrong code takes as long as a right one. */
export function isGenuine(token: Uint8Array, key: TokenKey, hmac: HmacSha256): boolean {
  if (keyIdOf(token) !== key.id) return false;
  const code = hmac(key.secret(), token.subarray(0, BODY_BYTES));
  let difference = 0;
  for (let i = 0; i < CODE_BYTES; i++) {
    difference |= (code[i] as number) ^ (token[BODY_BYTES + i] as number);
  }
  return difference === 0;
}

/** What a token says, undefined if it is no token (T3). Worth nothing unless it is genuine. */
export function readClaims(token: Uint8Array): TokenClaims | undefined {
  if (token.byteLength !== TOKEN_BYTES || token[0] !== VERSION) return undefined;
  const reader = new ByteReader(token.subarray(1, BODY_BYTES));
  const bits = reader.u8();
  reader.u32(); // the key
  try {
    const firstHandle = reader.u53();
    const handleCount = reader.u32();
    const term = reader.u53();
    const expiresAt = wallMs(reader.u53());
    if (firstHandle === 0 || handleCount === 0 || HANDLES_MAX < handleCount) return undefined;
    return {
      rights: rightsOf(bits),
      firstHandle: chunkHandle(firstHandle),
      handleCount,
      epoch: term === 0 ? undefined : epoch(term),
      expiresAt,
    };
  } catch {
    return undefined; // a number above 2^53
  }
}

/** Whether a genuine token allows a request at a time of the masters' clock (T2). */
export function judgeAccess(
  claims: TokenClaims,
  request: AccessRequest,
  now: WallMs,
): AccessVerdict {
  const offset = request.handle - claims.firstHandle;
  if (offset < 0 || claims.handleCount <= offset) return "otherHandle";
  if (!request.rights.some((right) => claims.rights.includes(right))) return "otherRight";
  const isForAny = claims.epoch === undefined || request.epoch === undefined;
  if (!isForAny && claims.epoch !== request.epoch) return "otherEpoch";
  return now < claims.expiresAt ? "allowed" : "expired";
}

function bitsOf(rights: readonly Right[]): number {
  return rights.reduce((bits, right) => bits | RIGHT_BITS[right], 0);
}

function rightsOf(bits: number): readonly Right[] {
  const all = Object.keys(RIGHT_BITS) as Right[];
  return all.filter((right) => (bits & RIGHT_BITS[right]) !== 0);
}
