// Readings while one chunkserver stands still (SIGSTOP) and another is killed in the middle of a
// stream. The clients' timeout for one attempt is an hour, and nothing is tried again: what comes,
// comes from hedges and from the next replica.

import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";
import { someBytes } from "./some-bytes.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MiB = 2 ** 20;
const PATIENT = { timeoutMs: 3_600_000, retry: false } as const;

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 1, chunkservers: 4 }) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

function pidOf({ drill }: { readonly drill: Drill }, id: string): number {
  const pid = drill.cluster.members().find((member) => member.id === id)?.pid ?? 0;
  if (pid < 1) throw new Error(`${id} does not run`);
  return pid;
}

function same(t: ExecutionContext, got: Uint8Array, expected: Uint8Array, what: string): void {
  t.is(Buffer.compare(got, expected), 0, `${what}: ${got.byteLength} bytes`);
}

test.serial(
  "a frozen server and one that is killed in the middle cost no reading a byte",
  async (t) => {
    const { drill } = t.context;
    const endpoints = [...drill.cluster.endpoints];
    await using client = new Lumeo({ endpoints, ...PATIENT });
    const large = someBytes(1, 96 * MiB);
    await client.put("/large", large, { chunkSize: 8 * MiB });
    const small = Array.from({ length: 60 }, (_, i) => someBytes(100 + i, 5_000 + i));
    await Promise.all(small.map((bytes, i) => client.put(`/small-${i}`, bytes)));

    const frozen = pidOf(t.context, "cs1");
    process.kill(frozen, "SIGSTOP");
    try {
      await using fresh = new Lumeo({ endpoints, ...PATIENT });
      for (const [i, bytes] of small.entries()) {
        same(t, await (await fresh.get(`/small-${i}`)).bytes(), bytes, `small ${i}`);
      }
      same(t, await (await fresh.get("/large")).bytes(), large, "large");

      const pieces: Uint8Array[] = [];
      for await (const piece of await fresh.get("/large")) {
        if (pieces.length === 0) await drill.cluster.kill("cs2");
        pieces.push(piece);
      }
      same(t, Buffer.concat(pieces), large, "large, with a server killed in the middle");
      for (const [i, bytes] of small.entries()) {
        same(t, await (await fresh.get(`/small-${i}`)).bytes(), bytes, `small ${i} again`);
      }
    } finally {
      process.kill(frozen, "SIGCONT");
    }
    await drill.cluster.restart("cs2");
    same(t, await (await client.get("/large")).bytes(), large, "large, when all are back");
  },
);
