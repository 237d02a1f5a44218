// A chunkserver's two disks, of which one fails at every call in turn: what is on the other one is
// served all the time, what was acknowledged on the failed one is known to be lost, can be made
// again, and is there once after any later start.

import { type ChunkHandle, chunkHandle, LumeoError } from "@lumeofs/base";
import type { ServerDisk } from "../../src/disks/server-disk.js";
import type { Limits, Tally } from "../faults/enumeration.js";
import { sample } from "../replicas.js";
import { contentOf, newChunk } from "../store-fixture.js";
import { type DisksProcess, FIRST_EPOCH, FOLDERS, type Folder, TwoDisks } from "./two-disks.js";

const FAULTS = ["EIO", "ENOSPC", "short"] as const;

/** Acknowledged chunks and the disk that has each. */
class Book {
  readonly acknowledged = new Map<ChunkHandle, Folder>();
  readonly removed = new Set<ChunkHandle>();
  /** Of calls that failed: may be there or not. */
  readonly unsure = new Set<ChunkHandle>();
}

/** Even handles are small chunks, odd ones files. */
function bytesOf(handle: number): Uint8Array {
  return sample(handle % 2 === 0 ? 900 * handle + 5 : 66_000 + 7 * handle, handle);
}

async function put({ store }: DisksProcess, handle: number): Promise<void> {
  const bytes = bytesOf(handle);
  const content = contentOf(bytes);
  if (handle % 2 === 0) return store.putSmall(newChunk(handle), content, [bytes]);
  const write = await store.beginLarge(newChunk(handle));
  try {
    await write.write([bytes.subarray(0, 65_536)]);
    await write.write([bytes.subarray(65_536)]);
    await write.finish(content);
  } finally {
    await write.abort();
  }
}

/** The disk that has it, without asking one that may fail at this call. */
function holderOf({ set }: DisksProcess, handle: ChunkHandle): ServerDisk | undefined {
  return set.serving.find((disk) => {
    try {
      return disk.store.find(handle) !== undefined;
    } catch {
      return false;
    }
  });
}

async function putAll(process: DisksProcess, book: Book, handles: readonly number[]) {
  await Promise.all(
    handles.map(async (number) => {
      const handle = chunkHandle(number);
      try {
        await put(process, number);
      } catch (error) {
        if (!(error instanceof LumeoError)) throw error;
        book.unsure.add(handle);
        return;
      }
      const holder = holderOf(process, handle);
      // A disk that failed right behind the answer has it, and nobody else.
      const failed = process.set.lost[0]?.folder as Folder;
      book.acknowledged.set(handle, (holder?.folder ?? failed) as Folder);
    }),
  );
}

async function remove(process: DisksProcess, book: Book, number: number): Promise<void> {
  const handle = chunkHandle(number);
  await process.store.remove([{ handle, epoch: FIRST_EPOCH }]);
  book.acknowledged.delete(handle);
  book.removed.add(handle);
}

async function flush({ timers }: DisksProcess): Promise<void> {
  timers.ring();
  await new Promise((resolve) => setImmediate(resolve));
}

async function work(process: DisksProcess, book: Book): Promise<void> {
  await putAll(process, book, [1, 2, 3, 4, 6, 8]);
  await flush(process);
  await putAll(process, book, [5, 7, 10, 12]);
  await remove(process, book, 3);
  await remove(process, book, 4);
  await flush(process);
  await putAll(process, book, [9, 11, 14, 16, 18]);
  await process.store.page(undefined, 100);
  await flush(process);
  await putAll(process, book, [20, 22, 13]);
}

async function readAll({ store }: DisksProcess, handle: ChunkHandle): Promise<Uint8Array> {
  const reader = await store.open(handle, FIRST_EPOCH);
  const bytes = new Uint8Array(reader.length);
  await reader.read(0, bytes);
  return bytes;
}

/** Faults of what is served; the handles that are lost. */
async function audit(process: DisksProcess, book: Book) {
  const faults: string[] = [];
  const lost: ChunkHandle[] = [];
  const { set, store } = process;
  for (const [handle, folder] of book.acknowledged) {
    const isWorking = set.serving.some((disk) => disk.folder === folder);
    try {
      const bytes = await readAll(process, handle);
      if (Buffer.compare(bytes, bytesOf(handle)) !== 0) faults.push(`${handle} is served wrong`);
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      if (error.code === "REPLICA_MISSING" && !isWorking) lost.push(handle);
      else faults.push(`${handle} of ${folder} is not served: ${error.message}`);
    }
  }
  for (const handle of book.removed) {
    if (store.find(handle) !== undefined) faults.push(`${handle} is back`);
  }
  return { faults, lost };
}

/** What the masters do: they say what should be here, and have made again what is lost. */
async function heal(process: DisksProcess, book: Book, lost: readonly ChunkHandle[]) {
  const { store } = process;
  const assigned = [...book.acknowledged.keys()];
  const found = store.compare({ after: 0, upto: 1_000 }, assigned, 100);
  const faults: string[] = [];
  if (found !== lost.length) faults.push(`finds ${found} lost, not ${lost.length}`);
  if (`${[...store.damaged()].sort()}` !== `${[...lost].sort()}`) {
    faults.push(`tells ${store.damaged()}, not ${lost}`);
  }
  for (const handle of lost) await put(process, handle);
  if (0 < store.damaged().length) faults.push(`still tells ${store.damaged()}`);
  return faults;
}

/** One life: a disk fails at a call; what is left is audited, healed, and started again, twice. */
async function live(folder: Folder, at: number, isDead: boolean): Promise<readonly string[]> {
  const machine = new TwoDisks();
  const isHit = (number: number): boolean => number === at || (isDead && at < number);
  const kind = FAULTS[at % FAULTS.length];
  machine.faultOf = (of, number) => (of === folder && isHit(number) ? kind : undefined);
  let process = await startOver(machine);
  const book = new Book();
  await work(process, book);
  await flush(process);
  if (0 < process.failures.length) return [`the process ended: ${process.failures[0]?.message}`];
  const first = await audit(process, book);
  const faults = [...first.faults, ...(await heal(process, book, first.lost))];
  const healed = await audit(process, book);
  faults.push(...healed.faults, ...healed.lost.map((handle) => `${handle} is lost again`));
  process = await startOver(machine);
  const again = await audit(process, book);
  // A disk that was away brings back what was removed meanwhile: garbage to the masters.
  const isGarbage = (fault: string): boolean => fault.endsWith("is back");
  faults.push(...again.faults.filter((fault) => !isGarbage(fault)));
  faults.push(...again.lost.map((handle) => `${handle} is lost at a start`));
  machine.faultOf = () => undefined;
  process = await startOver(machine);
  if (process.set.lost.length !== 0) faults.push("a disk that is back is not used");
  await process.store.removeShadows(async () => undefined);
  const back = await audit(process, book);
  faults.push(...back.faults.filter((fault) => !isGarbage(fault)));
  faults.push(...back.lost.map((handle) => `${handle} is lost when its disk is back`));
  faults.push(...twice(process, book));
  await process.store.close();
  return faults;
}

/** As a supervisor does: a process that ends at its start is started again. */
async function startOver(machine: TwoDisks): Promise<DisksProcess> {
  for (let tries = 0; ; tries++) {
    try {
      return await machine.start();
    } catch (error) {
      if (!(error instanceof LumeoError) || tries === 2) throw error;
      // A new server whose disk fails at its first start: nothing is there yet to serve.
      machine.faultOf = () => undefined;
    }
  }
}

function twice({ set }: DisksProcess, book: Book): readonly string[] {
  return [...book.acknowledged.keys()].flatMap((handle) => {
    const holders = set.serving.filter(({ store }) => store.find(handle) !== undefined);
    return holders.length === 1 ? [] : [`${handle} is on ${holders.length} disks`];
  });
}

async function callsOfAQuietLife(): Promise<ReadonlyMap<Folder, number>> {
  const machine = new TwoDisks();
  const process = await machine.start();
  const book = new Book();
  await work(process, book);
  await flush(process);
  if (book.unsure.size !== 0) throw new Error("something failed without a fault");
  const held = new Set(book.acknowledged.values());
  if (held.size !== 2) throw new Error("all chunks went to one disk");
  return new Map(FOLDERS.map((folder) => [folder, machine.callsOf(folder)]));
}

/**
 * A disk fails at each `every`-th call of a life, and works again at its next call (`once`) or
 * never does.
 */
export async function enumerateDiskLosses(
  end: "once" | "for good",
  { every }: Pick<Limits, "every">,
): Promise<Tally> {
  const calls = await callsOfAQuietLife();
  const tally = { points: 0, machines: 0, faults: [] as string[] };
  for (const folder of FOLDERS) {
    for (let at = 1; at <= (calls.get(folder) ?? 0); at += every) {
      tally.points++;
      tally.machines += 3;
      const faults = await live(folder, at, end === "for good");
      tally.faults.push(...faults.map((fault) => `call ${at} of ${folder}: ${fault}`));
    }
  }
  return tally;
}
