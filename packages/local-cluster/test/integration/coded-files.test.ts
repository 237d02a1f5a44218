// Coded files on real processes, six chunkservers for 4+2: what is put is read back, whole and in
// ranges, edited and copied, with all chunkservers and with any two of them killed.

import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";
import { someBytes } from "./some-bytes.js";

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const SIZES = [1, 5 * KiB, MiB - 1, 4 * MiB, 4 * MiB + 1, 70 * MiB];
/** Every pair of six, each with a server of the one before: one restart for each is enough. */
const PAIRS = "12 13 14 15 16 26 36 46 56 25 35 45 34 24 23".split(" ").map((pair) => [...pair]);

interface Context {
  readonly drill: Drill;
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array }[];
}

const test = anyTest as TestFn<Context>;

test.before(async (t) => {
  const drill = await Drill.start({ masters: 1, chunkservers: 6 });
  const files = SIZES.map((size) => ({ path: `/coded/${size}`, bytes: someBytes(size, size) }));
  t.context = { drill, files };
  await using client = clientOf(t.context);
  for (const { path, bytes } of files) await client.put(path, bytes, { code: "4+2" });
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

function clientOf({ drill }: Context, options: { readonly maxAttempts?: number } = {}): Lumeo {
  const { maxAttempts } = options;
  const retry = maxAttempts === undefined ? {} : { retry: { maxAttempts, baseDelayMs: 20 } };
  return new Lumeo({ endpoints: [...drill.cluster.endpoints], ...retry });
}

function same(t: ExecutionContext, got: Uint8Array, expected: Uint8Array, what: string): void {
  t.is(Buffer.compare(got, expected), 0, `${what}: ${got.byteLength} bytes`);
}

test.serial(
  "files of all sizes are read back, whole and in ranges, and take 1.5 times",
  async (t) => {
    await using client = clientOf(t.context);
    for (const { path, bytes } of t.context.files) {
      same(t, await (await client.get(path)).bytes(), bytes, path);
      const size = bytes.byteLength;
      const borders = [0, 1, 64 * KiB, MiB - 3, 4 * MiB - 1, 64 * MiB - 5, 64 * MiB + 7, size - 1];
      for (const start of borders.filter((border) => border < size)) {
        const end = Math.min(size, start + 100_000);
        const got = await (await client.get(path, { range: { start, end } })).bytes();
        same(t, got, bytes.subarray(start, end), `${path} from ${start}`);
      }
      const { layout, bytesOnDisk = 0 } = await client.stat(path, { chunks: true });
      t.is(layout, "4+2");
      if (5 * KiB <= size) t.true(bytesOnDisk <= 1.5 * size + 6 * 64, `${bytesOnDisk} for ${size}`);
    }
  },
);

test.serial("a coded file is copied on the servers, and edited in its middle", async (t) => {
  await using client = clientOf(t.context);
  const bytes = Buffer.from(someBytes(7, 9 * MiB + 3));
  await client.put("/edited", bytes, { code: "4+2", chunkSize: 4 * MiB });
  await client.copy("/edited", "/copied");
  const file = await client.open("/edited", "r+");
  const patch = someBytes(8, 100_000);
  await file.write(patch, 4 * MiB - 50_000);
  await file.write(patch, bytes.byteLength);
  same(t, await file.read(4 * MiB - 50_000, 100_000), patch, "before the sync");
  await file.close();
  const expected = Buffer.concat([bytes, patch]);
  expected.set(patch, 4 * MiB - 50_000);
  same(t, await (await client.get("/edited")).bytes(), expected, "edited");
  same(t, await (await client.get("/copied")).bytes(), bytes, "the copy stays as it was");
  const { chunks = [] } = await client.stat("/edited", { chunks: true });
  t.true(chunks.every(({ replicas }) => replicas.length === 6));
});

test.serial("any two of six chunkservers may be killed: all 15 pairs are read", async (t) => {
  const { drill, files } = t.context;
  const small = files.filter(({ bytes }) => bytes.byteLength < 70 * MiB);
  const killed = new Set<string>();
  for (const pair of PAIRS) {
    for (const id of killed) if (!pair.includes(id)) await drill.cluster.restart(`cs${id}`);
    for (const id of pair) if (!killed.has(id)) await drill.cluster.kill(`cs${id}`);
    killed.clear();
    for (const id of pair) killed.add(id);
    await using client = clientOf(t.context);
    for (const { path, bytes } of small) {
      same(t, await (await client.get(path)).bytes(), bytes, `${path} without ${pair}`);
    }
  }
  await using client = clientOf(t.context);
  const { path, bytes } = files.at(-1) as (typeof files)[number];
  same(t, await (await client.get(path)).bytes(), bytes, `${path} without ${[...killed]}`);
  await drill.cluster.kill("cs1");
  await using hasty = clientOf(t.context, { maxAttempts: 2 });
  const lost = await t.throwsAsync(async () => (await hasty.get(path)).bytes());
  t.regex(lost?.message ?? "", /stripe \d+ of chunk \d+ .*3 of its 6 units are missing/);
  t.true((lost?.message ?? "").includes(path));
  for (const id of ["cs1", ...[...killed].map((id) => `cs${id}`)]) await drill.cluster.restart(id);
  same(t, await (await client.get(path)).bytes(), bytes, "when all are back");
});
