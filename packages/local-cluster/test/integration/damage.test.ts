// Bytes that rot on a disk are never handed out: the reader takes another replica, and the masters
// learn of the damage.

import {
  closeSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { digestFile, seededBytes } from "../../src/index.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MIB = 2 ** 20;

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 1, chunkservers: 3 }) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Inverts one bit of a file. */
function flipBit(file: string, position: number): void {
  const fd = openSync(file, "r+");
  try {
    const byte = new Uint8Array(1);
    readSync(fd, byte, 0, 1, position);
    byte[0] = (byte[0] ?? 0) ^ 1;
    writeSync(fd, byte, 0, 1, position);
  } finally {
    closeSync(fd);
  }
}

/** The files of a chunkserver's store that hold this text or, if large, are this long. */
function damageWhere(drill: Drill, id: string, isIt: (file: string) => number | undefined): number {
  const member = drill.cluster.members().find((one) => one.id === id);
  let count = 0;
  for (const file of filesBelow(join(member?.dir ?? "", "data"))) {
    const position = isIt(file);
    if (position === undefined) continue;
    flipBit(file, position);
    count++;
  }
  return count;
}

async function damagedOf(t: ExecutionContext<{ drill: Drill }>, id: string): Promise<number> {
  const { chunkservers } = await t.context.drill.status(t);
  return chunkservers.find((server) => server.id === id)?.damaged ?? 0;
}

test.serial("a flipped bit in a large chunk is never handed out, and is reported", async (t) => {
  const { drill } = t.context;
  const chunks = 8;
  const source = seededBytes(5, chunks * MIB);
  await drill.ok(t, ["put", "--chunk-size", "1M", "-", "/large"], { stdin: source });
  for (const id of ["cs1", "cs2"]) {
    const hits = damageWhere(drill, id, (file) => {
      const isChunk = file.includes("/chunks/") && MIB <= statSync(file).size;
      return isChunk ? MIB / 2 + 5 : undefined;
    });
    t.is(hits, chunks, `${id} has each chunk in a file of its own`);
  }
  await drill.ok(t, ["get", "/large", drill.at("large")]);
  t.is(await digestFile(drill.at("large")), source.sha256());
  await drill.until(t, "a report of the damage", async () => {
    return 0 < (await damagedOf(t, "cs1")) + (await damagedOf(t, "cs2"));
  });
});

test.serial("a flipped bit in a small chunk is never handed out", async (t) => {
  const { drill } = t.context;
  const text = `needle ${"small chunk ".repeat(200)}`;
  writeFileSync(drill.at("small"), text);
  await drill.ok(t, ["put", drill.at("small"), "/small"]);
  for (const id of ["cs1", "cs2"]) {
    t.true(0 < damageSmall(drill, id, text), `${id} has the small chunk in its log`);
  }
  t.is(await drill.ok(t, ["cat", "/small"]), text);
});

test.serial("when every replica is damaged a read ends with 7 and leaves no file", async (t) => {
  const { drill } = t.context;
  const text = `lost ${"all three ".repeat(200)}`;
  writeFileSync(drill.at("lost"), text);
  await drill.ok(t, ["put", drill.at("lost"), "/lost"]);
  for (const id of ["cs1", "cs2", "cs3"]) t.true(0 < damageSmall(drill, id, text));
  const { status, stderr } = await drill.run(["get", "/lost", drill.at("never")]);
  t.is(status, 7, stderr);
  t.regex(stderr, /^lumeo: error: [^\n]+\n$/);
  t.throws(() => statSync(drill.at("never")));
});

/** Damages a text wherever it lies in a store. */
function damageSmall(drill: Drill, id: string, text: string): number {
  return damageWhere(drill, id, (file) => {
    const at = contentOf(file).indexOf(text);
    return 0 <= at ? at + 20 : undefined;
  });
}

function contentOf(file: string): Buffer {
  const { size } = statSync(file);
  const bytes = Buffer.alloc(Math.min(size, 64 * MIB));
  const fd = openSync(file, "r");
  try {
    readSync(fd, bytes, 0, bytes.length, 0);
  } finally {
    closeSync(fd);
  }
  return bytes;
}
