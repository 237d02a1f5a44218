import { CODE_DEFAULT, inodeId, ROOT_INODE, wallMs } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { MemoryState } from "../../test/memory-state.js";
import { type CodePolicy, NO_POLICY, NO_QUOTA, type Policy } from "./directory-record.js";
import { REPLICAS_MAX } from "./grants.js";
import { emptyDirectory, putInode } from "./inodes.js";
import {
  effectivePolicy,
  KEEP_MS_MAX,
  QUOTA_MAX,
  refusePolicy,
  refuseQuota,
  VERSIONS_MAX,
} from "./policy.js";

const now = { index: 1, at: wallMs(1), emitted: { count: 0 } };

/** Directories 1 (the root), 2, 3, … each in the one before; the policy in the last of them. */
function policyBelow(policies: readonly Partial<Policy>[]) {
  const state = new MemoryState();
  for (const [i, policy] of policies.entries()) {
    const place = i === 0 ? undefined : { parent: inodeId(i), name: "d" };
    const directory = { ...emptyDirectory(now, place), policy: { ...NO_POLICY, ...policy } };
    putInode(state, inodeId(i + 1), directory);
  }
  return { policy: effectivePolicy(state, inodeId(policies.length)), state };
}

const DEFAULT = {
  ...{ replicas: undefined, versions: 0, trashMs: 0, ttlMs: 0 },
  ...{ code: undefined, codeAfterMs: 0, codeFallback: "refuse" },
};
const CODE_POLICIES: readonly CodePolicy[] = [
  { kind: "replicated" },
  { kind: "coded", code: CODE_DEFAULT },
  { kind: "auto", code: CODE_DEFAULT },
];
const ALL_SET: Policy = {
  ...{ replicas: 2, versions: 5, trashMs: 60, ttlMs: 9 },
  ...{ code: { kind: "coded", code: CODE_DEFAULT }, codeAfterMs: 7, codeFallback: "replicate" },
};

test("what no directory sets is nothing kept and nothing expired", (t) => {
  t.deepEqual(policyBelow([{}, {}, {}]).policy, DEFAULT);
});

test("each field comes from the nearest directory that sets it, 0 included", (t) => {
  const all = ALL_SET;
  t.deepEqual(policyBelow([all, {}, {}]).policy as unknown, all);
  t.deepEqual(policyBelow([all, { versions: 0, ttlMs: 0 }, {}, { replicas: 1 }]).policy, {
    replicas: 1,
    versions: 0,
    trashMs: 60,
    ttlMs: 0,
    code: ALL_SET.code,
    codeAfterMs: 7,
    codeFallback: "replicate",
  });
});

test("a directory that sets everything is as far as anybody looks", (t) => {
  const { state } = policyBelow([{}, {}, ALL_SET]);
  const { reads } = state;
  effectivePolicy(state, inodeId(3));
  t.is(state.reads, reads + 1);
  t.deepEqual(effectivePolicy(state, ROOT_INODE), DEFAULT);
});

test("inheritance is a fold from the root down", (t) => {
  const field = fc.option(fc.nat({ max: 9 }), { nil: undefined });
  const code = fc.option(fc.constantFrom(...CODE_POLICIES), { nil: undefined });
  const codeFallback = fc.option(fc.constantFrom("refuse" as const, "replicate" as const), {
    nil: undefined,
  });
  const ofCopies = { replicas: field, versions: field, trashMs: field, ttlMs: field };
  const policy = fc.record({ ...ofCopies, code, codeAfterMs: field, codeFallback });
  fc.assert(
    fc.property(fc.array(policy, { minLength: 1, maxLength: 6 }), (policies) => {
      const expected = { ...DEFAULT } as Record<string, unknown>;
      for (const each of policies) {
        for (const [name, value] of Object.entries(each)) {
          if (value !== undefined) expected[name] = value;
        }
      }
      t.deepEqual({ ...policyBelow(policies).policy } as unknown, expected);
    }),
  );
});

test("policies and quotas have limits, and may leave everything open", (t) => {
  t.is(refusePolicy(NO_POLICY), undefined);
  t.is(refuseQuota(NO_QUOTA), undefined);
  const most = { replicas: REPLICAS_MAX, versions: VERSIONS_MAX };
  const longest = { trashMs: KEEP_MS_MAX, ttlMs: KEEP_MS_MAX, codeAfterMs: KEEP_MS_MAX };
  t.is(refusePolicy({ ...NO_POLICY, ...most, ...longest }), undefined);
  t.is(refuseQuota({ sizeBytes: QUOTA_MAX, files: 0 }), undefined);
  for (const wrong of [
    { replicas: 0 },
    { replicas: REPLICAS_MAX + 1 },
    { versions: VERSIONS_MAX + 1 },
    { trashMs: KEEP_MS_MAX + 1 },
    { ttlMs: KEEP_MS_MAX + 1 },
    { codeAfterMs: KEEP_MS_MAX + 1 },
  ]) {
    const refused = refusePolicy({ ...NO_POLICY, ...wrong });
    t.is(refused?.code, "INVALID_ARGUMENT");
    t.regex(refused?.message ?? "", /^Cannot set .* to \d+: \d+ to \d+ can be set$/);
  }
  t.is(refuseQuota({ ...NO_QUOTA, files: QUOTA_MAX + 1 })?.code, "INVALID_ARGUMENT");
});
