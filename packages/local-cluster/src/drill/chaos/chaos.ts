// The chaos drill of the masters: a cluster of real processes whose masters are killed, ended,
// frozen, wiped, added, removed and made to hand over by a seed, while callers change and read
// names, use locks, watch the change feed and make backups. Afterwards everybody must be whole:
//
// A1. Every acknowledged change is there, none has come back, and nothing else is there.
// A2. No answer was impossible, no call failed, and none hangs: the group could always recover.
//     Only while all masters are down at once may a client give up.
// A3. The feed told every change once, to every watcher.                            (watchers.ts)
// A4. All masters vote and have the same state, also after a restart of everything.
// A5. No process ended by itself, crashed, or raised an alarm, but a master whose disk was wiped,
//     which must refuse to take part.
// A6. All backups are whole, and one more can be made.
//
// The seed fixes what callers and nemesis choose; the moments at which processes meet differ from
// run to run.

import { join } from "node:path";
import { SeededRandom } from "@lumeofs/base";
import { type FsEvent, Lumeo } from "@lumeofs/client";
import { LocalCluster, type MemberLoss } from "../../local-cluster.js";
import { waitUntil } from "../../wait-until.js";
import type { Failure, Ledger } from "../ledger.js";
import type { Stretch } from "../long-enough.js";
import { type ChaosFault, POWER_CUT } from "./group-nemesis.js";
import { MemberLogs, type Suspicion } from "./member-logs.js";
import { FOLDER, LAST, type Played, play } from "./play.js";
import { compareFeed, compareWatchers } from "./watchers.js";

export interface ChaosOptions extends Stretch {
  /** Made if missing; holds everything. */
  readonly dir: string;
  readonly seed: number;
}

/** What the drill cannot do by itself. */
export interface ChaosPorts {
  /** Makes one backup of the metadata. @throws if that failed. */
  readonly backup: (endpoints: readonly string[]) => Promise<void>;
  /** Proves that all backups are whole. @throws if one is not. */
  readonly verifyBackups: () => Promise<void>;
  /** The state that all these masters have; undefined while they do not agree. */
  readonly agreedState: (endpoints: readonly string[]) => Promise<string | undefined>;
}

export interface ChaosReport {
  readonly seed: number;
  /** Of all members. */
  readonly settings: Readonly<Record<string, string>>;
  readonly ledger: Ledger;
  readonly faults: readonly ChaosFault[];
  /** That the feed told of. */
  readonly events: number;
  readonly backups: Played["backups"];
  readonly agreedState: string | undefined;
  /** Everything that is not as it must be, one line each. */
  readonly wrong: readonly string[];
}

const MASTERS = 3;
const AGREEMENT_MS_MAX = 30_000;

/** Runs the drill in a fresh folder. */
export async function runChaos(options: ChaosOptions, ports: ChaosPorts): Promise<ChaosReport> {
  const { dir, seed } = options;
  const random = new SeededRandom(seed, "chaos");
  const settings = drawSettings(random);
  const losses: MemberLoss[] = [];
  const place = {
    dir: join(dir, "cluster"),
    environment: settings,
    onMemberLost: (loss: MemberLoss) => losses.push(loss),
  };
  const shape = { masters: MASTERS, chunkservers: 1, portBase: "free" } as const;
  let cluster = await LocalCluster.start({ ...place, ...shape });
  using logs = new MemberLogs(place.dir, join(dir, "logs"));
  try {
    await cluster.waitReady();
    const { backup } = ports;
    const parts = { stretch: options, random: random.fork("play"), logs, backup };
    const played = await play(cluster, parts);
    await cluster.stop();
    cluster = await LocalCluster.start(place);
    await cluster.waitReady();
    const { wrong, events, agreedState } = await audit(cluster, played, ports);
    await cluster.stop();
    const { ledger, faults, backups } = played;
    const said = [
      ...losses.map(({ id, why }) => ({ member: id, text: `ended by itself: ${why}` })),
      ...logs.suspicions(),
    ].filter((one) => !isRefusal(one, played.wiped));
    return {
      ...{ seed, settings, ledger, faults, events, backups, agreedState },
      wrong: [
        ...ledger.anomalies,
        ...ledger.failures.filter((one) => !isBlackout(one)).map(shownFailure),
        ...wrong,
        ...said.map(({ member, text }) => `${member}: ${text}`),
      ],
    };
  } finally {
    await cluster.stop();
  }
}

/** Limits so small that snapshots, comparisons of states and sweeps happen all the time. */
function drawSettings(random: SeededRandom): Readonly<Record<string, string>> {
  const oneOf = (...values: readonly string[]): string =>
    values[Math.floor(random.fraction() * values.length)] ?? "";
  return {
    LUMEO_MASTER_COMPACT_ENTRIES: oneOf("100", "500"),
    LUMEO_MASTER_TAIL_ENTRIES: oneOf("10", "200"),
    LUMEO_MASTER_CHECK_STATE_MS: "2000",
    LUMEO_MASTER_SWEEP_MS: "500",
    LUMEO_MASTER_LEASE_READS: oneOf("on", "off"),
    LUMEO_MASTER_LOG_STORE: oneOf("wal", "wal", "level"),
  };
}

/** A1, A3, A4 and A6, by a client that knows nothing of what went before. */
async function audit(
  cluster: LocalCluster,
  { keepers, counter, watchers, ledger }: Played,
  ports: ChaosPorts,
): Promise<Pick<ChaosReport, "wrong" | "events" | "agreedState">> {
  const { endpoints } = cluster;
  await using client = new Lumeo({ endpoints });
  const wrong: string[] = [];
  for (const keeper of keepers) {
    const listed = await client.list(keeper.folder).toArray();
    wrong.push(...keeper.compare(new Set(listed.map(({ path }) => path))));
  }
  await counter.check(client);
  const events = await history(client);
  wrong.push(...compareWatchers(events, watchers), ...compareFeed(events, keepers));
  const { masters } = await client.clusterStatus();
  const voters = masters.filter(({ standing }) => standing === "voter").map(({ id }) => id);
  const started = cluster.members().filter(({ role }) => role === "master");
  if (voters.length !== masters.length || voters.length !== started.length) {
    const shown = masters.map(({ id, standing }) => `${id} ${standing}`).join(", ");
    wrong.push(`the group is ${shown}; started are ${started.map(({ id }) => id).join(", ")}`);
  }
  const patience = { timeoutMs: AGREEMENT_MS_MAX };
  const agreedState = await waitUntil(() => ports.agreedState(endpoints), patience);
  if (agreedState === undefined) wrong.push("the masters do not have the same state");
  try {
    await ports.backup(endpoints);
    await ports.verifyBackups();
  } catch (error) {
    wrong.push(`backups: ${(error as Error).message}`);
  }
  if (0 < ledger.underWay.length) wrong.push("calls have not ended");
  return { wrong, events: events.length, agreedState };
}

/** Every change of the drill. */
async function history(client: Lumeo): Promise<readonly FsEvent[]> {
  const events: FsEvent[] = [];
  for await (const event of client.watch(FOLDER, { since: 0 })) {
    events.push(event);
    if (event.path === LAST) break;
  }
  return events;
}

/** A master that lost its disk may end, and say why (A5). */
function isRefusal({ member, text }: Suspicion, wiped: ReadonlySet<string>): boolean {
  return wiped.has(member) && text.includes("knows another store under this name");
}

/** When no master was there at all for as long as a client looks for one (A2). */
function isBlackout({ code, faults }: Failure): boolean {
  return code === "LUMEO_UNAVAILABLE" && faults.includes(POWER_CUT);
}

function shownFailure(failure: Failure): string {
  const { atMs, kind, path, code, message, faults } = failure;
  return `${(atMs / 1_000).toFixed(1)} s: ${kind} ${path}: ${code} ${message} [faults: ${faults}]`;
}
