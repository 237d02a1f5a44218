// What the SDK says of trash, snapshots, versions and copies, held against real masters.

import {
  connect,
  type FileInfo,
  type Listing,
  type Lumeo,
  LumeoError,
  type LumeoErrorCode,
} from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";

const HOUR_MS = 3_600_000;
const test = anyTest as TestFn<{ drill: Drill; client: Lumeo }>;

test.before(async (t) => {
  const drill = await Drill.start({ masters: 1, chunkservers: 1 });
  const client = await connect(drill.cluster.endpoints.join(","));
  await client.setPolicy("/", { replicas: 1 });
  t.context = { drill, client };
});
test.after.always(async (t) => {
  await t.context.client?.close();
  await t.context.drill?.stop();
});

interface Refusal {
  readonly code: LumeoErrorCode;
  readonly path?: string | undefined;
  readonly says?: RegExp;
}

/** The call must be refused with this code, and say about which path. */
async function refused(
  t: ExecutionContext,
  call: Promise<unknown>,
  expected: Refusal,
): Promise<void> {
  const error = await t.throwsAsync(call, { instanceOf: LumeoError });
  t.is(error?.code, expected.code, error?.message);
  t.is(error?.path, expected.path);
  t.false(error?.retryable);
  t.regex(error?.message ?? "", expected.says ?? /./);
}

async function text(client: Lumeo, path: string, version?: string): Promise<string> {
  return (await client.get(path, version === undefined ? {} : { version })).text();
}

async function paged<T>(listing: Listing<T>, size: number): Promise<readonly (readonly T[])[]> {
  const pages: (readonly T[])[] = [];
  for await (const { items } of listing.pages({ size })) pages.push(items);
  return pages;
}

/** A directory of its own, where things go to the trash. */
async function trashDirectory(client: Lumeo, path: string, count: number): Promise<void> {
  await client.mkdir(path);
  await client.setPolicy(path, { trashMs: HOUR_MS });
  for (let i = 0; i < count; i++) {
    await client.put(`${path}/f${i}`, `content ${i}`, { inline: i % 2 === 0 });
    await client.remove(`${path}/f${i}`);
  }
}

async function trashOf(client: Lumeo, path: string): Promise<readonly number[]> {
  const items = await client.trash.list().toArray();
  return items.filter((item) => item.path.startsWith(`${path}/`)).map(({ id }) => id);
}

test.serial("trash.list tells where, when and how much, in the order of removal", async (t) => {
  const { client } = t.context;
  await client.mkdir("/t1/d/e", { recursive: true });
  await client.setPolicy("/t1", { trashMs: HOUR_MS });
  await client.put("/t1/d/f", "12345");
  await client.remove("/t1/d", { recursive: true });
  await client.put("/t1/g", "6");
  await client.remove("/t1/g");
  const items = await client.trash.list().toArray();
  t.like(items[0], {
    path: "/t1/d",
    kind: "dir",
    usage: { bytes: 5, files: 1, directories: 2 },
  });
  t.like(items[1], { path: "/t1/g", kind: "file", usage: { bytes: 1, files: 1, directories: 0 } });
  t.true((items[0]?.id ?? 0) < (items[1]?.id ?? 0));
  for (const { removedAt, expiresAt } of items) {
    t.is(expiresAt.getTime() - removedAt.getTime(), HOUR_MS);
  }
  t.is(await client.trash.empty(), 2);
});

test.serial("trash.list comes in pages of any size, each item once", async (t) => {
  const { client } = t.context;
  await trashDirectory(client, "/t2", 5);
  const ids = await trashOf(client, "/t2");
  t.is(ids.length, 5);
  for (const size of [1, 2, 5, 6]) {
    const pages = await paged(client.trash.list(), size);
    t.deepEqual(
      pages.flat().map(({ id }) => id),
      ids,
    );
    t.true(pages.every((page) => page.length <= size));
  }
  const [, second] = [...(await client.trash.list().toArray({ limit: 2 }))];
  for await (const { items } of client.trash.list().pages({ after: String(second?.id) })) {
    t.deepEqual(
      items.map(({ id }) => id),
      ids.slice(2),
    );
  }
  await client.trash.empty();
});

test.serial("trash.restore puts back where it was, or at the target, and only once", async (t) => {
  const { client } = t.context;
  await trashDirectory(client, "/t3", 3);
  const [first = 0, second = 0, third = 0] = await trashOf(client, "/t3");
  await client.trash.restore(first);
  t.is(await text(client, "/t3/f0"), "content 0");
  await client.trash.restore(second, { target: "/t3/made/for/it" });
  t.is(await text(client, "/t3/made/for/it"), "content 1");
  await client.put("/t3/f2", "taken");
  await refused(t, client.trash.restore(third), {
    code: "LUMEO_EXISTS",
    path: undefined,
    says: /"\/t3\/f2"/,
  });
  await refused(t, client.trash.restore(third, { target: "/t3/f0" }), {
    code: "LUMEO_EXISTS",
    path: "/t3/f0",
  });
  await refused(t, client.trash.restore(third, { target: "/t3/f0/below" }), {
    code: "LUMEO_NOT_DIRECTORY",
    path: "/t3/f0/below",
  });
  await refused(t, client.trash.restore(first), { code: "LUMEO_NOT_FOUND", says: /in the trash/ });
  t.is(await text(client, "/t3/f2"), "taken");
  t.is(await client.trash.empty(), 1);
});

test.serial("trash.empty counts what was there, and frees nothing else", async (t) => {
  const { client } = t.context;
  await trashDirectory(client, "/t4", 4);
  const ids = await trashOf(client, "/t4");
  const [first = 0, second = 0] = ids;
  t.is(await client.trash.empty({ ids: [first, first, 2 ** 40] }), 1);
  t.is(await client.trash.empty({ ids: [first] }), 0);
  t.is(await client.trash.empty({ ids: [] }), 0);
  t.deepEqual(await trashOf(client, "/t4"), ids.slice(1));
  // An id that is not whole must not become a neighbour's.
  for (const id of [second + 0.5, -second, Number.NaN, 2 ** 60, 0]) {
    await refused(t, client.trash.empty({ ids: [id] }), { code: "LUMEO_INVALID_ARGUMENT" });
    await refused(t, client.trash.restore(id), { code: "LUMEO_INVALID_ARGUMENT" });
  }
  t.is(await client.trash.empty(), 3);
  t.is(await client.trash.empty(), 0);
});

test.serial("listings of the past refuse sizes and cursors that are none", async (t) => {
  const { client } = t.context;
  await client.mkdir("/l");
  const listings: readonly Listing<unknown>[] = [
    client.trash.list(),
    client.snapshots.list("/l"),
    client.versions.list("/l/f"),
    client.locks.list(),
  ];
  for (const listing of listings) {
    for (const size of [0, -1, 1.5, Number.NaN, 10_001]) {
      await refused(t, paged(listing, size), { code: "LUMEO_INVALID_ARGUMENT", says: /pages of/ });
    }
  }
  for (const after of ["abc", "-1", "1.5", "9".repeat(20)]) {
    const pages = client.trash.list().pages({ after })[Symbol.asyncIterator]();
    await refused(t, pages.next(), { code: "LUMEO_INVALID_ARGUMENT", says: /cursor/ });
  }
});

test.serial("a snapshot keeps names and contents, and is read by its path", async (t) => {
  const { client } = t.context;
  await client.put("/s1/sub/f", "before", { inline: false });
  const made = await client.snapshots.create("/s1", "monday");
  t.like(made, { name: "monday", directory: "/s1", path: "/s1/.snapshot/monday" });
  t.true(made.createdAt instanceof Date);
  await client.put("/s1/sub/f", "after");
  await client.put("/s1/new", "not in it");
  await client.rename("/s1/sub", "/s1/moved");
  t.is(await text(client, `${made.path}/sub/f`), "before");
  const below = await client.list(made.path, { recursive: true }).toArray();
  t.deepEqual(
    below.map(({ path }) => path.slice(made.path.length)),
    ["/sub", "/sub/f"],
  );
  await client.copy(`${made.path}/sub/f`, "/s1/back");
  t.is(await text(client, "/s1/back"), "before");
  for (const call of [
    () => client.put(`${made.path}/f`, "x"),
    () => client.remove(`${made.path}/sub/f`),
    () => client.rename(`${made.path}/sub`, "/s1/out"),
    () => client.mkdir(`${made.path}/d`),
  ]) {
    const error = await t.throwsAsync(call(), { instanceOf: LumeoError });
    t.is(error?.code, "LUMEO_INVALID_ARGUMENT");
  }
  await refused(t, client.remove("/s1", { recursive: true }), {
    code: "LUMEO_NOT_EMPTY",
    path: "/s1",
    says: /snapshot/,
  });
  await client.snapshots.remove("/s1", "monday");
  await refused(t, client.stat(`${made.path}/sub/f`), {
    code: "LUMEO_NOT_FOUND",
    path: `${made.path}/sub/f`,
  });
  await client.remove("/s1", { recursive: true });
});

test.serial("snapshots are listed by name, in pages of any size", async (t) => {
  const { client } = t.context;
  await client.mkdir("/s2");
  const names = ["a", "b", "c", "d", "ä"];
  for (const name of names.toReversed()) await client.snapshots.create("/s2", name);
  for (const size of [1, 2, 5, 6]) {
    const pages = await paged(client.snapshots.list("/s2"), size);
    t.deepEqual(
      pages.flat().map(({ name }) => name),
      names,
    );
  }
  for (const name of names) await client.snapshots.remove("/s2", name);
  t.deepEqual(await client.snapshots.list("/s2").toArray(), []);
});

test.serial("snapshots refuse names and directories that cannot be", async (t) => {
  const { client } = t.context;
  await client.put("/s3/f", "x");
  await client.snapshots.create("/s3", "there");
  const { snapshots } = client;
  const invalid = "LUMEO_INVALID_ARGUMENT";
  for (const name of ["", ".", "..", "a/b", ".snapshot", "x".repeat(256), "\0"]) {
    await refused(t, snapshots.create("/s3", name), { code: invalid, path: "/s3" });
  }
  const none: Refusal = { code: "LUMEO_NOT_FOUND", path: "/none" };
  await refused(t, snapshots.create("/none", "n"), none);
  await refused(t, snapshots.list("/none").toArray(), none);
  const file: Refusal = { code: "LUMEO_NOT_DIRECTORY", path: "/s3/f" };
  await refused(t, snapshots.create("/s3/f", "n"), file);
  await refused(t, snapshots.list("/s3/f").toArray(), file);
  await refused(t, snapshots.create("/s3", "there"), { code: "LUMEO_EXISTS", path: "/s3" });
  await refused(t, snapshots.remove("/s3", "gone"), { code: "LUMEO_NOT_FOUND", path: "/s3" });
  await refused(t, snapshots.create("relative", "n"), { code: invalid, path: "relative" });
  await snapshots.remove("/s3", "there");
});

test.serial("versions are listed newest first, read, and removed one by one", async (t) => {
  const { client } = t.context;
  await client.mkdir("/v1");
  await client.setPolicy("/v1", { versions: 10 });
  for (const content of ["one", "two", "three", "four"]) {
    await client.put("/v1/f", content, { inline: content !== "two" });
  }
  const versions = await client.versions.list("/v1/f").toArray();
  const contents: string[] = [];
  for (const { version } of versions) contents.push(await text(client, "/v1/f", version));
  t.deepEqual(contents, ["three", "two", "one"]);
  for (const size of [1, 2, 3, 4]) {
    const pages = await paged<FileInfo>(client.versions.list("/v1/f"), size);
    t.deepEqual(
      pages.flat().map(({ version }) => version),
      versions.map(({ version }) => version),
    );
  }
  const two = versions[1]?.version ?? "";
  t.is((await client.stat("/v1/f", { version: two })).size, 3);
  await client.versions.remove("/v1/f", two);
  const gone: Refusal = { code: "LUMEO_NOT_FOUND", path: "/v1/f" };
  await refused(t, client.get("/v1/f", { version: two }), gone);
  await refused(t, client.versions.remove("/v1/f", two), gone);
  t.is(await text(client, "/v1/f"), "four");
  await client.remove("/v1/f");
  t.is((await client.versions.list("/v1/f").toArray()).length, 3, "the last content as well");
});

test.serial("versions refuse what names none", async (t) => {
  const { client } = t.context;
  await client.put("/v2/f", "x");
  for (const version of ["", "0", "-1", "abc", "1e3", "1.5", "9".repeat(20)]) {
    const expected: Refusal = { code: "LUMEO_INVALID_ARGUMENT", path: "/v2/f", says: /version/ };
    await refused(t, client.versions.remove("/v2/f", version), expected);
    await refused(t, client.get("/v2/f", { version }), expected);
    await refused(t, client.stat("/v2/f", { version }), expected);
  }
  const list = (path: string) => client.versions.list(path).toArray();
  await refused(t, list("/v2/none"), { code: "LUMEO_NOT_FOUND", path: "/v2/none" });
  await refused(t, list("/v2/f/x"), { code: "LUMEO_NOT_DIRECTORY", path: "/v2/f/x" });
  await refused(t, list("v2"), { code: "LUMEO_INVALID_ARGUMENT", path: "v2" });
  t.deepEqual(await list("/v2/f"), [], "without a policy none is kept");
});

test.serial("changes of different settings at the same moment all hold", async (t) => {
  const { client } = t.context;
  await client.mkdir("/p");
  await Promise.all([
    client.setPolicy("/p", { versions: 3 }),
    client.setPolicy("/p", { trashMs: HOUR_MS }),
    client.setPolicy("/p", { ttlMs: 2 * HOUR_MS }),
    client.setQuota("/p", { bytes: 100 }),
    client.setQuota("/p", { files: 7 }),
  ]);
  t.like(await client.stat("/p"), {
    policy: { versions: 3, trashMs: HOUR_MS, ttlMs: 2 * HOUR_MS },
    quota: { bytes: 100, files: 7 },
  });
  t.deepEqual(await client.setPolicy("/p", { ttlMs: null }), { versions: 3, trashMs: HOUR_MS });
  t.deepEqual(await client.setQuota("/p", { bytes: null, files: null }), {});
  await refused(t, client.setPolicy("/none", { versions: 1 }), {
    code: "LUMEO_NOT_FOUND",
    path: "/none",
  });
  await refused(t, client.setPolicy("/p", { replicas: 99 }), {
    code: "LUMEO_INVALID_ARGUMENT",
    path: "/p",
  });
});

test.serial("copy shares the content, and neither sees what becomes of the other", async (t) => {
  const { client } = t.context;
  const attributes = { metadata: { owner: "ada" }, tags: { k: "v" }, contentType: "text/x" };
  const source = await client.put("/c1/f", "shared", attributes);
  const copy = await client.copy("/c1/f", "/c1/made/for/it");
  t.like(copy, { path: "/c1/made/for/it", size: 6, ...attributes });
  t.is(copy.checksum?.value, source.checksum.value);
  t.not(copy.etag, source.etag, "it is a write of its own");
  await client.put("/c1/f", "changed");
  t.is(await text(client, "/c1/made/for/it"), "shared");
  await client.remove("/c1/f");
  t.is(await text(client, "/c1/made/for/it"), "shared");
  await client.setPolicy("/c1", { versions: 2 });
  await client.put("/c1/made/for/it", "second");
  await client.copy("/c1/made/for/it", "/c1/made/for/it", {
    version: copy.version,
    overwrite: true,
  });
  t.is(await text(client, "/c1/made/for/it"), "shared", "a version over its own file restores it");
});

test.serial("copy refuses what it cannot do, and changes nothing then", async (t) => {
  const { client } = t.context;
  await client.put("/c2/f", "source");
  await client.put("/c2/g", "target");
  await client.mkdir("/c2/d");
  const copy = client.copy.bind(client);
  const path = "/c2/f";
  await refused(t, copy(path, "/c2/g"), { code: "LUMEO_EXISTS", path });
  await refused(t, copy(path, path), { code: "LUMEO_INVALID_ARGUMENT", path, says: /same/ });
  await refused(t, copy(path, path, { overwrite: true }), { code: "LUMEO_INVALID_ARGUMENT", path });
  await refused(t, copy(path, "/c2/d", { overwrite: true }), { code: "LUMEO_IS_DIRECTORY", path });
  await refused(t, copy("/c2/d", "/c2/e"), { code: "LUMEO_IS_DIRECTORY", path: "/c2/d" });
  await refused(t, copy("/c2/none", "/c2/h"), { code: "LUMEO_NOT_FOUND", path: "/c2/none" });
  await refused(t, copy(path, "/c2/x/y", { makeParents: false }), {
    code: "LUMEO_NOT_FOUND",
    path,
  });
  await refused(t, copy(path, "/c2/g/x"), { code: "LUMEO_NOT_DIRECTORY", path });
  await refused(t, copy(path, "relative"), { code: "LUMEO_INVALID_ARGUMENT", path });
  await refused(t, copy(path, "/c2/h", { version: "999999" }), { code: "LUMEO_NOT_FOUND", path });
  await refused(t, copy(path, "/c2/.snapshot/n/f"), { code: "LUMEO_INVALID_ARGUMENT", path });
  const names = (await client.list("/c2").toArray()).map((one) => one.path);
  t.deepEqual(names, ["/c2/d", "/c2/f", "/c2/g"]);
  t.is(await text(client, "/c2/g"), "target");
  await copy(path, "/c2/g", { overwrite: true });
  t.is(await text(client, "/c2/g"), "source");
});
