import test from "ava";
import {
  type AuthorityAnswer,
  activateEpoch,
  type ChunkAuthority,
  createAuthority,
  grantEpoch,
  isActive,
  isSuperfluous,
  sealChunk,
} from "./chunk-authority.js";
import { epoch, type ServerId, serverId } from "./ids.js";

const [A, B, C, D] = [1, 2, 3, 4].map(serverId) as [ServerId, ServerId, ServerId, ServerId];
const CONTENT = { lengthBytes: 7, crc32c: 9 };

function done(answer: AuthorityAnswer): ChunkAuthority {
  if (answer.kind === "refused") throw new Error(answer.why);
  return answer.authority;
}

function granted(authority: ChunkAuthority, primary: ServerId, members: ServerId[]) {
  return done(grantEpoch(authority, { primary, members }));
}

test("rule 1: every grant has the next epoch, also one to the same primary", (t) => {
  const first = createAuthority([A, B, C]);
  const third = granted(granted(first, A, [A, B, C]), A, [A, B, C]);
  t.deepEqual([first.newest.epoch, third.newest.epoch], [epoch(1), epoch(3)]);
});

test("rule 5: a grant names the last active set, whatever was granted in between", (t) => {
  const first = createAuthority([A, B, C]);
  const third = granted(granted(first, B, [B, C, D]), C, [B, C, D]);
  t.deepEqual(third.newest.previous, { epoch: epoch(1), members: [A, B, C] });
  const active = done(activateEpoch(third, epoch(3)));
  t.deepEqual(granted(active, B, [B, C, D]).newest.previous?.members, [B, C, D]);
});

test("rule 8: an epoch becomes active only while it is the newest, and again without effect", (t) => {
  const second = granted(createAuthority([A, B, C]), B, [A, B, C]);
  const active = done(activateEpoch(second, epoch(2)));
  t.true(isActive(active));
  t.deepEqual(done(activateEpoch(active, epoch(2))), active);
  const third = granted(second, C, [A, B, C]);
  t.false(isActive(third));
  t.deepEqual(activateEpoch(third, epoch(2)), { kind: "refused", why: "staleEpoch" });
});

test("rule 8: a copy is superfluous only when a set without it is active and the newest", (t) => {
  const second = granted(createAuthority([A, B, C]), B, [B, C, D]);
  t.false(isSuperfluous(second, A));
  const active = done(activateEpoch(second, epoch(2)));
  t.true(isSuperfluous(active, A));
  t.false(isSuperfluous(granted(active, A, [A, B, C]), A));
});

test("rule 17: a chunk is sealed under its active epoch, once, and never granted again", (t) => {
  const second = granted(createAuthority([A, B, C]), B, [A, B, C]);
  t.deepEqual(sealChunk(second, epoch(2), CONTENT), { kind: "refused", why: "staleEpoch" });
  const active = done(activateEpoch(second, epoch(2)));
  t.deepEqual(sealChunk(active, epoch(1), CONTENT), { kind: "refused", why: "staleEpoch" });
  const sealed = done(sealChunk(active, epoch(2), CONTENT));
  t.is(done(sealChunk(sealed, epoch(2), CONTENT)), sealed);
  const other = { ...CONTENT, lengthBytes: 8 };
  t.deepEqual(sealChunk(sealed, epoch(2), other), { kind: "refused", why: "otherContent" });
  const again = grantEpoch(sealed, { primary: A, members: [A, B, C] });
  t.deepEqual(again, { kind: "refused", why: "sealed" });
});

test("rule 14: members are different servers, and the primary is one of them", (t) => {
  t.throws(() => createAuthority([A, A, C]), { message: /no member stands twice/ });
  t.throws(() => createAuthority([]), { message: /has members/ });
  const first = createAuthority([A, B, C]);
  t.throws(() => grantEpoch(first, { primary: D, members: [A, B, C] }), { message: /is a member/ });
});
