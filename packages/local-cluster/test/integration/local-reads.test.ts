// Large chunks of chunkservers on this machine are read from their files: whole and ranges, copies
// and units, damaged and removed ones; and from the servers where these tell nobody.

import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { damageLargeChunks } from "./damage.js";
import { Drill } from "./drill.js";
import { someBytes } from "./some-bytes.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MiB = 2 ** 20;

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 1, chunkservers: 3 }) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

/** Without hedges: on a slow machine a second server would be asked for what the first one has. */
function clientOf({ drill }: { readonly drill: Drill }, localReads = true): Lumeo {
  return new Lumeo({ endpoints: [...drill.cluster.endpoints], hedge: false, localReads });
}

function same(t: ExecutionContext, got: Uint8Array, expected: Uint8Array, what: string): void {
  t.is(Buffer.compare(got, expected), 0, `${what}: ${got.byteLength} bytes`);
}

test.serial("copies, ranges of them and units are read from files, all of them", async (t) => {
  await using client = clientOf(t.context);
  const bytes = someBytes(1, 20 * MiB + 5);
  await client.put("/copies", bytes, { chunkSize: 8 * MiB });
  same(t, await (await client.get("/copies")).bytes(), bytes, "copies");
  t.is(client.locallyReadBytes, bytes.byteLength);
  const range = { start: 8 * MiB - 3, end: 8 * MiB + 70_000 };
  const part = await (await client.get("/copies", { range })).bytes();
  same(t, part, bytes.subarray(range.start, range.end), "a range");
  await client.put("/units", bytes, { code: "2+1" });
  const before = client.locallyReadBytes;
  same(t, await (await client.get("/units")).bytes(), bytes, "units");
  t.is(client.locallyReadBytes - before, bytes.byteLength);

  await using wire = clientOf(t.context, false);
  same(t, await (await wire.get("/copies")).bytes(), bytes, "over the wire");
  t.is(wire.locallyReadBytes, 0);
});

test.serial("a damaged file is passed by, and reported and mended", async (t) => {
  const { drill } = t.context;
  await using writer = clientOf(t.context);
  const bytes = someBytes(2, 12 * MiB);
  await writer.put("/damaged", bytes, { chunkSize: 2 * MiB });
  const { chunks = [] } = await writer.stat("/damaged", { chunks: true });
  // Whoever knows nothing of the servers reads the primary's copy first.
  const [first, second] = chunks[0]?.replicas ?? [];
  t.is(first?.role, "primary");
  for (const id of [first?.id ?? "", second?.id ?? ""]) {
    t.true(6 <= damageLargeChunks(drill, id, 2 * MiB));
  }
  await using client = clientOf(t.context);
  same(t, await (await client.get("/damaged")).bytes(), bytes, "damaged");
  await drill.until(t, "damage that was reported and mended", async () => {
    const [answer] = await drill.json<{
      readonly jobs: readonly { readonly kind: string; readonly doneChunks: number }[];
    }>(t, ["job", "ls"]);
    return (answer?.jobs ?? []).some((job) => job.kind === "mend" && 0 < job.doneChunks);
  });
});

test.serial("a file that is removed for good while it is read is read to its end", async (t) => {
  await using client = clientOf(t.context);
  const bytes = someBytes(3, 48 * MiB);
  await client.put("/removed", bytes);
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.get("/removed")) {
    if (pieces.length === 0) await client.remove("/removed", { skipTrash: true });
    pieces.push(piece);
  }
  same(t, Buffer.concat(pieces), bytes, "removed");
});

test.serial(
  "chunkservers that tell nobody where their files are send what is asked for",
  async (t) => {
    const off = { LUMEO_CHUNKSERVER_LOCAL_READS: "off" };
    const drill = await Drill.start({ masters: 1, chunkservers: 3 }, off);
    try {
      await using client = clientOf({ drill });
      const bytes = someBytes(4, 6 * MiB);
      await client.put("/f", bytes);
      same(t, await (await client.get("/f")).bytes(), bytes, "all");
      t.is(client.locallyReadBytes, 0);
    } finally {
      await drill.stop();
    }
  },
);
