// npm run bench -- soak [--minutes 3] [--seed 1] [--dir DIR] [--chunkservers 6]
//                       [--large-max BYTES] [--large-budget BYTES] [--ec 3+2]
//
// A cluster of real processes under work, faults and operators, then an audit of every acknowledged
// byte on every replica: see soak.ts of local-cluster. A bad run keeps its folder with all logs and
// the journal.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runSoak } from "@lumeofs/local-cluster";
import { askMaster } from "./probe.js";
import { ProcessWatch } from "./processes.js";
import { asText } from "./report.js";

const ASK = { timeoutMs: 10_000, stateHash: true };

/** Runs the soak. @returns The exit code: 1 if anything was not as it must be. */
export async function runSoakDrill(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "3" },
      seed: { type: "string", default: "1" },
      dir: { type: "string", default: tmpdir() },
      chunkservers: { type: "string", default: "6" },
      "large-max": { type: "string", default: String(160 * 2 ** 20) },
      "large-budget": { type: "string", default: String(4 * 2 ** 30) },
      ec: { type: "string" },
    },
  });
  const dir = await mkdtemp(join(values.dir, "lumeo-soak-"));
  let isGood = false;
  try {
    const seconds = Number(values.minutes) * 60;
    const options = {
      ...{ dir, seconds, seed: Number(values.seed), chunkservers: Number(values.chunkservers) },
      largeBytesMax: Number(values["large-max"]),
      largeBudgetBytes: Number(values["large-budget"]),
      code: values.ec,
    };
    let processes: ProcessWatch | undefined;
    const report = await runSoak(options, {
      agreedState: async (endpoints) => {
        const views = await Promise.all(endpoints.map((address) => askMaster(address, ASK)));
        const states = new Set(views.map((view) => view?.state));
        return states.size === 1 ? views[0]?.state : undefined;
      },
      watch: (cluster) => {
        processes = new ProcessWatch(() => cluster);
        return () => processes?.[Symbol.dispose]();
      },
      say: (text) => console.error(`soak: ${text}`),
    });
    isGood = report.wrong.length === 0;
    console.log(asText(report, { seconds, processes: processes?.lives ?? [] }));
    return isGood ? 0 : 1;
  } finally {
    // What went wrong can be found out only there.
    if (isGood) await rm(dir, { recursive: true, force: true });
    else console.log(`kept: ${dir}`);
  }
}
