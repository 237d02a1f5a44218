import {
  type Clock,
  chunkHandle,
  epoch,
  isGenuine,
  judgeAccess,
  monotonicMs,
  readClaims,
  TOKEN_SECRET_BYTES,
  type TokenClaims,
  wallMs,
} from "@lumeofs/base";
import { nativeHmacSha256 as hmac } from "@lumeofs/node";
import test from "ava";
import { MemoryState } from "../../test/memory-state.js";
import { addTokenKey, getTokenKeys } from "../metadata/token-keys.js";
import { TokenMint } from "./token-mint.js";

const LIFE_MS = 600_000;
const CHUNK = { handle: chunkHandle(65), epoch: epoch(1) };

class SetClock implements Clock {
  now = 1_000_000;
  monotonicMs() {
    return monotonicMs(this.now);
  }
  wallMs() {
    return wallMs(this.now);
  }
}

function setUp() {
  const clock = new SetClock();
  const state = new MemoryState();
  const add = (after: number): void => {
    const secret = new Uint8Array(TOKEN_SECRET_BYTES).fill(after + 1);
    addTokenKey(state, { after, secret }, wallMs(clock.now));
  };
  add(0);
  return { clock, state, add, mint: new TokenMint({ clock, hmac, lifeMs: LIFE_MS }) };
}

function claimsOf(token: Uint8Array): TokenClaims {
  const claims = readClaims(token);
  if (claims === undefined) throw new Error("no token");
  return claims;
}

test("TokenMint gives the same token for a chunk for a while, and one that lives long enough", (t) => {
  const { clock, state, mint } = setUp();
  const first = mint.forChunk(state, ["read"], CHUNK);
  clock.now += 1;
  t.deepEqual(mint.forChunk(state, ["read"], CHUNK), first);
  for (let i = 0; i < 50; i++) {
    clock.now += 31_337;
    const { expiresAt } = claimsOf(mint.forChunk(state, ["read"], CHUNK));
    t.true(clock.now + LIFE_MS <= expiresAt && expiresAt <= clock.now + 1.25 * LIFE_MS);
  }
});

test("TokenMint's token to read allows nothing else, and no other chunk", (t) => {
  const { clock, state, mint } = setUp();
  const token = mint.forChunk(state, ["read"], CHUNK);
  const claims = claimsOf(token);
  const now = wallMs(clock.now);
  t.true(isGenuine(token, getTokenKeys(state)[0]!.key, hmac));
  t.is(judgeAccess(claims, { rights: ["read"], ...CHUNK }, now), "allowed");
  t.is(judgeAccess(claims, { rights: ["write", "append", "lead"], ...CHUNK }, now), "otherRight");
  const other = { ...CHUNK, handle: chunkHandle(66) };
  t.is(judgeAccess(claims, { rights: ["read"], ...other }, now), "otherHandle");
});

test("TokenMint's token of a grant is to write all its handles, as long as it may be used", (t) => {
  const { clock, state, mint } = setUp();
  const grant = { firstHandle: chunkHandle(128), handleCount: 64, epoch: epoch(1), lifeMs: 5_000 };
  const { rights, firstHandle, handleCount, expiresAt } = claimsOf(mint.forGrant(state, grant));
  t.deepEqual([rights, firstHandle, handleCount], [["write"], chunkHandle(128), 64]);
  t.is(expiresAt as number, clock.now + 5_000);
});

test("TokenMint uses a new key soon, and gives no token before there is one", (t) => {
  const { clock, state, add, mint } = setUp();
  mint.forChunk(state, ["read"], CHUNK);
  add(1);
  clock.now += 1_000;
  const token = mint.forChunk(state, ["read"], CHUNK);
  t.deepEqual(
    getTokenKeys(state).map(({ key }) => key.id),
    [2, 1],
  );
  t.true(isGenuine(token, getTokenKeys(state)[0]!.key, hmac));
  t.is(mint.forOrder(new MemoryState(), CHUNK, 1).byteLength, 50);
  const early = new TokenMint({ clock, hmac, lifeMs: LIFE_MS });
  t.is(early.forChunk(new MemoryState(), ["read"], CHUNK).byteLength, 0);
});

test("A key that was decided when another one was the newest is not added", (t) => {
  const { state, add } = setUp();
  add(0);
  add(7);
  t.deepEqual(
    getTokenKeys(state).map(({ key }) => key.id),
    [1],
  );
  for (const after of [1, 2, 3]) add(after);
  t.deepEqual(
    getTokenKeys(state).map(({ key }) => key.id),
    [4, 3],
  );
});

test("The record of the keys survives its bytes, and shows no secret as JSON", (t) => {
  const { state } = setUp();
  const [made] = getTokenKeys(state);
  t.is(made?.key.secret()[31], 1);
  t.is(JSON.stringify(made), '{"key":{"id":1},"madeAt":1000000}');
});
