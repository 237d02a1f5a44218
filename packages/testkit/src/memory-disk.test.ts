import test from "ava";
import { testDisk } from "./contract/disk.js";
import { MemoryDisk } from "./memory-disk.js";

testDisk(test, "MemoryDisk", async () => ({ disk: new MemoryDisk(), dispose: async () => {} }));

test("MemoryDisk: free space shrinks by what files hold", async (t) => {
  const disk = new MemoryDisk({ totalBytes: 100 });
  const file = await disk.open("a", { create: true });
  await file.writeAt([new Uint8Array(30)], 0);
  t.deepEqual(await disk.space(), { totalBytes: 100, freeBytes: 70 });
});
