// A tree is converted there and back again and again while its files are replaced, copied, appended
// to, edited and removed, with a chunkserver away for some of the time: every file is what was last
// written to it, and the disks have what they should have.

import { integerBetween, SeededRandom } from "@lumeofs/base";
import { Lumeo } from "@lumeofs/client";
import test, { type ExecutionContext } from "ava";
import { Drill } from "./drill.js";
import { someBytes } from "./some-bytes.js";

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "120000",
  LUMEO_MASTER_RELEASED_GRACE_MS: "2000",
  LUMEO_MASTER_SWEEP_MS: "300",
  LUMEO_MASTER_GRANT_USABLE_MS: "6000",
  LUMEO_MASTER_GRANT_MS: "12000",
  LUMEO_MASTER_CONVERT_LOOK_MS: "1000",
  LUMEO_MASTER_CONVERT_REST_MS: "2000",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "500",
  LUMEO_CHUNKSERVER_TAIL_IDLE_MS: "1000",
};
const SIZES = [1, 100, 5_000, 64 * KiB, 300 * KiB, MiB + 3];
const ACTORS = 3;
const FILES = 20;
const FILES_MIN = 15;
/** There with all chunkservers, back and there again without one, and back with all. */
const CONVERSIONS = 4;
const SEED = 1;

/** What the files are, as far as everybody agrees; one actor at a time has a file. */
class Files {
  readonly contents = new Map<string, Buffer>();
  readonly #taken = new Set<string>();
  readonly #random: SeededRandom;
  #count = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  number(below: number): number {
    return integerBetween(this.#random, 0, below - 1);
  }

  bytes(length: number): Buffer {
    return Buffer.from(someBytes(++this.#count, length));
  }

  /** A file, or undefined if somebody has the one that was drawn. */
  take(path: string | undefined): string | undefined {
    if (path === undefined || this.#taken.has(path)) return undefined;
    this.#taken.add(path);
    return path;
  }

  any(): string | undefined {
    return [...this.contents.keys()][this.number(this.contents.size)];
  }

  give(path: string): void {
    this.#taken.delete(path);
  }
}

/** Does one thing with a file that nobody else has. */
async function act(t: ExecutionContext, client: Lumeo, files: Files, path: string): Promise<void> {
  const { contents } = files;
  const old = contents.get(path);
  if (old === undefined) return;
  switch (files.number(10)) {
    case 0:
    case 1: {
      const bytes = files.bytes(SIZES[files.number(SIZES.length)] ?? 1);
      const code = files.number(2) === 0 ? "none" : "4+2";
      const inline = files.number(2) === 0; // of the smallest ones that are not coded
      await client.put(path, bytes, { chunkSize: MiB, code, inline });
      contents.set(path, bytes);
      return;
    }
    case 2: {
      const target = files.take(`/t/d${files.number(3)}/c${files.number(15)}`);
      if (target === undefined) return;
      await client.copy(path, target, { overwrite: true });
      contents.set(target, old);
      return files.give(target);
    }
    case 3: {
      const record = files.bytes(1 + files.number(200 * KiB));
      await client.append(path, record);
      contents.set(path, Buffer.concat([old, record]));
      return;
    }
    case 4: {
      if (contents.size <= FILES_MIN) return;
      await client.remove(path, { skipTrash: true });
      contents.delete(path);
      return;
    }
    case 5: {
      const [at, bytes] = [files.number(old.byteLength), files.bytes(1 + files.number(1_000))];
      const file = await client.open(path, "r+");
      await file.write(bytes, at);
      await file.close();
      const edited = Buffer.alloc(Math.max(old.byteLength, at + bytes.byteLength));
      edited.set(old);
      edited.set(bytes, at);
      contents.set(path, edited);
      return;
    }
    default:
      t.is(Buffer.compare(await (await client.get(path)).bytes(), old), 0, path);
  }
}

test("files that change all the time are right while their tree is converted", async (t) => {
  const drill = await Drill.start({ masters: 1, chunkservers: 7 }, ENVIRONMENT);
  t.teardown(() => drill.stop());
  const files = new Files(new SeededRandom(SEED));
  await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
  for (let i = 0; i < FILES; i++) {
    const path = `/t/d${i % 3}/f${i}`;
    const bytes = files.bytes(SIZES[i % SIZES.length] ?? 1);
    await client.put(path, bytes, { chunkSize: MiB, inline: false });
    files.contents.set(path, bytes);
  }
  const over = new AbortController();
  let acts = 0;
  const actors = Array.from({ length: ACTORS }, async () => {
    while (!over.signal.aborted) {
      const path = files.take(files.any());
      if (path === undefined) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      await act(t, client, files, path).finally(() => files.give(path));
      acts++;
    }
  });
  try {
    for (let i = 0; i < CONVERSIONS; i++) {
      if (i === 1) await drill.cluster.kill("cs3");
      if (i === 3) await drill.cluster.restart("cs3");
      const to = i % 2 === 0 ? "4+2" : "replicated";
      const job = await client.healing.convert("/t", { to, recursive: true });
      const ended = await client.healing.untilEnded(job.id);
      t.is(ended.state, "done");
    }
  } finally {
    over.abort();
    await Promise.all(actors);
  }
  t.log(`${acts} acts`);
  for (const [path, bytes] of files.contents) {
    t.is(Buffer.compare(await (await client.get(path)).bytes(), bytes), 0, path);
  }
  await drill.until(t, "disks with what they should have", async () => {
    return (await drill.run(["fsck", "--bytes"])).status === 0;
  });
});
