import { createHash } from "node:crypto";
import test from "ava";
import { seededBytes } from "./seeded-bytes.js";

async function all(seed: number, length: number): Promise<{ bytes: Buffer; sha256: string }> {
  const source = seededBytes(seed, length);
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return { bytes: Buffer.concat(pieces), sha256: source.sha256() };
}

test("seededBytes() gives exactly the length, the same for the same seed only", async (t) => {
  const length = 2 * 2 ** 20 + 17;
  const [first, again, other] = [await all(1, length), await all(1, length), await all(2, length)];
  t.is(first.bytes.byteLength, length);
  t.deepEqual(first, again);
  t.not(first.sha256, other.sha256);
  t.is(first.sha256, createHash("sha256").update(first.bytes).digest("hex"));
  t.is((await all(1, 0)).bytes.byteLength, 0);
});
