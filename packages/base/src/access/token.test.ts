import { createHmac } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { chunkHandle, epoch } from "../ids.js";
import { wallMs } from "../time.js";
import {
  type HmacSha256,
  isGenuine,
  judgeAccess,
  keyIdOf,
  mintToken,
  type Right,
  readClaims,
  TOKEN_BYTES,
  type TokenClaims,
} from "./token.js";
import { TOKEN_SECRET_BYTES, TokenKey } from "./token-key.js";

const hmac: HmacSha256 = (key, message) => createHmac("sha256", key).update(message).digest();

function keyOf(id: number, fill = id): TokenKey {
  return new TokenKey(id, new Uint8Array(TOKEN_SECRET_BYTES).fill(fill));
}

const RIGHTS: readonly Right[] = ["read", "write", "append", "copy", "lead"];
const number = fc.integer({ min: 1, max: 2 ** 50 });
const claims = fc.record({
  rights: fc.subarray([...RIGHTS]),
  firstHandle: number.map(chunkHandle),
  handleCount: fc.integer({ min: 1, max: 65_535 }),
  epoch: fc.option(number.map(epoch), { nil: undefined }),
  expiresAt: number.map(wallMs),
});

const CLAIMS: TokenClaims = {
  rights: ["read", "append"],
  firstHandle: chunkHandle(640),
  handleCount: 64,
  epoch: epoch(3),
  expiresAt: wallMs(1_000),
};

function judged(change: {
  readonly rights?: readonly Right[];
  readonly handle?: number;
  readonly epoch?: number;
  readonly now?: number;
}) {
  const handle = chunkHandle(change.handle ?? 640);
  const request = { rights: change.rights ?? ["read"], handle, epoch: epoch(change.epoch ?? 3) };
  return judgeAccess(CLAIMS, request, wallMs(change.now ?? 999));
}

test("A token says what it was made to say, and is genuine under its key alone", (t) => {
  fc.assert(
    fc.property(claims, fc.integer({ min: 1, max: 0xffffffff }), (said, id) => {
      const token = mintToken(said, keyOf(id, 1), hmac);
      t.is(token.byteLength, TOKEN_BYTES);
      t.deepEqual(readClaims(token), said);
      t.is(keyIdOf(token), id);
      t.true(isGenuine(token, keyOf(id, 1), hmac));
      t.false(isGenuine(token, keyOf(id, 2), hmac));
      t.false(isGenuine(token, keyOf(id === 1 ? 2 : 1, 1), hmac));
    }),
    { numRuns: 200 },
  );
});

test("A token with any bit flipped is not genuine", (t) => {
  const token = mintToken(CLAIMS, keyOf(7), hmac);
  for (let bit = 0; bit < 8 * TOKEN_BYTES; bit++) {
    const forged = token.slice();
    forged[bit >> 3] = (forged[bit >> 3] as number) ^ (1 << (bit & 7));
    t.false(isGenuine(forged, keyOf(7), hmac), `bit ${bit}`);
  }
});

test("Any bytes are a token, or none: nothing throws", (t) => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.uint8Array({ minLength: TOKEN_BYTES, maxLength: TOKEN_BYTES }).map((random) => {
      random[0] = 1;
      return random;
    }),
  );
  fc.assert(
    fc.property(bytes, (random) => {
      t.false(isGenuine(random, keyOf(1), hmac));
      const said = readClaims(random);
      if (random.byteLength !== TOKEN_BYTES || random[0] !== 1) t.is(said, undefined);
      if (said !== undefined) t.true(0 < said.handleCount);
    }),
    { numRuns: 500 },
  );
});

test("A genuine token allows its handles, rights and epoch until it expires, and nothing else", (t) => {
  t.is(judged({}), "allowed");
  t.is(judged({ handle: 703 }), "allowed");
  t.is(judged({ handle: 704 }), "otherHandle");
  t.is(judged({ handle: 639 }), "otherHandle");
  t.is(judged({ rights: ["copy", "append"] }), "allowed");
  t.is(judged({ rights: ["write"] }), "otherRight");
  t.is(judged({ epoch: 4 }), "otherEpoch");
  t.is(judged({ now: 1_000 }), "expired");
});

test("A token without an epoch is for every epoch", (t) => {
  const { epoch: _, ...rest } = CLAIMS;
  const anyEpoch = { ...rest, epoch: undefined };
  const request = { rights: ["read"] as const, handle: chunkHandle(640), epoch: epoch(9) };
  t.is(judgeAccess(anyEpoch, request, wallMs(0)), "allowed");
});

test("The example of docs/formats/capability-token.md is what is minted", (t) => {
  const said = { ...CLAIMS, rights: ["read" as const], handleCount: 1 };
  const documented = `01 01 01000000 8002000000000000 01000000 0300000000000000
    e803000000000000 d001394f4a418f652a2736566ec78936`;
  const token = Buffer.from(mintToken(said, keyOf(1), hmac)).toString("hex");
  t.is(token, documented.replaceAll(/\s/g, ""));
});

test("A key shows its secret in no text", (t) => {
  const key = keyOf(5, 0x41);
  t.is(JSON.stringify({ key }), '{"key":{"id":5}}');
  t.false(`${Object.values(key)}${String(key)}`.includes("65,65"));
});
