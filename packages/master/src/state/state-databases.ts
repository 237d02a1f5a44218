import type { Closable } from "@lumeofs/base";
import type { LevelDatabase } from "../consensus/level-database.js";

/** The database that holds the state, and the way to replace it by another as a whole. */
export interface StateDatabases extends Closable {
  /** The one in use. */
  readonly current: LevelDatabase;
  /** Makes an empty one beside it. At most one at a time. */
  prepare(): Promise<PreparedDatabase>;
}

/** A database being filled. Ends with `activate` or `discard`. */
export interface PreparedDatabase {
  readonly database: LevelDatabase;
  /**
   * Makes it the current one, durably and atomically; closes and removes the old one. `switched` is
   * called in the turn in which `current` changes: no reader sees half of one and half of the
   * other.
   */
  activate(switched: () => void): Promise<void>;
  discard(): Promise<void>;
}
