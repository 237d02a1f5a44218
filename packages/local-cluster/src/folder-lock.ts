// One supervisor for a folder. The lock is a file with the holder's identity; it outlives its
// holder, so a lock of a process that has ended is stale and may be taken over.
//
// L1. The file appears with its content in one step (link of a finished file), never empty.
// L2. A stale lock is moved away before it is judged: of two that want to take it over, one moves
//     it, and the other finds the winner's lock or none.

import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { LumeoError } from "@lumeofs/base";
import { identifyProcess, isRunning, type ProcessIdentity } from "./process-identity.js";

const ATTEMPTS_MAX = 5;

export interface FolderLock {
  release(): void;
}

/**
 * Takes the lock for this process.
 *
 * @throws LumeoError CONFLICT while another process holds it.
 */
export function takeLock(file: string, folder: string): FolderLock {
  const self = identifyProcess(process.pid);
  if (self === undefined) throw new LumeoError("INTERNAL", "Cannot find this process by its pid");
  const beside = `${file}.${process.pid}`;
  writeFileSync(beside, JSON.stringify(self));
  try {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      if (tryLink(beside, file)) return { release: () => release(file, self) };
      const holder = lockHolder(file);
      if (holder !== undefined) throw heldBy(holder, folder);
      moveStaleAway(file);
    }
  } finally {
    rmSync(beside, { force: true });
  }
  throw new LumeoError("CONFLICT", `Cannot lock "${folder}": others keep taking the lock`);
}

/** The running process that holds the lock, or undefined. */
export function lockHolder(file: string): ProcessIdentity | undefined {
  const identity = read(file);
  return identity !== undefined && isRunning(identity) ? identity : undefined;
}

function heldBy(holder: ProcessIdentity, folder: string): LumeoError {
  return new LumeoError(
    "CONFLICT",
    `Cannot start a cluster in "${folder}": process ${holder.pid} already runs one there. ` +
      `Stop it with "lumeo dev stop --dir ${folder}"`,
  );
}

function moveStaleAway(file: string): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch {
    return; // Somebody else moved it.
  }
  const moved = read(aside);
  // A new holder's lock, taken by mistake, goes back.
  if (moved !== undefined && isRunning(moved)) tryLink(aside, file);
  rmSync(aside, { force: true });
}

function release(file: string, self: ProcessIdentity): void {
  const holder = read(file);
  if (holder?.pid === self.pid && holder.startedAt === self.startedAt) rmSync(file);
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function read(file: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as ProcessIdentity;
  } catch {
    return undefined;
  }
}
