// A chunkserver's two disks, of which one fails at every call in turn: what is on the other one is
// served all the time, what was acknowledged on the failed one is known to be lost, can be made
// again, and is there once after any later start.

import { type ChunkHandle, chunkHandle, LumeoError } from "@lumeofs/base";
import type { ServerDisk } from "../../src/disks/server-disk.js";
import type { Limits, Tally } from "../faults/enumeration.js";
import { sample } from "../replicas.js";
import { contentOf, newChunk } from "../store-fixture.js";
import {
  type DiskParts,
  type DisksProcess,
  FIRST_EPOCH,
  FOLDERS,
  type Folder,
  REAL_DISKS,
  TwoDisks,
} from "./two-disks.js";

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

/** When a disk fails, and which. */
export interface DiskLoss {
  /** While a new server works, or while one starts that has chunks on both disks. */
  readonly during: "life" | "start";
  readonly ends: "once" | "for good";
}

interface LossAt extends DiskLoss {
  readonly folder: Folder;
  /** A call of that disk. */
  readonly at: number;
}

/** One life: a disk fails at a call; what is left is audited, healed, and started again, twice. */
async function live(parts: DiskParts, loss: LossAt): Promise<readonly string[]> {
  const machine = new TwoDisks(parts);
  const book = new Book();
  let process = await meetLoss(machine, book, loss);
  if (0 < process.failures.length) return [`the process ended: ${process.failures[0]?.message}`];
  const first = await audit(process, book);
  // A disk that was away brings back what was removed meanwhile: garbage to the masters.
  const isFault = (fault: string): boolean => loss.during === "life" || !fault.endsWith("is back");
  const faults = [...first.faults.filter(isFault), ...(await heal(process, book, first.lost))];
  const healed = await audit(process, book);
  faults.push(...healed.faults.filter(isFault));
  faults.push(...healed.lost.map((handle) => `${handle} is lost again`));
  process = await machine.start();
  const again = await audit(process, book);
  faults.push(...again.faults.filter((fault) => !fault.endsWith("is back")));
  faults.push(...again.lost.map((handle) => `${handle} is lost at a start`));
  machine.faultOf = () => undefined;
  process = await machine.start();
  if (process.set.lost.length !== 0) faults.push("a disk that is back is not used");
  await process.store.removeShadows(async () => undefined);
  const back = await audit(process, book);
  faults.push(...back.faults.filter((fault) => !fault.endsWith("is back")));
  faults.push(...back.lost.map((handle) => `${handle} is lost when its disk is back`));
  faults.push(...twice(process, book));
  await process.store.close();
  return faults;
}

/** The part of a life in which the disk fails. */
async function meetLoss(machine: TwoDisks, book: Book, loss: LossAt): Promise<DisksProcess> {
  const { folder, at, during, ends } = loss;
  const begin = (): void => {
    const before = machine.callsOf(folder);
    const kind = FAULTS[at % FAULTS.length];
    machine.faultOf = (of, number) => {
      const since = number - before;
      const isHit = since === at || (ends === "for good" && at < since);
      return of === folder && isHit ? kind : undefined;
    };
  };
  if (during === "life") begin();
  let process = await firstStart(machine);
  await work(process, book);
  await flush(process);
  if (during === "life") return process;
  begin();
  process = await machine.start();
  await putAll(process, book, [24, 25, 26, 28, 30]);
  await flush(process);
  return process;
}

/** A new server whose disk fails may refuse to start: nothing is there yet to serve. */
async function firstStart(machine: TwoDisks): Promise<DisksProcess> {
  try {
    return await machine.start();
  } catch (error) {
    if (!(error instanceof LumeoError)) throw error;
    machine.faultOf = () => undefined;
    return machine.start();
  }
}

function twice({ set }: DisksProcess, book: Book): readonly string[] {
  return [...book.acknowledged.keys()].flatMap((handle) => {
    const holders = set.serving.filter(({ store }) => store.find(handle) !== undefined);
    return holders.length === 1 ? [] : [`${handle} is on ${holders.length} disks`];
  });
}

/** Calls of each disk in a life without faults, and in the start that follows. */
async function countCalls(
  parts: DiskParts,
): Promise<Readonly<Record<DiskLoss["during"], ReadonlyMap<Folder, number>>>> {
  const machine = new TwoDisks(parts);
  const calls = () => new Map(FOLDERS.map((folder) => [folder, machine.callsOf(folder)]));
  const process = await machine.start();
  const book = new Book();
  await work(process, book);
  await flush(process);
  if (book.unsure.size !== 0) throw new Error("something failed without a fault");
  const held = new Set(book.acknowledged.values());
  if (held.size !== 2) throw new Error("all chunks went to one disk");
  const life = calls();
  await machine.start();
  const start = FOLDERS.map((folder) => {
    return [folder, machine.callsOf(folder) - (life.get(folder) ?? 0)] as const;
  });
  return { life, start: new Map(start) };
}

/** A disk fails at each `every`-th call, and works again at its next call (`once`) or never. */
export async function enumerateDiskLosses(
  loss: DiskLoss,
  { every, untilFound = false }: Pick<Limits, "every" | "untilFound">,
  parts = REAL_DISKS,
): Promise<Tally> {
  const calls = (await countCalls(parts))[loss.during];
  const tally = { points: 0, machines: 0, faults: [] as string[] };
  for (const folder of FOLDERS) {
    for (let at = 1; at <= (calls.get(folder) ?? 0); at += every) {
      tally.points++;
      tally.machines += 3;
      const faults = await live(parts, { ...loss, folder, at });
      tally.faults.push(...faults.map((fault) => `call ${at} of ${folder}: ${fault}`));
      if (untilFound && 0 < tally.faults.length) return tally;
    }
  }
  return tally;
}
