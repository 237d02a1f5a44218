// Random histories of all commands that change the tree, with every directory recounted after each:
// usage, quotas, who is whose parent, expiries. And twice the same history gives the same bytes.

import { CODE_DEFAULT, type InodeId, ROOT_INODE, wallMs } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import type { Command, Reply } from "../src/metadata/command.js";
import {
  type DirectoryInode,
  NO_POLICY,
  NO_USAGE,
  type Policy,
  type Quota,
  type Usage,
} from "../src/metadata/directory-record.js";
import { dueExpiries } from "../src/metadata/expiry.js";
import { decodeEntry, type Inode } from "../src/metadata/inode-record.js";
import { mustGetInode, type Place } from "../src/metadata/inodes.js";
import { entriesAfter, nameOf } from "../src/metadata/keys.js";
import { trashPage } from "../src/metadata/past-queries.js";
import { firstNames, orphans, stat } from "../src/metadata/queries.js";
import { usageOf } from "../src/metadata/usage.js";
import { MetadataDriver, removalOf } from "./metadata-driver.js";

const DAY_MS = 86_400_000;

type Step =
  | Command
  | { readonly kind: "put"; readonly path: string; readonly chunks: number; readonly ttl: boolean }
  | { readonly kind: "restore"; readonly turn: number; readonly target: string | undefined }
  | { readonly kind: "purge"; readonly turn: number }
  | { readonly kind: "expire" | "reap" | "wait" };

/** Often a directory, often a file: most commands must find what they need. */
const directoryPath = fc
  .array(fc.constantFrom("a", "b"), { minLength: 1, maxLength: 2 })
  .map((names) => `/${names.join("/")}`);
const filePath = fc
  .tuple(fc.constantFrom("", "/a", "/b", "/a/b"), fc.constantFrom("f", "g"))
  .map(([parent, last]) => `${parent}/${last}`);
const path = fc.oneof(directoryPath, { weight: 2, arbitrary: filePath });
const directory = fc.oneof(fc.constant("/"), directoryPath);
const quota: fc.Arbitrary<Quota> = fc.record({
  sizeBytes: fc.constantFrom(undefined, 0, 8, 40),
  files: fc.constantFrom(undefined, 0, 2, 5),
});
const policy: fc.Arbitrary<Policy> = fc.record({
  replicas: fc.constant(undefined),
  versions: fc.constantFrom(undefined, 0, 2),
  trashMs: fc.constantFrom(undefined, 0, DAY_MS),
  ttlMs: fc.constantFrom(undefined, 0, 5_000),
  code: fc.constantFrom(undefined, { kind: "coded", code: CODE_DEFAULT } as const),
  codeAfterMs: fc.constantFrom(undefined, 0, DAY_MS),
  codeFallback: fc.constantFrom(undefined, "replicate" as const),
});
const noFence = fc.constant(undefined);
const anyPrecondition = fc.constant({ kind: "none" } as const);

const put: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant("put" as const),
  path,
  chunks: fc.nat({ max: 9 }),
  ttl: fc.boolean(),
});
const remove: fc.Arbitrary<Step> = fc
  .tuple(path, fc.boolean(), fc.boolean())
  .map(([at, recursive, skipTrash]) => removalOf(at, recursive, { skipTrash }));

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: put },
  { weight: 2, arbitrary: remove },
  fc.record({ kind: fc.constant("makeDirectory" as const), path, parents: fc.boolean() }),
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("rename" as const),
      source: path,
      target: path,
      overwrite: fc.boolean(),
      fence: noFence,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("copy" as const),
      source: path,
      sourceInode: fc.constant(undefined),
      target: path,
      overwrite: fc.boolean(),
      makeParents: fc.boolean(),
      precondition: anyPrecondition,
      fence: noFence,
    }),
  },
  fc.record({
    kind: fc.constant("setAttributes" as const),
    path,
    setMetadata: fc.constant({}),
    removeMetadata: fc.constant([]),
    setTags: fc.constantFrom({}, { t: "1" }),
    removeTags: fc.constant([]),
    contentType: fc.constant(undefined),
    ttlMs: fc.constantFrom(undefined, 0, 2_000),
    precondition: anyPrecondition,
  }),
  fc.record({ kind: fc.constant("setQuota" as const), path: directory, quota }),
  fc.record({ kind: fc.constant("setPolicy" as const), path: directory, policy }),
  fc.record({
    kind: fc.constantFrom("createSnapshot" as const, "removeSnapshot" as const),
    path: directory,
    name: fc.constantFrom("s1", "s2"),
  }),
  fc.record({
    kind: fc.constant("restore" as const),
    turn: fc.nat(),
    target: fc.option(path, { nil: undefined }),
  }),
  fc.oneof(
    fc.record({ kind: fc.constant("purge" as const), turn: fc.nat() }),
    fc.constantFrom<Step>({ kind: "expire" }, { kind: "reap" }, { kind: "wait" }),
  ),
);

async function run(driver: MetadataDriver, next: Step): Promise<Reply | undefined> {
  switch (next.kind) {
    case "put":
      return driver.commit(next.path, next.chunks, {
        makeParents: true,
        ttlMs: next.ttl ? 3_000 : undefined,
        chunkSizeBytes: 4,
      });
    case "restore": {
      const id = await trashId(driver, next.turn);
      return driver.apply({ kind: "restoreTrash", id, target: next.target });
    }
    case "purge":
      return driver.apply({ kind: "purgeTrash", ids: [await trashId(driver, next.turn)] });
    case "expire": {
      const files = await dueExpiries(driver.state, wallMs(driver.now), 10);
      return driver.apply({ kind: "expireFiles", files });
    }
    case "reap":
      return reap(driver);
    case "wait":
      driver.now += 4_000;
      return undefined;
    default:
      return driver.apply(next);
  }
}

async function trashId(driver: MetadataDriver, turn: number): Promise<number> {
  const { found: items } = await trashPage(driver.state, { after: 0, countMax: 100 });
  return items[turn % Math.max(1, items.length)]?.id ?? 1;
}

async function reap(driver: MetadataDriver): Promise<undefined> {
  for (const { id, kind } of await orphans(driver.state, 3)) {
    if (kind !== "directory") continue;
    const names = await firstNames(driver.state, id, 3);
    const none = { history: [], snapshots: [] };
    driver.apply({ kind: "reapDirectory", directory: id, names, ...none });
  }
}

/** What is below a directory, by going there; each directory on the way is held against it. */
async function recount(
  driver: MetadataDriver,
  id: InodeId,
  visit: (id: InodeId, inode: DirectoryInode, counted: Usage) => void,
): Promise<Usage> {
  const { state } = driver;
  const { from, to } = entriesAfter(id, "");
  let counted = NO_USAGE;
  for (const [key, value] of await state.range(from, to, 1_000)) {
    const entry = decodeEntry(value);
    const inode = mustGetInode(state, entry.inode);
    const last = nameOf(key);
    if (inode.kind === "directory") {
      const below = await recount(driver, entry.inode, visit);
      counted = plus(counted, { ...below, directories: below.directories + 1 });
      same({ parent: id, name: last, since: entry.since }, inode, `place of ${last}`);
    } else {
      counted = plus(counted, usageOf(inode));
      if (inode.expiresAt !== 0) await checkExpiry(driver, { parent: id, name: last });
    }
  }
  const inode: Inode = mustGetInode(state, id);
  if (inode.kind === "file") throw new Error("a file has entries");
  visit(id, inode, counted);
  return counted;
}

/** Somebody will look there some time. */
async function checkExpiry(driver: MetadataDriver, place: Place): Promise<void> {
  const all = await dueExpiries(driver.state, wallMs(driver.now + 10 * DAY_MS), 1_000);
  const isListed = all.some(
    ({ parent, name: one }) => parent === place.parent && one === place.name,
  );
  if (!isListed) throw new Error(`${place.name} will never expire`);
}

function plus(a: Usage, b: Usage): Usage {
  return {
    sizeBytes: a.sizeBytes + b.sizeBytes,
    files: a.files + b.files,
    directories: a.directories + b.directories,
  };
}

function same<T extends object>(expected: Partial<T>, actual: T, what: string): void {
  for (const [field, value] of Object.entries(expected)) {
    const is = (actual as Record<string, unknown>)[field];
    if (is !== value) throw new Error(`${what}: ${field} is ${is}, expected ${value}`);
  }
}

type Directories = Map<InodeId, DirectoryInode>;

/** All directories that a path leads to, or the trash, each with the usage that it has. */
async function directories(driver: MetadataDriver): Promise<Directories> {
  const all: Directories = new Map();
  const visit = (id: InodeId, inode: DirectoryInode, counted: Usage): void => {
    same(counted, inode.usage, `usage of ${inode.name || "/"}`);
    all.set(id, inode);
  };
  await recount(driver, ROOT_INODE, visit);
  const { found: items } = await trashPage(driver.state, { after: 0, countMax: 100 });
  for (const { inode, kind } of items)
    if (kind === "directory") await recount(driver, inode, visit);
  return all;
}

function checkQuotas(before: Directories, after: Directories, what: string): void {
  for (const [id, { quota: limits, usage, name: called }] of after) {
    const was = before.get(id)?.usage ?? NO_USAGE;
    for (const field of ["sizeBytes", "files"] as const) {
      const limit = limits[field] ?? Number.POSITIVE_INFINITY;
      if (usage[field] <= Math.max(limit, was[field])) continue;
      throw new Error(`${what} fills ${called || "/"} with ${usage[field]} ${field} of ${limit}`);
    }
  }
}

test("usage is what a recount gives, and no quota is exceeded, whatever happens", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: "max" }), async (steps) => {
      const driver = new MetadataDriver();
      const policy = { ...NO_POLICY, trashMs: DAY_MS };
      driver.apply({ kind: "setPolicy", path: "/", policy });
      let before = await directories(driver);
      for (const next of steps) {
        await run(driver, next);
        const after = await directories(driver);
        checkQuotas(before, after, JSON.stringify(next));
        before = after;
      }
      t.pass();
    }),
    { numRuns: 400 },
  );
});

test("the same history gives the same bytes and the same answers", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), async (steps) => {
      const [one, other] = [new MetadataDriver(), new MetadataDriver()];
      for (const next of steps) {
        t.deepEqual(await run(one, next), await run(other, next));
      }
      t.is(one.state.dump(), other.state.dump());
    }),
    { numRuns: 50 },
  );
});

test("what expires is gone at its time, and not before, wherever it went meanwhile", async (t) => {
  const driver = new MetadataDriver();
  driver.commit("/d/short", 1, { makeParents: true, ttlMs: 1_000 });
  driver.commit("/d/long", 1, { ttlMs: 60_000 });
  driver.commit("/d/never", 1);
  driver.rename("/d", "/e");
  driver.rename("/e/short", "/short");
  driver.now += 999;
  await run(driver, { kind: "expire" });
  t.is(await namesIn(driver, "/"), "e,short");
  driver.now += 1;
  await run(driver, { kind: "expire" });
  t.is(await namesIn(driver, "/"), "e");
  driver.now += 60_000;
  await run(driver, { kind: "expire" });
  t.is(await namesIn(driver, "/e"), "never");
});

async function namesIn(driver: MetadataDriver, text: string): Promise<string> {
  const found = stat(driver.state, text);
  return found.kind === "refused" ? "" : (await firstNames(driver.state, found.id, 10)).join();
}
