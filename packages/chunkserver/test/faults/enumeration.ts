// Every fault at every call of the disk and the index, one by one.
//
// E1. After a loss of power the store opens, and the audit finds nothing.
// E2. After a failed call the store has stopped: it says so once, refuses everything, does nothing
//     again that has failed, and the next start is as after a loss of power.
// E3. A failed call while a store opens is the end of that start, and of no chunk.
// E4. What a store shows after its process was killed is still there after a loss of power.
// E5. An index that has lost its newest writes, each value in it intact, costs nothing.

import { chunkHandle, LumeoError } from "@lumeofs/base";
import type { DiskFault } from "@lumeofs/testkit";
import { audit, auditIdentity, auditMachine, settledBy } from "./audit.js";
import { Ledger } from "./ledger.js";
import { LAST_EPOCH, runScript, StoreUser } from "./script.js";
import type { IndexContents } from "./sim-index.js";
import {
  type MachineCall,
  type MachineHooks,
  type MachineMoment,
  StoreMachine,
  type StoreParts,
  type StoreProcess,
} from "./store-machine.js";
import { survivals } from "./survivals.js";

export interface Limits {
  /** Of all calls only each so many-th, beginning with `offset`. */
  readonly every: number;
  readonly offset?: number;
  /** Kinds of cuts at each point, of writes and of names (see survivals.ts). */
  readonly cutsMax: number;
  /** The same for calls before the store has been formatted; default `every`. */
  readonly formattingEvery?: number;
  /** Ends with the first fault found. */
  readonly untilFound?: boolean;
}

export interface Tally {
  /** Calls of the disk and the index at which a fault was tried. */
  points: number;
  /** Machines that were started and audited afterwards. */
  machines: number;
  /** What the audits found; more than some are not kept. */
  readonly faults: string[];
}

/** Enough to see what is wrong. */
const FAULTS_KEPT = 20;
const CHANGING = new Set(["write", "sync", "truncate", "rename", "remove", "syncFolder"]);
const WAYS: readonly DiskFault[] = ["EIO", "ENOSPC", "short"];

/** A moment worth trying, with what had been promised then. */
interface Point {
  readonly name: string;
  readonly ledger: Ledger;
  readonly moment: MachineMoment;
}

/** Tries a loss of power at each call of the script (E1). */
export async function enumerateCrashes(parts: StoreParts, limits: Limits): Promise<Tally> {
  const tally = emptyTally();
  for (const point of await pointsOfScript(parts, limits, tally)) {
    if (isEnough(tally, limits)) break;
    await tryPoint(parts, point, limits.cutsMax, tally);
  }
  return tally;
}

/** Tries a second loss of power at each call of the start that follows a first one (E1). */
export async function enumerateCrashPairs(parts: StoreParts, limits: Limits): Promise<Tally> {
  const tally = emptyTally();
  for (const first of await pointsOfScript(parts, limits, emptyTally())) {
    for (const point of await pointsOfStart(parts, first, tally)) {
      if (isEnough(tally, limits)) return tally;
      await tryPoint(parts, point, limits.cutsMax, tally);
    }
  }
  return tally;
}

/** Ends the process at each call, and the power after the next start (E4). */
export async function enumerateKills(parts: StoreParts, limits: Limits): Promise<Tally> {
  return atEachCall(parts, limits, async (at, tally) => {
    const { machine, ledger } = await killedAt(parts, at);
    await judge(tally, `killed at call ${at}`, async () => {
      const again = await machine.boot();
      const faults = [...auditIdentity(again, ledger), ...(await audit(again, ledger))];
      const shown = await settledBy(again, ledger);
      const index = at % 2 === 0 ? "kept" : "lost";
      const lost = { moment: machine.moment(), keeps: () => false, index } as const;
      return [...faults, ...(await auditMachine(parts, lost, shown))];
    });
  });
}

/** Lets each call of the script fail, in every way (E2, E3). */
export async function enumerateErrors(parts: StoreParts, limits: Limits): Promise<Tally> {
  return atEachCall(parts, limits, async (at, tally) => {
    for (const fault of WAYS) {
      await judge(tally, `${fault} at call ${at}`, () => failAt(parts, { at, fault }));
    }
  });
}

/** Tries something at each call that the script makes when nothing goes wrong. */
async function atEachCall(
  parts: StoreParts,
  limits: Limits,
  attempt: (at: number, tally: Tally) => Promise<void>,
): Promise<Tally> {
  const tally = emptyTally();
  const clean = StoreMachine.blank({ parts });
  await runScript(await clean.boot(), new Ledger());
  for (let at = 1 + (limits.offset ?? 0); at <= clean.calls; at += limits.every) {
    if (isEnough(tally, limits)) break;
    tally.points++;
    await attempt(at, tally);
  }
  return tally;
}

/** Lets each call of the start of a filled store fail (E3). */
export async function enumerateStartErrors(parts: StoreParts, limits: Limits): Promise<Tally> {
  const tally = emptyTally();
  const filled = StoreMachine.blank({ parts });
  const ledger = new Ledger();
  await runScript(await filled.boot(), ledger);
  const moment = filled.moment();
  for (const index of ["kept", "lost"] as const) {
    const origin = { moment, keeps: () => true, index };
    const clean = StoreMachine.after({ parts }, origin);
    await clean.boot();
    for (let at = 1 + (limits.offset ?? 0); at <= clean.calls; at += limits.every) {
      if (isEnough(tally, limits)) break;
      tally.points++;
      const machine = StoreMachine.after({ parts, hooks: failing({ at, fault: "EIO" }) }, origin);
      await judge(tally, `EIO at call ${at} of a start, index ${index}`, async () => {
        const opened = await machine.boot().catch(expected);
        if (opened !== undefined) return ["the start succeeds in spite of it"];
        const next = { moment: machine.moment(), keeps: () => false, index: "kept" as const };
        return auditMachine(parts, next, ledger);
      });
    }
  }
  return tally;
}

function isEnough(tally: Tally, { untilFound = false }: Limits): boolean {
  return untilFound && 0 < tally.faults.length;
}

/** Gives the store, at each write of its index, every index of before (E5). */
export async function enumerateOldIndexes(parts: StoreParts, limits: Limits): Promise<Tally> {
  const tally = emptyTally();
  const ledger = new Ledger();
  const older: IndexContents[] = [];
  const points: Point[] = [];
  const began = ({ kind, path, number }: MachineCall): void => {
    if (kind !== "index" || path !== "written") return;
    const name = `at call ${number}`;
    points.push({ name, moment: machine.moment(), ledger: ledger.copy() });
    older.push(machine.indexContents);
  };
  const machine: StoreMachine = StoreMachine.blank({ parts, hooks: { began } });
  await runScript(await machine.boot(), ledger);
  for (const [n, { name, moment, ledger: promised }] of points.entries()) {
    if (n % limits.every !== (limits.offset ?? 0) % limits.every) continue;
    tally.points++;
    for (const [age, index] of older.slice(0, n).toReversed().entries()) {
      if (isEnough(tally, limits)) return tally;
      await judge(tally, `${name}, index of ${age + 1} writes before`, () => {
        return auditMachine(parts, { moment, keeps: () => true, index }, promised);
      });
    }
  }
  return tally;
}

/** Nothing tried yet. */
export function emptyTally(): Tally {
  return { points: 0, machines: 0, faults: [] };
}

/** Runs one try and keeps what it finds, or what it throws. */
export async function judge(
  tally: Tally,
  name: string,
  run: () => Promise<readonly string[]>,
): Promise<void> {
  tally.machines++;
  const found = await run().catch((error: unknown) => [String(error)]);
  for (const fault of found) {
    if (tally.faults.length < FAULTS_KEPT) tally.faults.push(`${name}: ${fault}`);
  }
}

async function tryPoint(
  parts: StoreParts,
  point: Point,
  cutsMax: number,
  tally: Tally,
): Promise<void> {
  const { moment, name } = point;
  for (const [n, survival] of survivals(moment.disk, cutsMax).entries()) {
    const index = n % 3 === 2 ? "lost" : "kept";
    await judge(tally, `${name}, ${survival.name}, index ${index}`, () => {
      return auditMachine(parts, { moment, keeps: survival.keeps, index }, point.ledger);
    });
  }
}

/** A machine whose process has ended at a call of the script. */
async function killedAt(
  parts: StoreParts,
  at: number,
): Promise<{ readonly machine: StoreMachine; readonly ledger: Ledger }> {
  const ledger = new Ledger();
  let promised = ledger;
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const began = ({ number }: MachineCall): void => {
    if (number !== at) return;
    promised = ledger.copy();
    machine.kill();
    end();
  };
  const machine: StoreMachine = StoreMachine.blank({ parts, hooks: { began } });
  const living = machine.boot().then((process) => runScript(process, ledger));
  await Promise.race([living, ended]);
  return { machine, ledger: promised };
}

/** What one run of the script offers. */
async function pointsOfScript(
  parts: StoreParts,
  limits: Limits,
  tally: Tally,
): Promise<readonly Point[]> {
  const ledger = new Ledger();
  const points = new Points(limits, tally);
  const began = (call: MachineCall): void => points.take(machine, call, ledger);
  const machine: StoreMachine = StoreMachine.blank({ parts, hooks: { began } });
  await runScript(await machine.boot(), ledger);
  return points.all;
}

/** What the start after a loss of power offers. */
async function pointsOfStart(
  parts: StoreParts,
  first: Point,
  tally: Tally,
): Promise<readonly Point[]> {
  const points = new Points({ every: 1, cutsMax: 0 }, tally);
  const began = (call: MachineCall): void => points.take(machine, call, first.ledger);
  const machine: StoreMachine = StoreMachine.after(
    { parts, hooks: { began } },
    {
      moment: first.moment,
      keeps: () => true,
      index: first.moment.disk.sectors % 2 === 0 ? "kept" : "lost",
    },
  );
  const { store } = await machine.boot();
  await store.close();
  return points.all.map((point) => ({ ...point, name: `${first.name}, then ${point.name}` }));
}

/** Collects the moments of a run; one that is as the last one is counted, not collected. */
class Points {
  readonly #limits: Limits;
  readonly #tally: Tally;
  readonly all: Point[] = [];
  #calls = 0;
  #last: readonly unknown[] = [];

  constructor(limits: Limits, tally: Tally) {
    this.#limits = limits;
    this.#tally = tally;
  }

  take(machine: StoreMachine, call: MachineCall, ledger: Ledger): void {
    const { every, offset = 0, formattingEvery = every } = this.#limits;
    const step = ledger.uuid === undefined ? formattingEvery : every;
    if (this.#calls++ % step !== offset % step) return;
    this.#tally.points++;
    const state = [machine.disk.changes, machine.indexContents, ledger.version];
    if (state.every((part, i) => part === this.#last[i])) return;
    this.#last = state;
    const name = `power lost at call ${call.number} (${call.kind} ${call.path})`;
    this.all.push({ name, moment: machine.moment(), ledger: ledger.copy() });
  }
}

interface Failure {
  readonly at: number;
  readonly fault: DiskFault;
}

/** E2 and E3 for one failure. */
async function failAt(parts: StoreParts, failure: Failure): Promise<readonly string[]> {
  const ledger = new Ledger();
  const faults: string[] = [];
  let process: StoreProcess | undefined;
  let failed: MachineCall | undefined;
  const began = (call: MachineCall): void => {
    if (call.number === failure.at) failed = call;
    const hasStopped = process !== undefined && 0 < process.failures.length;
    if (hasStopped && failed !== undefined && isSame(call, failed)) faults.push("tries again");
  };
  const hooks = { ...failing(failure), began };
  const machine = StoreMachine.blank({ parts, seed: failure.at, hooks });
  let isTold = false;
  try {
    process = await machine.boot();
    await runScript(process, ledger);
  } catch (error) {
    expected(error);
    isTold = true;
  }
  if (!isTold) faults.push("nobody is told");
  if (process !== undefined && ledger.isJoined) faults.push(...(await refuses(process, ledger)));
  const keeps = (): boolean => failure.at % 2 === 0;
  const index = failure.at % 3 === 0 ? "lost" : "kept";
  const next = { moment: machine.moment(), keeps, index } as const;
  const what = `(${failed?.kind} ${failed?.path})`;
  const found = [...faults, ...(await auditMachine(parts, next, ledger))];
  return found.map((fault) => `${what} ${fault}`);
}

/** What is wrong with how a failed store answers. */
async function refuses(process: StoreProcess, ledger: Ledger): Promise<readonly string[]> {
  const { store, failures } = process;
  const faults: string[] = [];
  if (failures.length !== 1) faults.push(`says ${failures.length} times that it has failed`);
  if (store.status().state !== "failed") faults.push("does not look failed");
  const later = ledger.copy();
  const user = new StoreUser(process, later);
  const tries = [
    user.small(800, 10),
    user.large(801, 70_000),
    ...ledger.handles.map((handle) => user.read(handle)),
    store.remove([{ handle: chunkHandle(800), epoch: LAST_EPOCH }]).then(() => undefined),
  ];
  const isOwed = ledger.handles.filter((handle) => ledger.of(handle).settled !== undefined).length;
  const results = await Promise.allSettled(tries);
  const refused = results.filter((result) => result.status === "rejected").length;
  if (refused < 3 + isOwed) faults.push(`refuses ${refused} of ${3 + isOwed} calls`);
  await store.close();
  return faults;
}

function failing({ at, fault }: Failure): MachineHooks {
  return { faultOf: ({ number }) => (number === at ? fault : undefined) };
}

function isSame(a: MachineCall, b: MachineCall): boolean {
  return a.number !== b.number && CHANGING.has(a.kind) && a.kind === b.kind && a.path === b.path;
}

/** Errors are values of the world; anything else is a bug and goes on up. */
function expected(error: unknown): undefined {
  if (error instanceof LumeoError) return undefined;
  throw error;
}
