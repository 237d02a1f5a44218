import {
  type AccessRequest,
  chunkHandle,
  type ErrorCode,
  epoch,
  LumeoError,
  mintToken,
  TOKEN_SECRET_BYTES,
  type TokenClaims,
  TokenKey,
  wallMs,
} from "@lumeofs/base";
import { nativeHmacSha256 as hmac } from "@lumeofs/node";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import { MastersWord, SKEW_MS_MAX } from "./masters-word.js";
import { KEY_WAIT_MS, KNOWN_MAX, TokenGate, WAITING_MAX } from "./token-gate.js";

const CLAIMS: TokenClaims = {
  rights: ["read"],
  firstHandle: chunkHandle(64),
  handleCount: 1,
  epoch: epoch(1),
  expiresAt: wallMs(1_000_000),
};
const REQUEST: AccessRequest = { rights: ["read"], handle: chunkHandle(64), epoch: epoch(1) };

function keyOf(id: number): TokenKey {
  return new TokenKey(id, new Uint8Array(TOKEN_SECRET_BYTES).fill(id));
}

function token(change: Partial<TokenClaims> = {}, key = keyOf(1)): Uint8Array {
  return mintToken({ ...CLAIMS, ...change }, key, hmac);
}

/** A gate on virtual time; the leader's calendar began at 0 when its first answer came. */
function setUp(keys: readonly TokenKey[] = [keyOf(1)]) {
  const world = new World(1);
  const clock = new SimClock(world, new Lifetime(world), { wallOffsetMs: 1e9 });
  const word = new MastersWord();
  let hmacs = 0;
  let asked = 0;
  const gate = new TokenGate({
    word,
    hmac: (key, message) => {
      hmacs++;
      return hmac(key, message);
    },
    clock,
    timers: clock,
    askForKeys: () => asked++,
  });
  const tell = (told: readonly TokenKey[], time = 0): void => {
    word.toldTime(wallMs(time), clock.monotonicMs());
    word.toldKeys(told);
    gate.keysChanged();
  };
  if (0 < keys.length) tell(keys);
  return { world, word, gate, tell, hmacs: () => hmacs, asked: () => asked };
}

function refused(
  t: ExecutionContext,
  gate: TokenGate,
  shown: Uint8Array | undefined,
  code: ErrorCode,
): void {
  const error = t.throws(() => gate.check(shown, REQUEST), { instanceOf: LumeoError });
  t.is(error?.code, code);
  t.regex(error?.message ?? "", /chunk 64.*ask the masters where the chunk is/);
}

test("TokenGate lets a genuine token pass at once, and computes its code once", (t) => {
  const { gate, hmacs } = setUp();
  for (let i = 0; i < 3; i++) t.is(gate.check(token(), REQUEST), undefined);
  t.is(hmacs(), 1);
});

test("TokenGate refuses no token, a forged one, and one of another use, with the way out", (t) => {
  const { gate } = setUp();
  refused(t, gate, undefined, "UNAUTHENTICATED");
  const forged = token();
  forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1;
  refused(t, gate, forged, "UNAUTHENTICATED");
  refused(t, gate, new Uint8Array(3), "UNAUTHENTICATED");
  refused(t, gate, token({}, new TokenKey(1, new Uint8Array(32))), "UNAUTHENTICATED");
  refused(t, gate, token({ firstHandle: chunkHandle(65) }), "PERMISSION_DENIED");
  refused(t, gate, token({ rights: ["write", "append"] }), "PERMISSION_DENIED");
  refused(t, gate, token({ epoch: epoch(2) }), "PERMISSION_DENIED");
});

test("TokenGate judges expiry by the leader's clock, whatever the calendar here shows", async (t) => {
  const { world, gate } = setUp();
  const shown = token({ expiresAt: wallMs(60_000) });
  await world.sleep(60_000 + SKEW_MS_MAX - 1);
  t.is(gate.check(shown, REQUEST), undefined);
  await world.sleep(2);
  refused(t, gate, shown, "TOKEN_EXPIRED");
});

test("TokenGate knows tokens of the key before the newest, not of one before that", (t) => {
  const { gate, tell } = setUp();
  const old = token();
  gate.check(old, REQUEST);
  tell([keyOf(2), keyOf(1)]);
  t.is(gate.check(old, REQUEST), undefined);
  t.is(gate.check(token({}, keyOf(2)), REQUEST), undefined);
  tell([keyOf(3), keyOf(2)]);
  refused(t, gate, old, "UNAUTHENTICATED");
});

test("TokenGate waits for the keys after a start, and asks for them once", async (t) => {
  const { world, gate, tell, asked } = setUp([]);
  const passes = [gate.check(token(), REQUEST), gate.check(token(), REQUEST)];
  await world.sleep(100);
  t.is(asked(), 1);
  tell([keyOf(1)]);
  t.deepEqual(await Promise.all(passes), [undefined, undefined]);
});

test("TokenGate waits for a key that was made a moment ago", async (t) => {
  const { world, gate, tell } = setUp();
  const pass = gate.check(token({}, keyOf(2)), REQUEST);
  await world.sleep(10);
  tell([keyOf(2), keyOf(1)]);
  t.is(await pass, undefined);
});

test("TokenGate without keys says after a while that it has none", async (t) => {
  const { world, gate } = setUp([]);
  const refusal = t.throwsAsync(async () => gate.check(token(), REQUEST), {
    instanceOf: LumeoError,
    code: "UNAVAILABLE",
  });
  await world.sleep(KEY_WAIT_MS);
  t.regex((await refusal)?.message ?? "", /chunk 64.*has not heard the keys/);
});

test("TokenGate refuses a key that nobody made after a while, and lets few wait for it", async (t) => {
  const { world, gate } = setUp();
  const invented = token({}, keyOf(9));
  const waiting = Array.from({ length: WAITING_MAX }, async () => gate.check(invented, REQUEST));
  await t.throwsAsync(async () => gate.check(invented, REQUEST), { code: "OVERLOADED" });
  const ends = Promise.allSettled(waiting);
  await world.sleep(KEY_WAIT_MS);
  const codes = (await ends).map((end) => end.status === "rejected" && end.reason.code);
  t.deepEqual(new Set(codes), new Set(["UNAUTHENTICATED"]));
});

test("TokenGate remembers so many tokens and no more", (t) => {
  const { gate, hmacs } = setUp();
  const first = token();
  gate.check(first, REQUEST);
  for (let i = 1; i <= KNOWN_MAX; i++) gate.check(token({ handleCount: 1 + i }), REQUEST);
  const before = hmacs();
  gate.check(first, REQUEST);
  t.is(hmacs(), before + 1);
});
