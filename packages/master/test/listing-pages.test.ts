// Pages of directories whose entries carry as much as they may: none is larger than an answer can
// be, and all of them together show every name once.

import test from "ava";
import { listAt } from "../src/metadata/past-queries.js";
import { PAGE_BYTES_MAX } from "../src/metadata/queries.js";
import { MetadataDriver } from "./metadata-driver.js";

const FILES = 300;
const NOTE = "x".repeat(8_000);

async function pagesOf(m: MetadataDriver, path: string): Promise<readonly (readonly string[])[]> {
  const pages: string[][] = [];
  for (let after = ""; ; ) {
    const page = await listAt(m.state, { path, after, countMax: 1_000 });
    if (page.kind === "refused") throw new Error(page.message);
    pages.push(page.entries.map(({ name }) => name));
    if (!page.hasMore) return pages;
    after = page.last;
  }
}

test("a page of large entries is bounded by bytes, now and in a snapshot", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  const names = Array.from({ length: FILES }, (_, i) => `f${String(i).padStart(4, "0")}`);
  for (const name of names) m.commit(`/d/${name}`, 0, { metadata: { note: NOTE } });
  m.apply({ kind: "createSnapshot", path: "/d", name: "s" });
  m.remove("/d/f0000");
  for (const [path, expected] of [
    ["/d", names.slice(1)],
    ["/d/.snapshot/s", names],
  ] as const) {
    const pages = await pagesOf(m, path);
    t.deepEqual(pages.flat(), expected);
    t.true(3 < pages.length);
    const entriesMax = Math.ceil(PAGE_BYTES_MAX / NOTE.length) + 1;
    t.true(pages.every((page) => page.length <= entriesMax));
  }
});

test("a page of small entries has as many as are asked for", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  for (let i = 0; i < FILES; i++) m.commit(`/d/${i}`, 0);
  t.deepEqual(
    (await pagesOf(m, "/d")).map((page) => page.length),
    [FILES],
  );
});
