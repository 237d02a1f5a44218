// What verify says of files that are kept as units of a code.

import { BLOCK_BYTES, MiB } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { blockCrcs } from "@lumeofs/node/frames";
import test from "ava";
import type { VerifiedChunk } from "../src/index.js";
import { content } from "./fake/bytes.js";
import { FakeCluster } from "./fake/cluster.js";

const PATH = "/f";

async function cluster(size: number) {
  const fake = await FakeCluster.start({ chunkservers: 6 });
  const client = fake.client();
  await client.put(PATH, content(size, 5), { code: "4+2/64KiB" });
  const { chunks = [] } = await client.stat(PATH, { chunks: true });
  const [chunk] = chunks;
  if (chunk === undefined) throw new Error("the file has no chunk");
  const servers = chunk.replicas.map(({ id }) => fake.server(Number(id.slice(2))));
  const verify = async (): Promise<readonly VerifiedChunk[]> => {
    const all: VerifiedChunk[] = [];
    for await (const one of client.audits.verify(PATH)) all.push(one);
    return all;
  };
  return { fake, handle: chunk.handle, servers, verify };
}

function findings(chunks: readonly VerifiedChunk[]): readonly string[] {
  return chunks.flatMap(({ replicas }) => replicas.map(({ finding }) => finding));
}

const INTACT = ["intact", "intact", "intact", "intact", "intact", "intact"];

test("every unit is read, those without bytes are nowhere, and all fit together", async (t) => {
  for (const size of [1, 5_000, 3 * MiB + 70_001]) {
    const { fake, verify } = await cluster(size);
    t.deepEqual(findings(await verify()), INTACT, `${size} bytes`);
    await fake.close();
  }
});

test("a unit that is missing, or of other bytes, is bad, and the masters hear of it", async (t) => {
  const { fake, handle, servers, verify } = await cluster(2 * MiB);
  servers[1]?.chunks.delete(handle);
  const unit = servers[4]?.chunks.get(handle);
  if (unit === undefined) return t.fail();
  unit.bytes.writeUInt8((unit.bytes[BLOCK_BYTES + 7] ?? 0) ^ 1, BLOCK_BYTES + 7);
  const expected = ["intact", "bad", "intact", "intact", "bad", "intact"];
  t.deepEqual(findings(await verify()), expected);
  t.is(fake.namespace.damage.length, 2);
  await fake.close();
});

test("a parity unit that was written wrong, with the right checksum, is named", async (t) => {
  const { fake, handle, servers, verify } = await cluster(2 * MiB + 11);
  const unit = servers[5]?.chunks.get(handle);
  const coding = fake.namespace.files.get(PATH)?.chunks[0]?.coding;
  if (unit === undefined || coding?.unitCrcs == null) return t.fail();
  const bytes = Buffer.from(unit.bytes);
  bytes.writeUInt8((bytes[300_000] ?? 0) ^ 1, 300_000);
  const crc32c = nativeCrc32c(bytes);
  servers[5]?.chunks.set(handle, {
    ...unit,
    ...{ bytes, crc32c, crcs: blockCrcs([bytes], nativeCrc32c) },
  });
  coding.unitCrcs[5] = crc32c;
  const chunks = await verify();
  t.deepEqual(findings(chunks), [...INTACT.slice(0, 5), "unfit"]);
  t.regex(chunks[0]?.replicas[5]?.why ?? "", /not the parity of the data/);
  t.is(fake.namespace.damage.length, 0, "the masters would make the same again");
  await fake.close();
});
