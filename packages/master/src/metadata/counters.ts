// Numbers that must be unique are counted here and nowhere else, and so is the time: the state's
// clock follows the leaders' clocks but never goes back.

import { ByteReader, ByteSlab, ByteWriter, invariant, type WallMs, wallMs } from "@lumeofs/base";
import { type CounterName, counterKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** Things that come and go, and are counted. */
export type CountName = "snapshots" | "locks" | "tails" | "inlineChunks" | "inlineBytes";

const scratch = new ByteWriter(8);
/** Every create counts: a view of bytes of its own costs more than all else here. */
const slab = new ByteSlab();

/** A number never given before. Inodes begin behind the root, the others at 1. */
export function takeNumber(
  state: State,
  name: Exclude<CounterName, CountName | "clock" | "checked">,
): number {
  const last = read(state, name) ?? (name === "inode" ? 1 : 0);
  write(state, name, last + 1);
  return last + 1;
}

/** Adds to a number of things that come and go; how many there are now. */
export function addToCount(state: State, name: CountName, change: number): number {
  const count = getCount(state, name) + change;
  invariant(0 <= count, "a count is not negative", { name, count });
  write(state, name, count);
  return count;
}

export function getCount(view: StateView, name: CountName): number {
  return read(view, name) ?? 0;
}

/** The last number that was given; 0 before the first. */
export function lastNumber(view: StateView, name: "grant"): number {
  return read(view, name) ?? 0;
}

/** Moves the state's clock to the leader's, unless that would be back. */
export function advanceClock(state: State, at: WallMs): WallMs {
  const before = stateClock(state);
  if (at <= before) return before; // so within a millisecond: one write for all commands
  write(state, "clock", at);
  return at;
}

/** The newest time that a command has brought; 0 before the first. */
export function stateClock(view: StateView): WallMs {
  return wallMs(read(view, "clock") ?? 0);
}

/** The states of all masters are compared now; the next leader is to know. */
export function noteCheck(state: State, at: WallMs): void {
  write(state, "checked", at);
}

/** When they were compared last; 0 before the first time. */
export function lastCheckAt(view: StateView): WallMs {
  return wallMs(read(view, "checked") ?? 0);
}

export function decodeCounter(bytes: Uint8Array): number {
  return new ByteReader(bytes).u53();
}

function read(view: StateView, name: CounterName): number | undefined {
  const bytes = view.get(counterKey(name));
  return bytes === undefined ? undefined : decodeCounter(bytes);
}

function write(state: State, name: CounterName, value: number): void {
  state.put(counterKey(name), scratch.clear().u53(value).copyTo(slab));
}
