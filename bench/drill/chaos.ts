// npm run bench -- chaos [--seed 1] [--runs 1] [--seconds 60] [--dir DIR] [--keep] [--verbose]
//
// Masters as processes under every fault that a drill can make, with callers of all kinds, and an
// audit afterwards: see chaos.ts of local-cluster. Each run takes the next seed. A bad run keeps
// its folder with all logs if --keep is given.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type ChaosPorts, type ChaosReport, LumeoCommand, runChaos } from "@lumeofs/local-cluster";
import { askMaster } from "./probe.js";

const BIN = fileURLToPath(new URL("../../../packages/cli/bin/lumeo.mjs", import.meta.url));
const ASK = { timeoutMs: 5_000, stateHash: true };
const WRONG_SHOWN = 40;

/** Runs the drills. @returns The exit code: 1 if anything was not as it must be. */
export async function runChaosDrill(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string", default: "1" },
      runs: { type: "string", default: "1" },
      seconds: { type: "string", default: "60" },
      dir: { type: "string", default: tmpdir() },
      keep: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
    },
  });
  let bad = 0;
  for (let i = 0; i < Number(values.runs); i++) {
    const seed = Number(values.seed) + i;
    const dir = await mkdtemp(join(values.dir, "lumeo-chaos-"));
    const report = await runChaos({ dir, seed, seconds: Number(values.seconds) }, portsOf(dir));
    console.log(asText(report, values.verbose));
    const isBad = 0 < report.wrong.length;
    if (isBad) bad++;
    if (isBad && values.keep) console.log(`kept: ${dir}`);
    else await rm(dir, { recursive: true, force: true });
  }
  return bad === 0 ? 0 : 1;
}

function portsOf(dir: string): ChaosPorts {
  const lumeo = new LumeoCommand(BIN, { NO_COLOR: "1" });
  const folder = join(dir, "backups");
  const run = async (words: readonly string[], endpoints: readonly string[]): Promise<void> => {
    const environment = { LUMEO_ENDPOINTS: endpoints.join(",") };
    const { status, stderr } = await lumeo.run(words, { environment });
    if (status !== 0) throw new Error(`lumeo ${words.join(" ")} ended with ${status}: ${stderr}`);
  };
  return {
    backup: (endpoints) => run(["backup", "create", folder], endpoints),
    verifyBackups: () => run(["backup", "verify", folder], []),
    agreedState: async (endpoints) => {
      const views = await Promise.all(endpoints.map((address) => askMaster(address, ASK)));
      const states = new Set(views.map((view) => view?.state));
      return states.size === 1 ? views[0]?.state : undefined;
    },
  };
}

function asText(report: ChaosReport, isVerbose: boolean): string {
  const { seed, settings, ledger, faults, events, backups, agreedState, wrong } = report;
  const kinds = new Map<string, number>();
  for (const { what } of faults) {
    const kind = what.replaceAll(/ m\d+/g, "");
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const seconds = (ms: number | undefined): string => `${((ms ?? Infinity) / 1_000).toFixed(1)} s`;
  const calls = ledger.tallies.map(({ kind, ok, refused, failed, slowestMs }) => {
    const counts = `${ok} done, ${refused} rightly refused, ${failed} failed`;
    return `  ${kind.padEnd(20)} ${counts}, slowest ${seconds(slowestMs)}`;
  });
  const shownFaults = faults.map(({ what, beganMs, endedMs }) => {
    return `  ${seconds(beganMs)} to ${seconds(endedMs)}: ${what}`;
  });
  return [
    `chaos: seed ${seed}, ${seconds(ledger.elapsedMs)}`,
    `settings: ${Object.entries(settings)
      .map(([name, value]) => `${name.replace("LUMEO_MASTER_", "").toLowerCase()} ${value}`)
      .join(", ")}`,
    `faults: ${[...kinds].map(([kind, count]) => `${kind} ${count}`).join(", ")}`,
    ...(isVerbose ? shownFaults : []),
    ...calls,
    `longest time without a change: ${seconds(ledger.gaps[0]?.ms ?? 0)}`,
    `events of the feed: ${events}; backups: ${backups.made} made, ${backups.failed} failed`,
    `masters agree: ${agreedState ?? "no"}`,
    `wrong: ${wrong.length}`,
    ...wrong.slice(0, WRONG_SHOWN).map((line) => `  ${line}`),
    wrong.length === 0 ? "good" : "BAD",
  ].join("\n");
}
