// The steps of a random history of the namespace: few names, so that they meet. A path "?n" stands
// for the n-th thing that is there when its turn comes, "!n" for the n-th directory.

import { CODE_DEFAULT, type Code, KiB } from "@lumeofs/base";
import fc from "fast-check";
import type { ModelPolicy, ModelQuota } from "./tree-model.js";

export type Step =
  | {
      readonly kind: "commit";
      readonly path: string;
      readonly count: number;
      /** So many bytes come with the commit, instead of chunks; 0 for none. */
      readonly inlineBytes: number;
      readonly parents: boolean;
      readonly absent: boolean;
      readonly ttlMs: number | undefined;
      readonly code: Code | undefined;
    }
  | { readonly kind: "makeDirectory"; readonly path: string; readonly parents: boolean }
  | {
      readonly kind: "rename";
      readonly source: string;
      readonly target: string;
      readonly overwrite: boolean;
    }
  | {
      readonly kind: "remove";
      readonly path: string;
      readonly recursive: boolean;
      readonly skipTrash: boolean;
    }
  | {
      readonly kind: "copy";
      readonly from: "live" | "snapshot" | "version";
      readonly source: string;
      /** Which of the snapshots or versions that there are. */
      readonly pick: number;
      readonly target: string;
      readonly overwrite: boolean;
      readonly parents: boolean;
    }
  | { readonly kind: "setMetadata"; readonly path: string; readonly value: string }
  | { readonly kind: "setPolicy"; readonly path: string; readonly policy: ModelPolicy }
  | { readonly kind: "setQuota"; readonly path: string; readonly quota: ModelQuota }
  | { readonly kind: "createSnapshot"; readonly path: string; readonly name: string }
  | { readonly kind: "removeSnapshot"; readonly pick: number }
  | { readonly kind: "restore"; readonly pick: number; readonly target: string | undefined }
  | { readonly kind: "purge"; readonly pick: number }
  | { readonly kind: "removeVersion"; readonly pick: number }
  | {
      readonly kind: "convert";
      /** Which of the chunks that somebody can still read. */
      readonly pick: number;
      readonly to: Code | undefined;
      /** Under the handle that it had before it was converted last. */
      readonly isStale: boolean;
    }
  | { readonly kind: "tick"; readonly ms: number }
  | { readonly kind: Duty };

export type Duty = "reap" | "sweep" | "expireTrash" | "expireFiles" | "forget" | "trim";

const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => `/${names.join("/")}`);
const thing = fc.nat({ max: 30 }).map((n) => `?${n}`);
const directory = fc.nat({ max: 12 }).map((n) => `!${n}`);
const source = fc.oneof({ weight: 5, arbitrary: thing }, { weight: 1, arbitrary: path });
const target = fc.oneof({ weight: 1, arbitrary: thing }, { weight: 2, arbitrary: path });
const place = fc.oneof({ weight: 5, arbitrary: directory }, { weight: 1, arbitrary: path });
const pick = fc.nat({ max: 50 });
const often = fc.constantFrom(true, true, true, false);

function step<K extends Step["kind"]>(
  kind: K,
  fields: {
    [F in Exclude<keyof Extract<Step, { kind: K }>, "kind">]: fc.Arbitrary<
      Extract<Step, { kind: K }>[F]
    >;
  },
): fc.Arbitrary<Step> {
  return fc.record({ kind: fc.constant(kind), ...fields }) as unknown as fc.Arbitrary<Step>;
}

const NARROW: Code = { data: 2, parity: 1, cellBytes: 64 * KiB };
const commit = step("commit", {
  path: target,
  count: fc.constantFrom(0, 1, 2, 3, 9),
  inlineBytes: fc.constantFrom(0, 0, 0, 1, 5, 40),
  parents: often,
  absent: fc.constantFrom(false, false, false, true),
  ttlMs: fc.constantFrom(undefined, undefined, undefined, 0, 400),
  code: fc.constantFrom<Code | undefined>(undefined, undefined, CODE_DEFAULT, NARROW),
});
const rename = step("rename", { source, target, overwrite: often });
const remove = step("remove", {
  path: source,
  recursive: often,
  skipTrash: fc.constantFrom(false, false, true),
});
const copy = step("copy", {
  from: fc.constantFrom("live", "snapshot", "version"),
  source,
  pick,
  target,
  overwrite: often,
  parents: often,
});
const snapshot = fc.constantFrom("s", "t");
const duty = fc.constantFrom<Step>(
  { kind: "reap" },
  { kind: "sweep" },
  { kind: "expireTrash" },
  { kind: "expireFiles" },
  { kind: "forget" },
  { kind: "trim" },
);
const policy = fc.constantFrom<ModelPolicy>(
  {},
  { versions: 1 },
  { versions: 2 },
  { versions: 0 },
  { trashMs: 1_000 },
  { trashMs: 5_000, versions: 3 },
  { trashMs: 0 },
  { versions: 2, trashMs: 1_000 },
  { ttlMs: 700 },
  { code: { kind: "replicated" } },
  { code: { kind: "coded", code: NARROW }, codeFallback: "replicate" },
  { code: { kind: "auto", code: CODE_DEFAULT }, codeAfterMs: 900 },
);
const quota = fc.constantFrom<ModelQuota>(
  {},
  {},
  { files: 3 },
  { sizeBytes: 20 },
  { files: 1, sizeBytes: 100 },
);

const anything = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: commit },
    { weight: 2, arbitrary: step("makeDirectory", { path, parents: fc.boolean() }) },
    { weight: 6, arbitrary: rename },
    { weight: 5, arbitrary: remove },
    { weight: 4, arbitrary: copy },
    { weight: 3, arbitrary: step("setMetadata", { path: source, value: name }) },
    { weight: 3, arbitrary: step("setPolicy", { path: place, policy }) },
    { weight: 1, arbitrary: step("setQuota", { path: place, quota }) },
    { weight: 4, arbitrary: step("createSnapshot", { path: place, name: snapshot }) },
    { weight: 2, arbitrary: step("removeSnapshot", { pick }) },
    {
      weight: 3,
      arbitrary: step("restore", { pick, target: fc.option(path, { nil: undefined }) }),
    },
    { weight: 1, arbitrary: step("purge", { pick }) },
    { weight: 1, arbitrary: step("removeVersion", { pick }) },
    {
      weight: 6,
      arbitrary: step("convert", {
        pick,
        to: fc.constantFrom<Code | undefined>(undefined, CODE_DEFAULT, NARROW),
        isStale: fc.constantFrom(false, false, false, true),
      }),
    },
    { weight: 2, arbitrary: step("tick", { ms: fc.constantFrom(1, 300, 2_000) }) },
    { weight: 4, arbitrary: duty },
  ),
  { minLength: 1, maxLength: 90, size: "max" },
);

/** A policy for everything, and then anything. */
export const steps: fc.Arbitrary<readonly Step[]> = fc
  .tuple(step("setPolicy", { path: fc.constant("/"), policy }), anything)
  .map(([first, rest]) => [first, ...rest]);
