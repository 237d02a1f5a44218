// A soak: a cluster of real processes under writers, readers, faults and operators for as long as
// one likes; then everything heals, and an audit looks for every acknowledged byte. What must be:
//
// S1. No call fails for its caller: never more is lost at once than the promise allows.
// S2. No answer is impossible, and nothing hangs.
// S3. When the faults have ended the cluster gets whole by itself, and says so.
// S4. After a restart of everything, the audit finds every acknowledged byte on every replica, and
//     nothing that was removed.                                           (journal.ts, audit.ts)
// S5. No process ended by itself, crashed, or raised an alarm, and all masters have one state.
// S6. Of files that are kept as units of a code, everything is there without two of the servers.
//
// The seed fixes what callers and faults choose; the moments at which processes meet differ from
// run to run.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { JobInfo } from "@lumeofs/client";
import { Lumeo } from "@lumeofs/client";
import { LocalCluster, type MemberLoss } from "../../local-cluster.js";
import { waitUntil } from "../../wait-until.js";
import { MemberLogs } from "../chaos/member-logs.js";
import type { Ledger } from "../ledger.js";
import type { Stretch } from "../long-enough.js";
import { type AuditResult, audit, type Finding } from "./audit.js";
import { ClusterView } from "./cluster-view.js";
import { Expectations } from "./expectations.js";
import type { Fault } from "./faults.js";
import { FileJournal, parseJournal } from "./journal.js";
import { play } from "./play.js";
import { Watchtower } from "./watchtower.js";

export interface SoakOptions extends Stretch {
  /** Made if missing; holds everything. */
  readonly dir: string;
  readonly seed: number;
  readonly chunkservers: number;
  /** Largest file, bytes. */
  readonly largeBytesMax: number;
  /** What writers of large files store in all, bytes. */
  readonly largeBudgetBytes: number;
  /** Some folders are kept as this code, which outlives two servers: see keepCoded. */
  readonly code?: string | undefined;
}

/** What the soak cannot do by itself. */
export interface SoakPorts {
  /** The state that all these masters have; undefined while they do not agree. */
  readonly agreedState: (endpoints: readonly string[]) => Promise<string | undefined>;
  /** Is told of the cluster when it has started, and called again when the work is over. */
  readonly watch?: (cluster: LocalCluster) => () => void;
  /** For people, as it goes on. */
  readonly say?: (text: string) => void;
}

export interface SoakReport {
  readonly seed: number;
  readonly ledger: Ledger;
  readonly faults: readonly Fault[];
  readonly jobs: readonly JobInfo[];
  readonly acknowledged: number;
  readonly acknowledgedBytes: number;
  /** From the end of the faults until the cluster said that it is whole; undefined if never. */
  readonly wholeAfterMs: number | undefined;
  readonly result: AuditResult;
  readonly agreedState: string | undefined;
  /** Everything that is not as it must be, one line each. */
  readonly wrong: readonly string[];
}

const MASTERS = 3;
const WHOLE_MS_MAX = 300_000;
/** The cluster must stay whole for so long: every server has been called to the roll by then. */
const STEADY_MS = 15_000;
const AGREEMENT_MS_MAX = 60_000;
const REPAIR_AFTER_MS = 10_000;
/** Who is away when files are read without some of their units. */
const ABSENT = ["cs1", "cs2"];

/** So that what takes minutes in a quiet life happens many times in a short one. */
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "500",
  LUMEO_MASTER_SUSPECT_MS: "2000",
  LUMEO_MASTER_DEAD_MS: "5000",
  LUMEO_MASTER_STEADY_MS: "3000",
  LUMEO_MASTER_REPAIR_AFTER_MS: String(REPAIR_AFTER_MS),
  LUMEO_MASTER_RELEASED_GRACE_MS: "20000",
  LUMEO_MASTER_GRANT_USABLE_MS: "60000",
  LUMEO_MASTER_GRANT_MS: "120000",
  LUMEO_MASTER_SWEEP_MS: "1000",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "1000",
  LUMEO_CHUNKSERVER_TAIL_IDLE_MS: "3000",
};

/** Runs the soak in a fresh folder. */
export async function runSoak(options: SoakOptions, ports: SoakPorts): Promise<SoakReport> {
  const { dir, seed, chunkservers } = options;
  const { say = () => undefined } = ports;
  const losses: MemberLoss[] = [];
  const place = {
    dir: join(dir, "cluster"),
    environment: ENVIRONMENT,
    onMemberLost: (loss: MemberLoss) => losses.push(loss),
  };
  const shape = { masters: MASTERS, chunkservers, portBase: "free" } as const;
  let cluster = await LocalCluster.start({ ...place, ...shape });
  using logs = new MemberLogs(place.dir, join(dir, "logs"));
  const journalFile = join(dir, "journal");
  try {
    await cluster.waitReady();
    const unwatch = ports.watch?.(cluster);
    using journal = new FileJournal(journalFile);
    const plan = { ...options, journal, repairAfterMs: REPAIR_AFTER_MS };
    const played = await play(cluster, plan);
    say("faults are over");
    const { ledger, faults, overMs } = played;
    const missing = await untilWhole(cluster, chunkservers);
    const wholeAfterMs = ledger.elapsedMs - overMs - STEADY_MS;
    unwatch?.();
    say(missing === undefined ? "whole" : `not whole: ${missing}`);
    await cluster.stop();
    cluster = await LocalCluster.start(place);
    await cluster.waitReady();
    const expected = new Expectations(parseJournal(readFileSync(journalFile, "utf8")));
    const { result, jobs, agreedState } = await inspect(cluster, expected, ports);
    const degraded = options.code === undefined ? [] : await inspectWithout(cluster, expected);
    await cluster.stop();
    return {
      ...{ seed, ledger, faults, jobs, result, agreedState },
      acknowledged: expected.acknowledged,
      acknowledgedBytes: expected.acknowledgedBytes,
      wholeAfterMs: missing === undefined ? wholeAfterMs : undefined,
      wrong: [
        ...ledger.anomalies,
        ...ledger.failures.map(shownFailure),
        ...(missing === undefined ? [] : [`not whole in the end: ${missing}`]),
        ...(agreedState === undefined ? ["the masters do not have the same state"] : []),
        ...result.findings.map(({ kind, text }) => `${kind}: ${text}`),
        ...degraded.map(({ kind, text }) => `without ${ABSENT.join(" and ")}, ${kind}: ${text}`),
        ...losses.map(({ id, why }) => `${id} ended by itself: ${why}`),
        ...logs.suspicions().map(({ member, text }) => `${member}: ${text}`),
      ],
    };
  } finally {
    await cluster.stop();
  }
}

/** S3. @returns What is missing; undefined if nothing is. */
async function untilWhole(
  { endpoints }: LocalCluster,
  chunkservers: number,
): Promise<string | undefined> {
  await using tower = new Watchtower(endpoints);
  return await tower.untilWhole(chunkservers, WHOLE_MS_MAX, STEADY_MS);
}

/** S4 and S5, by clients that know nothing of what went before. */
async function inspect(
  { endpoints }: LocalCluster,
  expected: Expectations,
  ports: SoakPorts,
): Promise<Pick<SoakReport, "result" | "jobs" | "agreedState">> {
  await using client = new Lumeo({ endpoints });
  const result = await audit(new ClusterView(client), expected);
  const jobs = await client.healing.jobs();
  const patience = { timeoutMs: AGREEMENT_MS_MAX };
  const agreedState = await waitUntil(() => ports.agreedState(endpoints), patience);
  return { result, jobs, agreedState };
}

/** S6: read once more without these. */
async function inspectWithout(
  cluster: LocalCluster,
  expected: Expectations,
): Promise<readonly Finding[]> {
  for (const id of ABSENT) await cluster.kill(id);
  await using client = new Lumeo({ endpoints: cluster.endpoints });
  return (await audit(new ClusterView(client, true), expected)).findings;
}

function shownFailure(failure: Ledger["failures"][number]): string {
  const { atMs, kind, path, code, message, attempts, durationMs, faults } = failure;
  const when = `${(atMs / 1_000).toFixed(1)} s: ${kind} ${path} failed`;
  const tries = `after ${durationMs.toFixed(0)} ms and ${attempts} attempts`;
  return `${when} ${tries}: ${code} ${message} [faults: ${faults || "none"}]`;
}
