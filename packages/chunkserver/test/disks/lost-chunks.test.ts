import { BLOCK_BYTES, chunkHandle } from "@lumeofs/base";
import test from "ava";
import { LOST_MAX } from "../../src/disks/assigned-chunks.js";
import { contentOf, newChunk } from "../store-fixture.js";
import { TwoDisks } from "./two-disks.js";

const ALL = { after: 0, upto: Number.MAX_SAFE_INTEGER };

test("what is missed while it is being written is not lost when it has been", async (t) => {
  for (const folders of [["/a"], ["/a", "/b"]]) {
    const { store } = await new TwoDisks().start({ folders });
    const large = new Uint8Array(5 * BLOCK_BYTES).fill(1);
    const small = large.subarray(0, 100);
    const assigned = [64, 65].map(chunkHandle);
    const write = await store.beginLarge(newChunk(64));
    await write.write([large]);
    const writing = store.putSmall(newChunk(65), contentOf(small), [small]);
    t.is(store.compare(ALL, assigned, LOST_MAX), 2);
    t.deepEqual(store.damaged(), assigned);
    await writing;
    t.deepEqual(store.damaged(), [chunkHandle(64)]);
    await write.finish(contentOf(large));
    t.deepEqual(store.damaged(), []);
    await write.abort();
    t.is(store.compare(ALL, assigned, LOST_MAX), 0);
    await store.close();
  }
});
