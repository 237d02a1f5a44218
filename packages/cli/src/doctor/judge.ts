// What is wrong with a cluster, from what was seen of it, and what could not be seen.

import type { DoctorFinding } from "./finding.js";
import { judgeChunkservers } from "./judge-chunkservers.js";
import { judgeMasters } from "./judge-masters.js";
import { judgeProcesses } from "./judge-processes.js";
import type { Observation } from "./observation.js";

export interface Diagnosis {
  readonly findings: readonly DoctorFinding[];
  /** What could not be looked at, and why. */
  readonly unseen: readonly string[];
}

/** Pure: the same observation gives the same diagnosis. */
export function judge(seen: Observation): Diagnosis {
  const findings = [
    ...judgeMembers(seen),
    ...judgeMasters(seen),
    ...judgeChunkservers(seen),
    ...judgeProcesses(seen),
  ];
  return { findings, unseen: unseen(seen) };
}

function judgeMembers({ members = [], dir = "" }: Observation): readonly DoctorFinding[] {
  return members.flatMap(({ id, isRunning }) => {
    if (isRunning) return [];
    const mend = `lumeo dev revive --dir ${dir}`;
    return [
      { severity: "critical", check: "processes", subject: id, what: "it does not run", mend },
    ];
  });
}

function unseen({ status, masters, chunkservers }: Observation): readonly string[] {
  return [
    ...(status.kind === "failed" ? [`the chunkservers and their copies: ${status.why}`] : []),
    ...(status.kind === "answered" && status.value.leader === ""
      ? ["the chunkservers and their copies: nobody leads, who would know them"]
      : []),
    ...masters.flatMap(({ name, asked }) =>
      asked.kind === "failed" ? [`the machine of master ${name}`] : [],
    ),
    ...chunkservers.flatMap(({ status: { id }, control }) =>
      control.kind === "failed" ? [`the machine of chunkserver ${id}`] : [],
    ),
  ];
}
