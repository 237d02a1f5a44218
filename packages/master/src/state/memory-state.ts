import type { Timers } from "@lumeofs/base";
import type { Durability } from "../consensus/memory-log-store.js";
import { MemoryDatabases, type MemoryStateDisk } from "./memory-databases.js";
import type { StateStore } from "./state-store.js";
import { type WriteBehindLimits, WriteBehindState } from "./write-behind-state.js";

/**
 * The state of one member in memory, with the same write-behind as on LevelDB: what was not flushed
 * is lost when the store is given up without closing it and opened again from the same disk.
 */
export function openMemoryState(
  disk: MemoryStateDisk,
  timers: Timers,
  options: { readonly durability?: Durability; readonly limits?: WriteBehindLimits } = {},
): Promise<StateStore> {
  return WriteBehindState.open(
    new MemoryDatabases(disk, options.durability),
    timers,
    options.limits,
  );
}
