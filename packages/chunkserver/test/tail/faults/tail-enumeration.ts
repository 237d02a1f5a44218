// Every fault at every call of the disk under growing chunks, one by one; and bits that flip in the
// log of tails.
//
// E1. After a loss of power every chunk is in a state not before the last one that was answered.
// E2. After a failed call everything is refused, and the next start is as after a loss of power.
// E3. What is shown after the process was killed is still there after a loss of power.
// E4. A flipped bit is harmless, or the chunk that it hit says so and does not testify; bytes that
//     are not what was written are never given out.

import { epoch, LumeoError } from "@lumeofs/base";
import type { DiskCall, DiskFault, DiskMoment } from "@lumeofs/testkit";
import { emptyTally, judge, type Limits, type Tally } from "../../faults/enumeration.js";
import { survivals } from "../../faults/survivals.js";
import { auditAfter, auditTails, isSame, recordsOf } from "./tail-audit.js";
import { bytesOf, TailLedger } from "./tail-ledger.js";
import { TailMachine, type TailParts, type TailProcess } from "./tail-machine.js";
import { runTailScript } from "./tail-script.js";

const CHANGING = new Set(["write", "sync", "truncate", "rename", "remove", "syncFolder", "open"]);
const WAYS: readonly DiskFault[] = ["EIO", "ENOSPC", "short"];

/** Tries a loss of power at each call of the script (E1). */
export async function enumerateTailCrashes(parts: TailParts, limits: Limits): Promise<Tally> {
  const tally = emptyTally();
  const points: { moment: DiskMoment; ledger: TailLedger; name: string }[] = [];
  const ledger = new TailLedger();
  let number = 0;
  const machine: TailMachine = new TailMachine(parts, {
    began: ({ kind, path }) => {
      number++;
      if (!CHANGING.has(kind) || number % limits.every !== (limits.offset ?? 0) % limits.every)
        return;
      const name = `power lost at call ${number} (${kind} ${path})`;
      points.push({ moment: machine.moment(), ledger: ledger.copy(), name });
    },
  });
  await runTailScript(await machine.boot(), ledger);
  for (const { moment, ledger: promised, name } of points) {
    tally.points++;
    for (const { name: what, keeps } of survivals(moment, limits.cutsMax)) {
      if (limits.untilFound === true && 0 < tally.faults.length) return tally;
      await judge(tally, `${name}, ${what}`, () => auditAfter(parts, { moment, keeps }, promised));
    }
  }
  return tally;
}

/** Ends the process at each call, and the power after the next start (E3). */
export async function enumerateTailKills(parts: TailParts, limits: Limits): Promise<Tally> {
  return atEachCall(parts, limits, async (at, tally) => {
    const { machine, ledger } = await killedAt(parts, at);
    await judge(tally, `killed at call ${at}`, async () => {
      const { faults, found } = await auditTails(await machine.boot(), ledger);
      const next = { moment: machine.moment(), keeps: () => false };
      return [...faults, ...(await auditAfter(parts, next, found))];
    });
  });
}

/** Lets each call of the script fail, in every way (E2). */
export async function enumerateTailErrors(parts: TailParts, limits: Limits): Promise<Tally> {
  return atEachCall(parts, limits, async (at, tally) => {
    for (const way of WAYS) {
      await judge(tally, `${way} at call ${at}`, () => failAt(parts, at, way));
    }
  });
}

/** Flips bits in the files of the log, evenly spread (E4). */
export async function enumerateTailFlips(
  parts: TailParts,
  limits: { readonly flipsMax: number },
): Promise<Tally & { readonly detected: number; readonly harmless: number }> {
  const tally = emptyTally();
  const ledger = new TailLedger();
  const machine = new TailMachine(parts);
  await runTailScript(await machine.boot(), ledger);
  const moment = machine.moment();
  let [detected, harmless] = [0, 0];
  const paths = machine.disk.paths().filter((path) => /^tails\/.*\.wal$/.test(path));
  const bits = paths.reduce((sum, path) => sum + 8 * machine.disk.length(path), 0);
  const step = Math.max(1, Math.ceil(bits / limits.flipsMax) | 1);
  for (const path of paths) {
    for (let bit = 0; bit < 8 * machine.disk.length(path); bit += step) {
      tally.points++;
      await judge(tally, `bit ${bit} of ${path}`, async () => {
        const flipped = new TailMachine(parts, {}, { moment, keeps: () => true });
        flipped.disk.flipBit(path, Math.floor(bit / 8), bit % 8);
        const { isSeen, faults } = await lookAtFlipped(await flipped.boot(), ledger);
        if (isSeen) detected++;
        else harmless++;
        return faults;
      });
    }
  }
  return { ...tally, detected, harmless };
}

async function lookAtFlipped(
  { tails, alarms }: TailProcess,
  ledger: TailLedger,
): Promise<{ readonly isSeen: boolean; readonly faults: readonly string[] }> {
  const faults: string[] = [];
  let isSeen = 0 < alarms.length;
  for (const handle of ledger.handles) {
    const expected = ledger.of(handle).states.at(-1);
    const replica = tails.find(handle);
    if (expected?.kind !== "replica") continue;
    if (replica === undefined) {
      faults.push(`chunk ${handle} is lost without a word`);
      continue;
    }
    for (const record of recordsOf(replica.state)) {
      const read = await replica.read(record).catch((error: unknown) => {
        if (error instanceof LumeoError && error.code === "CHECKSUM") return undefined;
        throw error;
      });
      if (read === undefined) break;
      if (Buffer.compare(read, bytesOf(record)) !== 0) faults.push(`chunk ${handle} reads wrong`);
    }
    if (!replica.isInDoubt && isSame(replica.state, expected.state)) continue;
    isSeen = true;
    const fence = { kind: "fence", epoch: epoch(50) } as const;
    const word = await tails.serve(handle, fence).then(
      ({ reply }) => reply.kind,
      () => "refused",
    );
    if (word !== "unknown" && word !== "refused") faults.push(`chunk ${handle} testifies: ${word}`);
  }
  return { isSeen, faults };
}

/** A machine whose process has ended at a call of the script. */
async function killedAt(
  parts: TailParts,
  at: number,
): Promise<{ readonly machine: TailMachine; readonly ledger: TailLedger }> {
  const ledger = new TailLedger();
  let promised = ledger;
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const began = ({ number }: DiskCall): void => {
    if (number !== at) return;
    promised = ledger.copy();
    machine.disk.kill();
    end();
  };
  const machine: TailMachine = new TailMachine(parts, { began });
  const living = machine.boot().then((process) => runTailScript(process, ledger));
  await Promise.race([living, ended]);
  return { machine, ledger: promised };
}

async function failAt(parts: TailParts, at: number, way: DiskFault): Promise<readonly string[]> {
  const ledger = new TailLedger();
  const faults: string[] = [];
  let process: TailProcess | undefined;
  const machine = new TailMachine(parts, {
    faultOf: ({ number }) => (number === at ? way : undefined),
  });
  try {
    process = await machine.boot();
    await runTailScript(process, ledger);
    faults.push("nobody is told");
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    if (process !== undefined && process.failures.length !== 1) {
      faults.push(`the end is told ${process.failures.length} times`);
    }
  }
  const next = { moment: machine.moment(), keeps: () => at % 2 === 0 };
  return [...faults, ...(await auditAfter(parts, next, ledger))];
}

/** Tries something at each call that the script makes when nothing goes wrong. */
async function atEachCall(
  parts: TailParts,
  limits: Limits,
  attempt: (at: number, tally: Tally) => Promise<void>,
): Promise<Tally> {
  const tally = emptyTally();
  const clean = new TailMachine(parts);
  await runTailScript(await clean.boot(), new TailLedger());
  for (let at = 1 + (limits.offset ?? 0); at <= clean.calls; at += limits.every) {
    if (limits.untilFound === true && 0 < tally.faults.length) break;
    tally.points++;
    await attempt(at, tally);
  }
  return tally;
}
