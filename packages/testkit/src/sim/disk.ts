// A Disk that keeps the promises of the port and no others, as a machine does that loses power.
//
// There are two states: what the running process sees, and what is durable. A write changes the
// first at once; `sync` carries the finished writes of one file to the second, `syncFolder` the
// changed names of one folder. `crash` throws away the first state, after chance has carried over
// some of what was not synced: whole writes or single sectors of them, in any order, and names.
//
// D1. What a finished `sync` or `syncFolder` covers is there after every crash.
// D2. Anything else may be there after a crash, in part, or not at all.
// D3. After a failed sync its writes count as written but never become durable: a later sync that
//     succeeds does not bring them back (as on Linux, where the page cache drops its dirty marks).
// D4. After `crash` or `kill`, calls of the old users never end and change nothing.
// D5. `moment` is what a crash now could leave, to be made into other disks; it disturbs nobody. So
//     one run serves to try every crash at every call: `began` says when there is a new one to try.

import { type Disk, type File, LumeoError, type Random, type Timers } from "@lumeofs/base";
import { FileBytes, FileTree, folderOf, normalized } from "../file-tree.js";
import {
  type Change,
  type Frozen,
  freeze,
  type Sector,
  SimNode,
  settled,
  writing,
} from "./disk-node.js";

const TOTAL_BYTES_DEFAULT = 2 ** 40;

/** What a call does: for faults that are aimed at one kind of call. */
export type DiskCallKind =
  | "open"
  | "read"
  | "write"
  | "sync"
  | "truncate"
  | "list"
  | "rename"
  | "remove"
  | "syncFolder"
  | "makeFolder";

export interface DiskCall {
  /** From 1 on, since the disk was made. */
  readonly number: number;
  readonly kind: DiskCallKind;
  readonly path: string;
}

/**
 * What befalls a call. `crash` and the errors of a write leave a part of it behind; `short` leaves
 * all of it but the last byte, then fails, and fails like EIO where nothing is written.
 */
export type DiskFault = "EIO" | "ENOSPC" | "short" | "crash";

/** What of the unsynced writes a crash keeps. */
export type CrashLoss = "all" | "none" | "some";

/** One of the changes that a crash may keep or lose: a name, or a sector of a write. */
export interface UnsyncedPiece {
  readonly kind: "name" | "sector";
  /** Among those of its kind, in the order in which they were asked for. */
  readonly index: number;
  /** How many there are of its kind. */
  readonly count: number;
}

/** One moment of a disk, with all that a loss of power could leave of it. */
export interface DiskMoment {
  /** Changes of names that are not durable. */
  readonly names: number;
  /** Sectors that are not, if all names survive. */
  readonly sectors: number;
  /** The disk that the next user finds if just these are kept. */
  aftermath(keeps: (piece: UnsyncedPiece) => boolean, options: SimDiskOptions): SimDisk;
}

export interface SimDiskOptions {
  readonly random: Random;
  /** Makes calls take time; without it they end as soon as promises can. */
  readonly timers?: Timers;
  readonly latencyMs?: { readonly min: number; readonly mean: number };
  readonly totalBytes?: number;
  /** Asked at each call. */
  readonly faultOf?: (call: DiskCall) => DiskFault | undefined;
  /** Told of each call when its bytes are on their way and nothing of it is durable (D5). */
  readonly began?: (call: DiskCall) => void;
  /** Told when `faultOf` said "crash": whoever runs the process ends it and calls `crash`. */
  readonly crashed?: () => void;
}

interface NameChange {
  /** Syncing any of these makes it durable. */
  readonly folders: readonly string[];
  readonly apply: (tree: FileTree<SimNode>) => void;
}

/** What one user of the disk asks for, as the machine carries it out. */
interface CallPlan<T> {
  readonly kind: DiskCallKind;
  readonly path: string;
  /** What happens even if the call then fails or the power goes, in part. */
  readonly begin?: (fault: DiskFault | undefined) => void;
  readonly end: () => T;
}

/** The machine's disk. Processes use what `mount` gives them. */
export class SimDisk {
  #visible = new FileTree<SimNode>();
  #durable = new FileTree<SimNode>();
  #nameChanges: NameChange[] = [];
  #calls = 0;
  #changes = 0;
  #generation = 0;
  #stalledUntil: Promise<void> = Promise.resolve();
  readonly #options: SimDiskOptions;

  constructor(options: SimDiskOptions) {
    this.#options = options;
  }

  /** Calls so far, by all users: the crash points of a run. */
  get calls(): number {
    return this.#calls;
  }

  /** Rises whenever that changes which a crash could leave (D5). */
  get changes(): number {
    return this.#changes;
  }

  /** The disk as the next process sees it, until `crash`. */
  mount(): Disk {
    return new MountedDisk(this.#machine(this.#generation));
  }

  /** The power fails. What the next user finds is decided here. */
  crash(loss: CrashLoss): void {
    this.#generation++;
    const { random } = this.#options;
    const share = loss === "none" ? 1 : loss === "all" ? 0 : random.fraction();
    const survives = (): boolean => random.fraction() < share;
    for (const change of this.#nameChanges) if (survives()) change.apply(this.#durable);
    this.#nameChanges = [];
    this.#durable = this.#durable.reachable((node) => settled(node, survives));
    this.#visible = this.#durable.reachable((node) => node);
    this.#stalledUntil = Promise.resolve();
  }

  /** The process ends, the machine does not: the kernel keeps what it was given, unsynced. */
  kill(): void {
    this.#generation++;
    for (const path of this.#visible.paths()) {
      for (const change of this.#visible.get(path).pending) change.isFinished = true;
    }
  }

  /** An empty disk takes its place: calls of the old users never end and change nothing. */
  replace(): void {
    this.#generation++;
    this.#changes++;
    this.#nameChanges = [];
    this.#durable = new FileTree<SimNode>();
    this.#visible = new FileTree<SimNode>();
  }

  /** What a loss of power now could leave (D5). */
  moment(): DiskMoment {
    const durable = this.#durable.reachable((node) => node);
    const names = [...this.#nameChanges];
    const frozen = new Map<SimNode, Frozen>();
    const reached = durable.reachable((node) => node);
    for (const change of [() => {}, ...names.map(({ apply }) => apply)]) {
      change(reached);
      for (const path of reached.paths()) freeze(reached.get(path), frozen);
    }
    const sectorsOf = (tree: FileTree<SimNode>): readonly Sector[] => {
      const pending = tree.paths().flatMap((path) => freeze(tree.get(path), frozen).pending);
      return pending.sort((a, b) => a.order - b.order).flatMap((change) => change.sectors);
    };
    return {
      names: names.length,
      sectors: sectorsOf(reached).length,
      aftermath: (keeps, options) => {
        const tree = durable.reachable((node) => node);
        for (const [index, change] of names.entries()) {
          if (keeps({ kind: "name", index, count: names.length })) change.apply(tree);
        }
        const all = sectorsOf(tree);
        const isKept = (_: Sector, index: number): boolean =>
          keeps({ kind: "sector", index, count: all.length });
        const kept = new Set(all.filter(isKept));
        const disk = new SimDisk(options);
        disk.#durable = tree.reachable((node) => {
          return settled(freeze(node, frozen), (sector) => kept.has(sector));
        });
        disk.#visible = disk.#durable.reachable((node) => node);
        return disk;
      },
    };
  }

  /** Damages a file where it lies: one bit, for the running process and after every crash. */
  flipBit(path: string, position: number, bit: number): void {
    const node = this.#visible.get(path);
    node.visible.flipBit(position, bit);
    if (position < node.durable.length) node.durable.flipBit(position, bit);
  }

  /** Every call from now on waits for this first. */
  stall(until: Promise<void>): void {
    this.#stalledUntil = until;
  }

  /** Names of all files, as the running process sees them. */
  paths(): readonly string[] {
    return this.#visible.paths();
  }

  /** Bytes of a file, as the running process sees it. */
  length(path: string): number {
    return this.#visible.get(path).visible.length;
  }

  #usedBytes(): number {
    return this.paths().reduce((sum, path) => sum + this.length(path), 0);
  }

  #machine(generation: number): Machine {
    const { random, totalBytes = TOTAL_BYTES_DEFAULT } = this.#options;
    return {
      random,
      tree: this.#visible,
      call: (plan) => this.#call(generation, plan),
      nextOrder: () => ++this.#changes,
      changeName: (change) => {
        this.#changes++;
        change.apply(this.#visible);
        this.#nameChanges.push(change);
      },
      syncedNames: (folder) => {
        const covered = new Set(this.#nameChanges.filter((c) => c.folders.includes(folder)));
        return () => {
          this.#changes++;
          for (const change of covered) change.apply(this.#durable);
          this.#nameChanges = this.#nameChanges.filter((change) => !covered.has(change));
        };
      },
      space: () => ({ totalBytes, freeBytes: Math.max(0, totalBytes - this.#usedBytes()) }),
    };
  }

  /** One call: takes a number, meets its fault, takes its time. */
  async #call<T>(generation: number, plan: CallPlan<T>): Promise<T> {
    if (generation !== this.#generation) return forever();
    const { kind, path } = plan;
    const number = ++this.#calls;
    const fault = this.#options.faultOf?.({ number, kind, path });
    plan.begin?.(fault);
    this.#options.began?.({ number, kind, path });
    if (fault === "crash") {
      this.#options.crashed?.();
      return forever();
    }
    await this.#stalledUntil;
    await this.#delay();
    if (generation !== this.#generation) return forever();
    if (fault === "EIO" || fault === "short") {
      throw new LumeoError("STORE_FAILED", `Cannot ${kind} "${path}": input/output error (EIO)`);
    }
    if (fault === "ENOSPC") {
      throw new LumeoError("NO_SPACE", `Cannot ${kind} "${path}": no space is left (ENOSPC)`);
    }
    return plan.end();
  }

  #delay(): Promise<void> {
    const { timers, latencyMs, random } = this.#options;
    if (timers === undefined || latencyMs === undefined) return Promise.resolve();
    const ms = latencyMs.min - Math.log(1 - random.fraction()) * latencyMs.mean;
    return new Promise((resolve) => timers.after(ms, resolve));
  }
}

/** What a mounted disk may do to the machine. */
interface Machine {
  readonly random: Random;
  readonly tree: FileTree<SimNode>;
  call<T>(plan: CallPlan<T>): Promise<T>;
  nextOrder(): number;
  changeName(change: NameChange): void;
  /** Gives what makes durable the names changed in this folder so far. */
  syncedNames(folder: string): () => void;
  space(): { readonly totalBytes: number; readonly freeBytes: number };
}

class MountedDisk implements Disk {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  open(path: string, options: { readonly create: boolean }): Promise<File> {
    const { tree } = this.#machine;
    const end = (): File => {
      if (options.create && tree.find(path) === undefined) {
        tree.mustHoldNameOf(path);
        const node = new SimNode(new FileBytes());
        this.#change([folderOf(path)], (into) => into.set(path, node));
      }
      return new SimFile(path, tree.get(path), this.#machine);
    };
    return this.#machine.call({ kind: "open", path, end });
  }

  list(folder: string): Promise<readonly string[]> {
    const end = (): readonly string[] => this.#machine.tree.list(normalized(folder));
    return this.#machine.call({ kind: "list", path: folder, end });
  }

  exists(path: string): Promise<boolean> {
    const { tree } = this.#machine;
    const end = (): boolean => tree.find(path) !== undefined || tree.hasFolder(normalized(path));
    return this.#machine.call({ kind: "list", path, end });
  }

  makeFolder(path: string): Promise<void> {
    const end = (): void => {
      for (const folder of this.#machine.tree.missingFolders(normalized(path))) {
        this.#change([folderOf(folder)], (into) => into.addFolder(folder));
      }
    };
    return this.#machine.call({ kind: "makeFolder", path, end });
  }

  rename(from: string, to: string): Promise<void> {
    const { tree } = this.#machine;
    const end = (): void => {
      const node = tree.get(from);
      tree.mustHoldNameOf(to);
      this.#change([folderOf(from), folderOf(to)], (into) => {
        if (from !== to) into.unset(from);
        into.set(to, node);
      });
    };
    return this.#machine.call({ kind: "rename", path: from, end });
  }

  remove(path: string): Promise<void> {
    const end = (): void => {
      this.#machine.tree.get(path);
      this.#change([folderOf(path)], (into) => into.unset(path));
    };
    return this.#machine.call({ kind: "remove", path, end });
  }

  syncFolder(path: string): Promise<void> {
    const end = this.#machine.syncedNames(normalized(path));
    return this.#machine.call({ kind: "syncFolder", path, end });
  }

  async space(): Promise<{ readonly totalBytes: number; readonly freeBytes: number }> {
    return this.#machine.space();
  }

  #change(folders: readonly string[], apply: NameChange["apply"]): void {
    this.#machine.changeName({ folders, apply });
  }
}

class SimFile implements File {
  #isOpen = true;
  readonly #path: string;
  readonly #node: SimNode;
  readonly #machine: Machine;

  constructor(path: string, node: SimNode, machine: Machine) {
    this.#path = path;
    this.#node = node;
    this.#machine = machine;
  }

  readAt(into: Uint8Array, position: number): Promise<number> {
    return this.#call("read", () => this.#node.visible.readAt(into, position));
  }

  writeAt(parts: readonly Uint8Array[], position: number): Promise<void> {
    const bytes = joined(parts);
    const growth = position + bytes.byteLength - this.#node.visible.length;
    const isFull = 0 < growth && this.#machine.space().freeBytes < growth;
    let change: Change | undefined;
    const begin = (fault: DiskFault | undefined): void => {
      const isCutShort = fault !== undefined || isFull;
      const share = isCutShort ? this.#machine.random.fraction() : 1;
      const isShort = fault === "short";
      const length = isShort ? bytes.byteLength - 1 : Math.floor(share * bytes.byteLength);
      change = this.#change(writing(bytes.subarray(0, Math.max(0, length)), position));
    };
    const end = (): void => {
      if (isFull) throw new LumeoError("NO_SPACE", `Cannot write "${this.#path}": disk is full`);
      if (change !== undefined) change.isFinished = true;
    };
    return this.#call("write", end, begin);
  }

  /** Two calls, so that the power can fail between them: all that the kernel may leave. */
  async writeDurably(parts: readonly Uint8Array[], position: number): Promise<void> {
    await this.writeAt(parts, position);
    await this.sync();
  }

  sync(): Promise<void> {
    const node = this.#node;
    const covered = new Set(node.pending.filter((change) => change.isFinished));
    const forget = (): void => {
      this.#machine.nextOrder();
      node.pending = node.pending.filter((change) => !covered.has(change));
    };
    const end = (): void => {
      for (const change of node.pending) if (covered.has(change)) change.apply(node.durable);
      forget();
    };
    // D3: a failed sync has forgotten what it should have written.
    return this.#call("sync", end, (fault) => {
      if (fault !== undefined && fault !== "crash") forget();
    });
  }

  truncate(length: number): Promise<void> {
    const apply = (bytes: FileBytes): void => bytes.truncate(length);
    const end = (): void => {
      this.#change({ apply, sectors: [(into) => apply(into)], isFinished: true });
    };
    return this.#call("truncate", end);
  }

  size(): Promise<number> {
    return this.#call("read", () => this.#node.visible.length);
  }

  async close(): Promise<void> {
    this.#isOpen = false;
  }

  #change(described: Omit<Change, "order">): Change {
    const change = Object.assign(described, { order: this.#machine.nextOrder() });
    change.apply(this.#node.visible);
    this.#node.pending.push(change);
    return change;
  }

  async #call<T>(
    kind: DiskCallKind,
    end: () => T,
    begin?: (fault: DiskFault | undefined) => void,
  ): Promise<T> {
    if (!this.#isOpen) throw new LumeoError("CLOSED", `Cannot use "${this.#path}": it is closed`);
    return this.#machine.call({ kind, path: this.#path, end, ...(begin && { begin }) });
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

function forever(): Promise<never> {
  return new Promise(() => {});
}
