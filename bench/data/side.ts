// One store of the comparison, as the loads see it, and the loads themselves: the same calls in the
// same order for every store.

import type { SmallResult } from "../load/small-files.js";
import { cpuSeconds, peakMemoryMiB } from "../machine.js";

/** Clients of the load that is compared with one client. */
export const CLIENTS = 16;
/**
 * The masters of LumeoFS keep files up to 4 KiB themselves; larger ones go to chunkservers. Both
 * are measured, so that neither is taken for the other.
 */
const SMALL_KIB = [4, 16] as const;

/** A running store that can be put under load. */
export interface DataSide {
  readonly name: string;
  /** Names of its processes and their ids; the program that sends the load is not among them. */
  processes(): ReadonlyMap<string, number>;
  /** CPU seconds that programs sending load have used and that no process above accounts for. */
  loadCpuSeconds(): number;
  /** Seconds of putting `bytes`, split over so many clients at once, all durable at the end. */
  putLarge(path: string, bytes: number, clients: number): Promise<number>;
  /** Seconds of getting the same back, as users get it. */
  getLarge(path: string, bytes: number, clients: number): Promise<number>;
  /** The same with every byte sent by a server, also where a client could read its files. */
  getLargeFromServers(path: string, bytes: number, clients: number): Promise<number>;
  putSmall(load: SmallFiles): Promise<SmallResult>;
  getSmall(load: SmallFiles): Promise<SmallResult>;
  /** Forgets what the client's machine keeps of files, so that a get asks the servers. */
  forget(): Promise<void>;
  close(): Promise<void>;
}

export interface SmallFiles {
  readonly folder: string;
  readonly fileBytes: number;
  readonly inFlight: number;
  readonly count: number;
}

/** A large load: how fast, and what it cost all processes together. */
export interface LargeFigure {
  readonly mibPerSecond: number;
  readonly cpuSecondsPerGiB: number;
}

/** A small load, and the processor time of one operation in all processes together. */
export interface SmallFigure extends SmallResult {
  readonly cpuMsEach: number;
}

export interface SideFigures {
  readonly name: string;
  readonly large: Readonly<Record<string, LargeFigure>>;
  readonly small: Readonly<Record<string, SmallFigure>>;
  readonly peakMiB: Readonly<Record<string, number | undefined>>;
}

/** Puts a store under all loads. */
export async function measureSide(
  side: DataSide,
  bytes: number,
  files: number,
): Promise<SideFigures> {
  const cpu = (): number => {
    let sum = side.loadCpuSeconds();
    for (const pid of side.processes().values()) sum += cpuSeconds(pid);
    return sum;
  };
  const large: Record<string, LargeFigure> = {};
  const small: Record<string, SmallFigure> = {};
  const runLarge = async (name: string, run: () => Promise<number>): Promise<void> => {
    const before = cpu();
    const seconds = await run();
    large[name] = {
      mibPerSecond: bytes / 2 ** 20 / seconds,
      cpuSecondsPerGiB: ((cpu() - before) * 2 ** 30) / bytes,
    };
  };
  const runSmall = async (
    name: string,
    count: number,
    run: () => Promise<SmallResult>,
  ): Promise<void> => {
    const before = cpu();
    const result = await run();
    small[name] = { ...result, cpuMsEach: (1000 * (cpu() - before)) / count };
  };
  const load = (name: string, kib: number, inFlight: number): SmallFiles => {
    const count = inFlight === 1 ? Math.ceil(files / 8) : files;
    return { folder: `${name}-${kib}-${inFlight}`, fileBytes: 1024 * kib, inFlight, count };
  };
  await side.putLarge("warm", Math.min(bytes, 64 * 2 ** 20), 1);
  // As many as are measured later: programs that compile their code while they run are slower by
  // half for the first thousands of files.
  for (const kib of SMALL_KIB) {
    for (const warm of [load("warm", kib, 64), load("warm", kib, 1)]) {
      await side.putSmall(warm);
      await side.getSmall(warm);
    }
  }
  await runLarge("put", () => side.putLarge("one", bytes, 1));
  await side.forget();
  await runLarge("get", () => side.getLarge("one", bytes, 1));
  await side.forget();
  await runLarge("get over the wire", () => side.getLargeFromServers("one", bytes, 1));
  for (const kib of SMALL_KIB) {
    const loads = [load("small", kib, 1), load("small", kib, 64)];
    for (const one of loads) {
      const name = `put ${kib} KiB, ${one.inFlight} in flight`;
      await runSmall(name, one.count, () => side.putSmall(one));
    }
    await side.forget();
    for (const one of loads) {
      const name = `get ${kib} KiB, ${one.inFlight} in flight`;
      await runSmall(name, one.count, () => side.getSmall(one));
    }
  }
  await runLarge(`put, ${CLIENTS} clients`, () => side.putLarge("many", bytes, CLIENTS));
  await side.forget();
  await runLarge(`get, ${CLIENTS} clients`, () => side.getLarge("many", bytes, CLIENTS));
  await side.forget();
  const wire = `get over the wire, ${CLIENTS}`;
  await runLarge(wire, () => side.getLargeFromServers("many", bytes, CLIENTS));
  const peaks = [...side.processes()].map(([name, pid]) => [name, peakMemoryMiB(pid)] as const);
  return { name: side.name, large, small, peakMiB: Object.fromEntries(peaks) };
}
