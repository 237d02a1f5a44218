import { CODE_DEFAULT, type Code, chunkHandle, MiB, serverId, wallMs } from "@lumeofs/base";
import test from "ava";
import type { FileInode } from "../../metadata/inode-record.js";
import type { Conversion } from "../../metadata/jobs.js";
import type { EffectivePolicy } from "../../metadata/policy.js";
import { needsConversion, wantedLayout } from "./wanted-layout.js";

const HOUR = 3_600_000;
const NARROW: Code = { data: 2, parity: 1, cellBytes: MiB };
const POLICY: EffectivePolicy = {
  replicas: undefined,
  versions: 0,
  trashMs: 0,
  ttlMs: 0,
  code: undefined,
  codeAfterMs: 0,
  codeFallback: "refuse",
};
const FILE: FileInode = {
  kind: "file",
  sizeBytes: 100 * MiB,
  crc32c: 0,
  chunkSizeBytes: 64 * MiB,
  replicas: 3,
  code: undefined,
  revision: 7,
  createdAt: wallMs(0),
  modifiedAt: wallMs(10 * HOUR),
  chunkCount: 2,
  inline: [chunkHandle(64), chunkHandle(65)],
  content: undefined,
  isUneven: false,
  grownSince: undefined,
  tail: undefined,
  expiresAt: wallMs(0),
  contentType: "",
  metadata: {},
  tags: {},
};
const BY_POLICY: Conversion = { kind: "policy" };

function wanted(
  file: Partial<FileInode>,
  policy: Partial<EffectivePolicy>,
  { nowMs = 12 * HOUR, conversion = BY_POLICY } = {},
) {
  const circumstances = { policy: { ...POLICY, ...policy }, nowMs, restMs: HOUR };
  return wantedLayout({ ...FILE, ...file }, conversion, circumstances);
}

test("of a tree, everything is to be as the operator said", (t) => {
  const to = (code: Code | undefined): Conversion => {
    return { kind: "tree", root: 1 as never, path: "/", to: code };
  };
  const small = { sizeBytes: 1, tail: chunkHandle(99) };
  const coded = wanted(small, {}, { conversion: to(NARROW) });
  t.deepEqual(coded, { code: NARROW, onlyFull: false });
  const copies = wanted({ code: NARROW }, {}, { conversion: to(undefined) });
  t.deepEqual(copies, { code: undefined, onlyFull: false });
});

test("a policy codes files that are old, large enough, and appended to no more", (t) => {
  const policy = { codeAfterMs: 2 * HOUR };
  t.deepEqual(wanted({}, policy), { code: CODE_DEFAULT, onlyFull: false });
  t.is(wanted({}, {}), undefined);
  t.is(wanted({}, policy, { nowMs: 12 * HOUR - 1 }), undefined);
  t.is(wanted({ sizeBytes: MiB - 1 }, policy), undefined);
  t.is(wanted({ tail: chunkHandle(99) }, policy), undefined);
  const replicated = { ...policy, code: { kind: "replicated" } as const };
  t.deepEqual(wanted({}, replicated)?.code, CODE_DEFAULT, "copies first, coded when old");
  const auto = { ...policy, code: { kind: "auto", code: NARROW } as const };
  t.deepEqual(wanted({}, auto)?.code, NARROW);
});

test("what was appended to a coded file is coded when it is full, or at rest", (t) => {
  const growing = wanted({ code: NARROW, tail: chunkHandle(99) }, {}, { nowMs: 99 * HOUR });
  t.deepEqual(growing, { code: NARROW, onlyFull: true });
  t.deepEqual(wanted({ code: NARROW }, {}, { nowMs: 11 * HOUR - 1 })?.onlyFull, true);
  const atRest = wanted({ code: NARROW }, {}, { nowMs: 11 * HOUR });
  t.deepEqual(atRest, { code: NARROW, onlyFull: false });
  const members = [1, 2, 3].map(serverId);
  const copies = (lengthBytes: number) => ({
    ...{ coding: undefined, lengthBytes, members, isInline: false },
  });
  const layout = { code: NARROW, onlyFull: true };
  t.true(needsConversion(copies(63 * MiB), layout, false));
  t.false(needsConversion(copies(MiB), layout, false));
  t.true(needsConversion(copies(MiB), { code: NARROW, onlyFull: false }, false));
  const coding = { ...NARROW, unitCrcs: [1, 2, 3] };
  const coded = { coding, lengthBytes: MiB, members, isInline: false };
  t.false(needsConversion(coded, layout, false));
  t.true(needsConversion(coded, { code: CODE_DEFAULT, onlyFull: true }, false));
  t.true(needsConversion(coded, { code: undefined, onlyFull: false }, false));
});

test("copies are made and taken away where their number was said, and never from others", (t) => {
  const kept = { coding: undefined, lengthBytes: 5, isInline: false };
  const chunk = { ...kept, members: [1, 2, 3].map(serverId) };
  const wish = (copies: number | undefined) => ({ code: undefined, copies, onlyFull: false });
  for (const isShared of [false, true]) {
    t.false(needsConversion(chunk, wish(undefined), isShared));
    t.false(needsConversion(chunk, wish(3), isShared));
    t.true(needsConversion(chunk, wish(4), isShared));
    t.is(needsConversion(chunk, wish(2), isShared), !isShared);
  }
});

test("what the masters keep themselves stays as it is, whatever is wished", (t) => {
  const chunk = { coding: undefined, lengthBytes: 5, members: [], isInline: true };
  for (const code of [undefined, NARROW]) {
    t.false(needsConversion(chunk, { code, copies: 5, onlyFull: false }, false));
  }
});
