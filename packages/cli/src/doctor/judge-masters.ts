// Whether the masters can work: reached, of one mind about who leads, none far behind.

import type { ClusterStatus } from "@lumeofs/client";
import { formatCount } from "../format.js";
import { type DoctorFinding, ok } from "./finding.js";
import type { Observation, SeenMaster } from "./observation.js";

/** Entries that a master may be behind the leader while writes go on. */
const BEHIND_MAX = 50_000;

export function judgeMasters(seen: Observation): readonly DoctorFinding[] {
  return [...reached(seen), ...leader(seen), ...term(seen), ...behind(seen), ...group(seen)];
}

function reached({ masters }: Observation): readonly DoctorFinding[] {
  const silent = masters.filter(({ asked }) => asked.kind === "failed");
  if (silent.length === 0) return [ok("masters", `all ${masters.length} masters answer`)];
  // Without a majority of those that vote nothing is written.
  const isLost = masters.length <= 2 * silent.length;
  return silent.map((master) => ({
    severity: isLost ? "critical" : "warning",
    check: "masters",
    subject: master.name,
    what: `the master at ${master.address} does not answer: ${whyOf(master)}`,
    mend:
      "start it again and look into its log; if its folder is lost: lumeo master remove " +
      `${master.name}, then lumeo master add under a new name`,
  }));
}

function whyOf({ asked }: SeenMaster): string {
  return asked.kind === "failed" ? asked.why : "";
}

function leader(seen: Observation): readonly DoctorFinding[] {
  const said = new Map<string, string[]>();
  for (const { name, asked } of seen.masters) {
    if (asked.kind !== "answered" || !isMember(asked.value.standing)) continue;
    said.set(asked.value.leader, [...(said.get(asked.value.leader) ?? []), name]);
  }
  const names = [...said.keys()].filter((name) => name !== "");
  const [first] = names;
  if (first === undefined) {
    if (said.size === 0) return [];
    return [
      {
        severity: "critical",
        check: "leader",
        subject: "",
        what: "nobody leads: nothing can be written, and only stale reads are served",
        mend: "bring back enough masters for a majority; then wait a few seconds",
      },
    ];
  }
  const doubters = said.get("") ?? [];
  if (1 < names.length || 0 < doubters.length) {
    const views = [...said].map(([name, by]) => `${by.join(", ")}: ${name || "nobody"}`);
    return [
      {
        severity: "warning",
        check: "leader",
        subject: "",
        what: `masters are not of one mind about who leads (${views.join("; ")})`,
        mend: "ask again in some seconds; if it stays, look at the network between the masters",
      },
    ];
  }
  return [ok("leader", `${first} leads`)];
}

function isMember(standing: string): boolean {
  return standing === "voter" || standing === "leaving" || standing === "learner";
}

function term({ status, later }: Observation): readonly DoctorFinding[] {
  if (status.kind === "failed" || later.kind === "failed" || status.value.leader === "") return [];
  const [before, after] = [status.value.term, later.value.term];
  if (before === after) return [ok("term", `term ${after} stays`)];
  return [
    {
      severity: "warning",
      check: "term",
      subject: "",
      what: `the term went from ${before} to ${after} within seconds: leaders do not stay`,
      mend: "look for slow disks below, busy machines, and a master that comes and goes",
    },
  ];
}

function behind({ status }: Observation): readonly DoctorFinding[] {
  if (status.kind === "failed") return [];
  const { masters } = status.value;
  const last = Math.max(0, ...masters.map((one) => one.lastApplied));
  return masters.flatMap(({ id, role, lastApplied }) => {
    const missing = last - lastApplied;
    if (role === "unreachable" || missing <= BEHIND_MAX) return [];
    return [
      {
        severity: "warning",
        check: "masters",
        subject: id,
        what: `it is ${formatCount(missing)} entries of the log behind`,
        mend: `lumeo master ls shows whether it catches up; if not, look at its disk and its log`,
      },
    ];
  });
}

function group({ status }: Observation): readonly DoctorFinding[] {
  if (status.kind === "failed") return [];
  const voters = status.value.masters.filter(({ standing }) => standing === "voter");
  const add = "lumeo master add m4=host:port";
  if (voters.length === 1) {
    const what = "one master alone: when it is away, so is everything";
    return [{ severity: "warning", check: "group", subject: "", what, mend: add }];
  }
  if (voters.length % 2 === 0 && 0 < voters.length) {
    const what = `${voters.length} masters vote: as few may be away as with ${voters.length - 1}`;
    return [{ severity: "notice", check: "group", subject: "", what, mend: add }];
  }
  return learners(status.value);
}

function learners({ masters }: ClusterStatus): readonly DoctorFinding[] {
  return masters.flatMap(({ id, standing }) => {
    if (standing !== "learner" && standing !== "leaving") return [];
    const what = standing === "learner" ? "it gets the log, and does not vote" : "it is leaving";
    const mend = standing === "learner" ? `lumeo master promote ${id}` : "";
    return [{ severity: "notice", check: "group", subject: id, what, mend }];
  });
}
