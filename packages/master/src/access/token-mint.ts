// Where the masters' word is given: tokens for whoever is told where a chunk is, or may write one.
//
// M1. Every master can make tokens: the keys are in the state. Each uses its own wall clock, which
//     must be within some seconds of the leader's; one that is behind gives tokens that end early,
//     and their bearers then ask the leader.
// M2. Tokens to read a chunk are the same for all who ask within a quarter of their life, so that
//     chunkservers know them again.

import {
  type ChunkHandle,
  type Clock,
  type Epoch,
  type HmacSha256,
  type MonotonicMs,
  mintToken,
  type Right,
  type TokenClaims,
  type TokenKey,
  wallMs,
} from "@lumeofs/base";
import type { StateView } from "../metadata/state.js";
import { getTokenKeys } from "../metadata/token-keys.js";

/** How long a key that was read from the state is used without looking there again. */
const KEY_USE_MS = 1_000;
/** While the cluster is being set up there is no key, and no token. */
const NO_TOKEN = new Uint8Array();

export interface TokenMintPorts {
  readonly clock: Clock;
  readonly hmac: HmacSha256;
  /** Life of a token for a chunk, at least. */
  readonly lifeMs: number;
}

/** Handles to write. */
export interface TokenGrant {
  readonly firstHandle: ChunkHandle;
  readonly handleCount: number;
  readonly epoch: Epoch;
  readonly lifeMs: number;
}

export class TokenMint {
  readonly #ports: TokenMintPorts;
  #newest: { readonly key: TokenKey; readonly until: MonotonicMs } | undefined;

  constructor(ports: TokenMintPorts) {
    this.#ports = ports;
  }

  /**
   * A token for one chunk (M2). Empty while there is no key.
   *
   * @param epoch  Undefined for whatever epoch the chunk has.
   */
  forChunk(
    state: StateView,
    rights: readonly Right[],
    chunk: { readonly handle: ChunkHandle; readonly epoch: Epoch | undefined },
  ): Uint8Array {
    const { clock, lifeMs } = this.#ports;
    const step = lifeMs / 4;
    const expiresAt = wallMs(Math.ceil(clock.wallMs() / step) * step + lifeMs);
    const { handle: firstHandle, epoch } = chunk;
    return this.#mint(state, { rights, firstHandle, handleCount: 1, epoch, expiresAt });
  }

  /** A token to write the handles of a grant. Empty while there is no key. */
  forGrant(state: StateView, grant: TokenGrant): Uint8Array {
    const { lifeMs, ...handles } = grant;
    const expiresAt = wallMs(this.#ports.clock.wallMs() + lifeMs);
    return this.#mint(state, { rights: ["write"], ...handles, expiresAt });
  }

  /** A token for a chunkserver that is to copy or to audit a replica within some time. */
  forOrder(
    state: StateView,
    chunk: { readonly handle: ChunkHandle; readonly epoch: Epoch },
    withinMs: number,
  ): Uint8Array {
    const { clock, lifeMs } = this.#ports;
    const { handle: firstHandle, epoch } = chunk;
    const expiresAt = wallMs(clock.wallMs() + withinMs + lifeMs);
    return this.#mint(state, { rights: ["copy"], firstHandle, handleCount: 1, epoch, expiresAt });
  }

  #mint(state: StateView, claims: TokenClaims): Uint8Array {
    const key = this.#key(state);
    return key === undefined ? NO_TOKEN : mintToken(claims, key, this.#ports.hmac);
  }

  #key(state: StateView): TokenKey | undefined {
    const now = this.#ports.clock.monotonicMs();
    if (this.#newest !== undefined && now < this.#newest.until) return this.#newest.key;
    const key = getTokenKeys(state)[0]?.key;
    const until = (now + KEY_USE_MS) as MonotonicMs;
    this.#newest = key === undefined ? undefined : { key, until };
    return key;
  }
}
