// Masters under every fault that a drill can make, for a short while: `npm run bench -- chaos` does
// it for as long as one likes, with any seed.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { LumeoCommand, runChaos } from "../../src/index.js";
import { BIN, stateHash } from "./drill.js";

const SECONDS = 8;
const FAULTS_MIN = 4;
const SEED = 1;

test.serial(
  "masters that are harmed and changed under all kinds of callers lose nothing, and none crashes",
  async (t) => {
    const dir = mkdtempSync(join(tmpdir(), "lumeo-chaos-"));
    t.teardown(() => rmSync(dir, { recursive: true, force: true }));
    const lumeo = new LumeoCommand(BIN, { NO_COLOR: "1" });
    const run = async (args: readonly string[], endpoints: readonly string[]): Promise<void> => {
      const environment = { LUMEO_ENDPOINTS: endpoints.join(",") };
      const { status, stderr } = await lumeo.run(args, { environment });
      if (status !== 0) throw new Error(`lumeo ${args.join(" ")}: ${stderr}`);
    };
    const backups = join(dir, "backups");
    const report = await runChaos(
      { dir, seed: SEED, seconds: SECONDS, faultsMin: FAULTS_MIN },
      {
        backup: (endpoints) => run(["backup", "create", backups], endpoints),
        verifyBackups: () => run(["backup", "verify", backups], []),
        agreedState: async (endpoints) => {
          const states = new Set(await Promise.all(endpoints.map(stateHash)));
          const [state] = states;
          return states.size === 1 ? state : undefined;
        },
      },
    );
    t.log(report.faults.map(({ what }) => what).join(", "));
    t.deepEqual(report.wrong, []);
    t.true(FAULTS_MIN <= report.faults.length);
    t.true(50 < report.events, `${report.events} events`);
  },
);
