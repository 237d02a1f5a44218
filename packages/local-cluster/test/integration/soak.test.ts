// A short soak: `npm run bench -- soak` does it for as long as one likes, with any seed.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { runSoak } from "../../src/index.js";
import { stateHash } from "./drill.js";

const SECONDS = 15;
const FAULTS_MIN = 4;
const SEED = 4;
const MIB = 2 ** 20;

async function soak(t: ExecutionContext, seed: number, code?: string): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "lumeo-soak-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const options = {
    ...{ dir, seed, code, seconds: SECONDS, faultsMin: FAULTS_MIN, chunkservers: 6 },
    largeBytesMax: 24 * MIB,
    largeBudgetBytes: 128 * MIB,
  };
  const report = await runSoak(options, {
    agreedState: async (endpoints) => {
      const states = new Set(await Promise.all(endpoints.map(stateHash)));
      const [state] = states;
      return states.size === 1 ? state : undefined;
    },
  });
  t.log(report.faults.map(({ kind, target }) => `${kind} ${target}`).join(", "));
  t.deepEqual(report.wrong, []);
  const { filesCompared, codedChunksCompared } = report.result;
  t.log(`${filesCompared} files and ${codedChunksCompared} coded chunks compared`);
  t.true(FAULTS_MIN <= report.faults.length);
  t.true(50 < filesCompared);
  t.is(10 < codedChunksCompared, code !== undefined);
}

test.serial("under kills, lost disks and operators no acknowledged byte is lost", async (t) => {
  await soak(t, SEED);
});

test.serial("nor of files that are coded, which are there without two servers", async (t) => {
  await soak(t, SEED, "3+2/64KiB");
});
