import { type Closable, LumeoError } from "@lumeofs/base";
import type { LevelPair, LevelSnapshot } from "../consensus/level-database.js";
import type { StateReader } from "../metadata/state.js";
import type { StateStore } from "./state-store.js";

/** The state as it was at one place in the log, whatever happens meanwhile. Closing frees it. */
export interface FrozenState extends StateReader, Closable {
  readonly index: number;
}

/** A state that can be read for long without standing still. */
export interface FreezableState extends StateStore {
  /** Settles with the failure of S3 (state-store.ts), wherever it was met: reading, too. */
  readonly failed: Promise<LumeoError>;
  /** The state at `durable` as it is now. */
  freeze(): Promise<FrozenState>;
}

/**
 * A snapshot of the database as a frozen state.
 *
 * @throws UNAVAILABLE when it is read although the state has been replaced as a whole.
 */
export function frozenState(index: number, snapshot: LevelSnapshot): FrozenState {
  return {
    index,
    get(key) {
      try {
        return snapshot.get(key);
      } catch (cause) {
        throw replaced(cause);
      }
    },
    async range(from, to, countMax) {
      try {
        return await pairsOf(snapshot, { from, to }, countMax);
      } catch (cause) {
        throw replaced(cause);
      }
    },
    close: () => snapshot.close(),
  };
}

async function pairsOf(
  snapshot: LevelSnapshot,
  range: { readonly from: Uint8Array; readonly to: Uint8Array },
  countMax: number,
): Promise<readonly LevelPair[]> {
  const scan = snapshot.scan(range);
  try {
    const pairs: LevelPair[] = [];
    while (pairs.length < countMax) {
      const page = await scan.next(countMax - pairs.length);
      if (page.length === 0) break;
      pairs.push(...page);
    }
    return pairs;
  } finally {
    await scan.close();
  }
}

function replaced(cause: unknown): LumeoError {
  const message = "Cannot go on reading the state: it was replaced; begin again";
  return new LumeoError("UNAVAILABLE", message, { cause });
}
