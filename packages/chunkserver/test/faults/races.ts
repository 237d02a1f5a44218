// Chunks are replaced and removed at every moment of a round of housekeeping that moves their
// records.

import { audit, auditMachine } from "./audit.js";
import { emptyTally, judge, type Limits, type Tally } from "./enumeration.js";
import { Ledger } from "./ledger.js";
import { StoreUser } from "./script.js";
import { type MachineMoment, StoreMachine, type StoreParts } from "./store-machine.js";

/** More turns than a round takes in these tests. */
const DELAYS_MAX = 240;
const HANDLES = Array.from({ length: 50 }, (_, i) => 2 * i + 2);

interface Due {
  readonly moment: MachineMoment;
  readonly ledger: Ledger;
}

/** Tries changes that begin so many turns after a round, for each number of turns. */
export async function enumerateRaces(parts: StoreParts, limits: Limits): Promise<Tally> {
  const tally = emptyTally();
  const due = await compactionDue(parts);
  for (let delay = limits.offset ?? 0; delay < DELAYS_MAX; delay += limits.every) {
    tally.points++;
    await judge(tally, `changes ${delay} turns after a round has begun`, () => {
      return race(parts, due, delay);
    });
  }
  return tally;
}

/** A store at rest in which one in five small chunks has survived, in every segment. */
async function compactionDue(parts: StoreParts): Promise<Due> {
  const machine = StoreMachine.blank({ parts });
  const process = await machine.boot();
  const ledger = new Ledger();
  ledger.opened(process.volume.uuid);
  const user = new StoreUser(process, ledger);
  for (const handle of HANDLES) await user.small(handle, 4_000);
  for (const handle of HANDLES) if (handle % 10 !== 0) await user.remove(handle);
  await process.store.close();
  return { moment: machine.moment(), ledger };
}

async function race(parts: StoreParts, due: Due, delay: number): Promise<readonly string[]> {
  const origin = { moment: due.moment, keeps: () => true, index: "kept" } as const;
  const machine = StoreMachine.after({ parts }, origin);
  const process = await machine.boot();
  const ledger = due.ledger.copy();
  const user = new StoreUser(process, ledger);
  process.timers.ring();
  for (let turn = 0; turn < delay; turn++) await Promise.resolve();
  await user.all([
    user.replace(10, 3_000),
    user.remove(20),
    user.read(30),
    user.replace(40, 2_000),
  ]);
  await user.flush();
  const faults = await audit(process, ledger);
  const next = { moment: machine.moment(), keeps: () => false, index: "lost" } as const;
  return [...faults, ...(await auditMachine(parts, next, ledger))];
}
