// How this process and its machine are, for first aid. Looking costs a few small writes beside the
// store: how long a disk takes to make something durable is seen in no other way while it is idle.

import { readFileSync } from "node:fs";
import { open, readdir, readFile, rm, statfs } from "node:fs/promises";
import { join } from "node:path";

export interface ProcessFacts {
  /** Of LumeoFS: all packages of a release have the same. */
  readonly version: string;
  readonly nodeVersion: string;
  /** Of the calendar clock: milliseconds since 1970. */
  readonly nowMs: number;
  readonly upMs: number;
  /** Of the file system that holds the folder; 0 if it does not say. */
  readonly diskBytes: number;
  readonly diskFreeBytes: number;
  /** Median and slowest of a few small writes that were made durable; 0 if none was. */
  readonly syncUs: number;
  readonly syncUsMax: number;
  /** Why no write was made; "" if they were. */
  readonly syncFailure: string;
  /** 0 where the system does not say. */
  readonly openFiles: number;
  readonly openFilesMax: number;
}

const PROBES = 5;
const PROBE_BYTES = 4_096;
const PROBE_FILE = "sync-probe";

const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

/** The version of LumeoFS that this process runs. */
export const LUMEOFS_VERSION = version;

let looking: { readonly folder: string; readonly facts: Promise<ProcessFacts> } | undefined;

/** Looks. Those who ask at the same time share one look. @param folder  Of the process's store. */
export function processFacts(folder: string): Promise<ProcessFacts> {
  if (looking?.folder === folder) return looking.facts;
  const facts = look(folder).finally(() => {
    looking = undefined;
  });
  looking = { folder, facts };
  return facts;
}

async function look(folder: string): Promise<ProcessFacts> {
  const space = await statfs(folder).catch(() => undefined);
  const probed = await probe(join(folder, PROBE_FILE));
  return {
    version: LUMEOFS_VERSION,
    nodeVersion: process.versions.node,
    nowMs: Date.now(),
    upMs: Math.round(process.uptime() * 1_000),
    diskBytes: space === undefined ? 0 : space.blocks * space.bsize,
    diskFreeBytes: space === undefined ? 0 : space.bavail * space.bsize,
    ...probed,
    openFiles: await readdir("/proc/self/fd").then(
      (names) => names.length,
      () => 0,
    ),
    openFilesMax: await openFilesMax(),
  };
}

async function probe(
  path: string,
): Promise<Pick<ProcessFacts, "syncUs" | "syncUsMax" | "syncFailure">> {
  try {
    const file = await open(path, "w");
    const tookUs: number[] = [];
    try {
      for (let i = 0; i < PROBES; i++) {
        const began = performance.now();
        await file.write(new Uint8Array(PROBE_BYTES), 0, PROBE_BYTES, i * PROBE_BYTES);
        await file.datasync();
        tookUs.push(Math.round((performance.now() - began) * 1_000));
      }
    } finally {
      await file.close();
      await rm(path, { force: true });
    }
    tookUs.sort((a, b) => a - b);
    const [syncUs = 0, syncUsMax = 0] = [tookUs[Math.floor(PROBES / 2)], tookUs.at(-1)];
    return { syncUs, syncUsMax, syncFailure: "" };
  } catch (error) {
    return { syncUs: 0, syncUsMax: 0, syncFailure: (error as Error).message };
  }
}

async function openFilesMax(): Promise<number> {
  const limits = await readFile("/proc/self/limits", "utf8").catch(() => "");
  const [, max] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  return max === undefined ? 0 : Number(max);
}
