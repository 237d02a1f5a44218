// npm run bench -- migrate [--dir DIR] [--json]
//
// One master becomes three and five and fewer again while four writers write: prints what each
// change took, how many calls were made meanwhile, how many failed, and the longest wait.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect } from "@lumeofs/client";
import { LocalCluster, type MigrationStep, migrate } from "@lumeofs/local-cluster";

const COLUMNS = [12, 20, 8, 10, 8, 8, 12];
const HEADINGS = ["CHANGE", "VOTERS", "LEADER", "TOOK", "CALLS", "FAILED", "LONGEST CALL"];

/** Returns the exit code: 1 if a call failed or something was lost. */
export async function runMigration(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const folder = await mkdtemp(join(values.dir, "lumeo-migration-"));
  try {
    const options = { dir: join(folder, "cluster"), masters: 1, chunkservers: 1 };
    await using cluster = await LocalCluster.start({ ...options, portBase: "free" });
    await cluster.waitReady();
    await using client = await connect(cluster.endpoints.join(","));
    if (!values.json) console.log(line(HEADINGS));
    const result = await migrate(cluster, client, {
      nowMs: () => performance.now(),
      onStep: (step) => {
        if (!values.json) console.log(line(cellsOf(step)));
      },
    });
    const { calls, failures, lost } = result;
    if (values.json) console.log(JSON.stringify(result, undefined, 2));
    else console.log(`${calls} calls, ${failures.length} failed, ${lost.length} writes lost`);
    return failures.length + lost.length === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function cellsOf(step: MigrationStep): readonly string[] {
  const { change, masters, leader, changeMs, calls, failed, slowestMs } = step;
  return [
    ...[change, masters.join(" "), leader, `${(changeMs / 1000).toFixed(1)} s`],
    ...[String(calls), String(failed), `${slowestMs.toFixed(0)} ms`],
  ];
}

function line(cells: readonly string[]): string {
  return cells
    .map((cell, i) => cell.padEnd(COLUMNS[i] ?? 0))
    .join("")
    .trimEnd();
}
