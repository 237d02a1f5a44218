import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { folderBytes } from "./folder-bytes.js";

test("folderBytes() sums all files, also in folders below, and takes a missing one for empty", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-bytes-"));
  try {
    await writeFile(join(folder, "a"), new Uint8Array(100));
    await mkdir(join(folder, "below"));
    await writeFile(join(folder, "below", "b"), new Uint8Array(23));
    t.is(await folderBytes(folder), 123);
    t.is(await folderBytes(join(folder, "missing")), 0);
  } finally {
    await rm(folder, { recursive: true });
  }
});
