import type {
  ChunkserverStatus,
  ClusterStatus,
  GrowingChunk,
  JobInfo,
  MasterFacts,
  ProcessHealth,
} from "@lumeofs/client";
import test from "ava";
import type { DoctorFinding } from "./finding.js";
import { judge } from "./judge.js";
import type { Asked, Observation, SeenChunkserver, SeenMaster } from "./observation.js";

const NOW = 1_790_000_000_000;

const PROCESS: ProcessHealth = {
  ...{ version: "0.1.0", nodeVersion: "20", upMs: 5, clockAheadMs: 0, clockErrorMs: 2 },
  ...{ diskBytes: 100, diskFreeBytes: 60, syncMs: 2, syncMsMax: 4, syncFailure: "" },
  ...{ openFiles: 100, openFilesMax: 65_536 },
};

function answered<T>(value: T): Asked<T> {
  return { kind: "answered", value };
}

const SILENT = { kind: "failed", why: "nobody is there" } as const;

const NO_INLINE = { inlineChunks: 0, inlineBytes: 0 };

function master(id: string, more: Partial<MasterFacts> = {}): SeenMaster {
  const facts: MasterFacts = {
    ...{ id, address: `${id}:1`, role: id === "m1" ? "leader" : "follower", term: 3, leader: "m1" },
    ...{ lastApplied: 1_000, firstIndex: 1, lastIndex: 1_000, commitIndex: 1_000 },
    ...{ snapshotIndex: 0, memoryBytes: 0, stateHash: "", standing: "voter", matchIndex: 1_000 },
    ...NO_INLINE,
    ...{ caughtUp: true, process: PROCESS },
    ...more,
  };
  return { name: id, address: facts.address, asked: answered(facts) };
}

function chunkserver(id: string, more: Partial<ChunkserverStatus> = {}): SeenChunkserver {
  const status: ChunkserverStatus = {
    ...{ id, serverId: 1, address: `${id}:2`, controlAddress: `${id}:3`, state: "alive" },
    ...{ chunks: 7, usedBytes: 1, capacityBytes: 2, damaged: 0, lastHeartbeatMsAgo: 5 },
    ...{ readOnly: false, standing: "active", lost: false, labels: {}, stopped: [] },
    ...{ newerCount: 0, newer: [] },
    disks: [],
    scrub: {
      ...{ rounds: 2, roundBeganAt: 0, lastRoundBeganAt: NOW - 5_000, lastRoundEndedAt: NOW },
      ...{ position: 0, replicasRead: 14, bytesRead: 3_072, found: 0, yielding: false },
      bytesPerSecond: 1,
    },
    ...more,
  };
  const facts = { serverId: 1, state: "serving", damaged: 0, freeBytes: 1, memoryBytes: 1 };
  const control = answered({ ...facts, process: PROCESS });
  return { status, control, data: answered(undefined) };
}

function job(more: Partial<JobInfo> = {}): JobInfo {
  return {
    ...{ id: 3, kind: "repair", node: "cs9", state: "running", createdAt: new Date(NOW - 600_000) },
    ...{ endedAt: undefined, totalChunks: 7, totalBytes: 70, doneChunks: 5, doneBytes: 50 },
    ...{ failures: 0, moves: 0, note: "no server can take it", conversion: undefined },
    ...more,
  };
}

/** A cluster of which something is as the test wants it. */
function seen(more: Partial<Observation> = {}, status: Partial<ClusterStatus> = {}): Observation {
  const masters = more.masters ?? ["m1", "m2", "m3"].map((id) => master(id));
  const chunkservers = more.chunkservers ?? ["cs1", "cs2", "cs3"].map((id) => chunkserver(id));
  const cluster: ClusterStatus = {
    ...{ clusterId: "c", leader: "m1", term: 3, jobs: [] },
    masters: masters.flatMap(({ asked }) => (asked.kind === "answered" ? [asked.value] : [])),
    chunkservers: chunkservers.map((one) => one.status),
    health: {
      chunks: 7,
      underReplicated: 0,
      damaged: 0,
      lost: 0,
      unreadable: 0,
      lookedMsAgo: 5,
      ...NO_INLINE,
    },
    ...status,
  };
  const later = answered({ term: cluster.term, jobs: cluster.jobs });
  const growing = answered([]);
  const base = { ownVersion: "0.1.0", nowMs: NOW, status: answered(cluster), growing, later };
  return { ...base, members: undefined, dir: undefined, ...more, masters, chunkservers };
}

function problems(observation: Observation): readonly DoctorFinding[] {
  return judge(observation).findings.filter(({ severity }) => severity !== "ok");
}

/** Each problem as `severity check subject`. */
function brief(observation: Observation): readonly string[] {
  return problems(observation).map(({ severity, check, subject }) =>
    `${severity} ${check} ${subject}`.trim(),
  );
}

test("a healthy cluster has nothing to mend, and says what was looked at", (t) => {
  const { findings, unseen } = judge(seen());
  t.deepEqual(problems(seen()), []);
  t.deepEqual(unseen, []);
  t.deepEqual(
    findings.map(({ check }) => check),
    [
      ...["masters", "leader", "term", "chunkservers", "copies", "scrub", "version", "clock"],
      ...["disk", "open files"],
    ],
  );
});

test("a master that is away is a warning, a majority of them critical; their machines are unseen", (t) => {
  const away = (id: string): SeenMaster => ({ name: id, address: `${id}:1`, asked: SILENT });
  const one = seen({ masters: [master("m1"), master("m2"), away("m3")] });
  t.deepEqual(brief(one).slice(0, 1), ["warning masters m3"]);
  t.deepEqual(judge(one).unseen, ["the machine of master m3"]);
  const two = seen({
    masters: [master("m1", { leader: "", role: "follower" }), away("m2"), away("m3")],
  });
  const without = seen({ masters: two.masters }, { leader: "" });
  t.false(
    brief(without).some((line) => line.includes("chunkservers")),
    "nobody would know",
  );
  t.deepEqual(brief(two).slice(0, 3), [
    "critical masters m2",
    "critical masters m3",
    "critical leader",
  ]);
});

test("a cluster that is wholly down is told from its endpoints and its folder", (t) => {
  const masters = [{ name: "h:1", address: "h:1", asked: SILENT }];
  const members = [
    { id: "m1", isRunning: false },
    { id: "cs1", isRunning: true },
  ];
  const down = seen({ status: SILENT, later: SILENT, masters, chunkservers: [], members });
  t.deepEqual(brief(down), ["critical processes m1", "critical masters h:1"]);
  t.deepEqual(judge(down).unseen, [
    "the chunkservers and their copies: nobody is there",
    "the machine of master h:1",
  ]);
});

test("masters that name different leaders, and a term that rises, are warnings", (t) => {
  const masters = [master("m1"), master("m2", { leader: "m2" }), master("m3")];
  t.deepEqual(brief(seen({ masters })), ["warning leader"]);
  const later = answered({ term: 5, jobs: [] });
  t.deepEqual(brief(seen({ later })), ["warning term"]);
});

test("a master far behind, one alone, an even number and a learner are told", (t) => {
  const behind = [master("m1", { lastApplied: 90_000 }), master("m2"), master("m3")];
  t.deepEqual(brief(seen({ masters: behind })), ["warning masters m2", "warning masters m3"]);
  t.deepEqual(brief(seen({ masters: [master("m1")] })), ["warning group"]);
  t.deepEqual(brief(seen({ masters: [master("m1"), master("m2")] })), ["notice group"]);
  const masters = [
    ...["m1", "m2", "m3"].map((id) => master(id)),
    master("m4", { standing: "learner" }),
  ];
  t.like(problems(seen({ masters }))[0], { subject: "m4", mend: "lumeo master promote m4" });
});

test("chunkservers that are away, full, failed or not reached are told, each with its way out", (t) => {
  const three = ["cs1", "cs2", "cs3"].map((id) => chunkserver(id));
  const with4 = (fourth: SeenChunkserver) => brief(seen({ chunkservers: [...three, fourth] }));
  const warning = ["warning chunkservers cs4"];
  t.deepEqual(with4(chunkserver("cs4", { state: "dead", lost: true })), warning);
  t.deepEqual(with4(chunkserver("cs4", { readOnly: true })), warning);
  const meant = chunkserver("cs4", { state: "dead", standing: "maintenance" });
  t.deepEqual(with4(meant), ["notice chunkservers cs4"]);
  t.deepEqual(with4({ ...chunkserver("cs4"), data: SILENT }), ["critical chunkservers cs4"]);
  t.deepEqual(with4({ ...chunkserver("cs4"), control: SILENT }), ["notice chunkservers cs4"]);
  const failed = { serverId: 1, state: "failed", damaged: 0, freeBytes: 0, memoryBytes: 0 };
  const control = answered({ ...failed, process: undefined });
  t.deepEqual(with4({ ...chunkserver("cs4"), control }), ["critical chunkservers cs4"]);
  t.deepEqual(brief(seen({ chunkservers: three.slice(1) })), ["warning chunkservers"]);
});

test("chunkservers that take nothing do not count as places for copies", (t) => {
  const two = ["cs1", "cs2"].map((id) => chunkserver(id));
  const unable: readonly Partial<ChunkserverStatus>[] = [
    { readOnly: true },
    { state: "suspect" },
    { standing: "draining" },
  ];
  for (const third of unable) {
    const found = brief(seen({ chunkservers: [...two, chunkserver("cs3", third)] }));
    t.true(found.includes("warning chunkservers"), JSON.stringify(third));
  }
});

test("alarms: masters that have lost what they knew, and chunks with two histories", (t) => {
  const chunkservers = ["cs1", "cs2", "cs3"].map((id) => chunkserver(id));
  chunkservers[0] = chunkserver("cs1", { newerCount: 2, newer: [640, 641] });
  chunkservers[1] = chunkserver("cs2", { stopped: [99] });
  const found = problems(seen({ chunkservers }));
  t.like(found[0], { severity: "critical", check: "metadata", subject: "cs1" });
  t.regex(found[0]?.what ?? "", /2 copies .*\(chunk 640, 641\).*nothing is deleted/);
  t.like(found[1], { severity: "critical", check: "histories", subject: "cs2" });
});

test("copies: lost is critical, too few and damaged are warnings, not looked at is a notice", (t) => {
  const health = {
    chunks: 7,
    underReplicated: 2,
    damaged: 1,
    lost: 1,
    unreadable: 1,
    lookedMsAgo: 5,
    ...NO_INLINE,
  };
  t.deepEqual(brief(seen({}, { health })), [
    "critical copies",
    "critical copies",
    "warning copies",
  ]);
  t.deepEqual(brief(seen({}, { health: undefined })), ["notice copies"]);
  const damaged = ["cs1", "cs2", "cs3"].map((id) => chunkserver(id, { damaged: 2 }));
  const found = problems(seen({ chunkservers: damaged }));
  t.deepEqual(
    found.map(({ severity, check, what }) => [severity, check, what]),
    [["warning", "copies", "6 copies are damaged or missing"]],
  );
});

test("a job that is paused, or stands still, is told; one that moves or is young is not", (t) => {
  t.like(problems(seen({}, { jobs: [job()] }))[0], {
    ...{ severity: "warning", check: "jobs", subject: "job 3", mend: "lumeo job show 3" },
    what: "repair cs9 makes no progress: no server can take it",
  });
  t.deepEqual(brief(seen({}, { jobs: [job({ createdAt: new Date(NOW - 1_000) })] })), []);
  t.deepEqual(brief(seen({}, { jobs: [job({ moves: 2 })] })), []);
  const later = answered({ term: 3, jobs: [job({ doneChunks: 6 })] });
  t.deepEqual(brief(seen({ later }, { jobs: [job()] })), []);
  const [paused] = problems(seen({}, { jobs: [job({ state: "paused" })] }));
  t.is(paused?.mend, "lumeo job resume 3");
});

test("a scrub that is off, or a promise that is old, is a warning", (t) => {
  const { scrub } = chunkserver("cs1").status;
  const chunkservers = ["cs1", "cs2", "cs3"].map((id) => chunkserver(id));
  chunkservers[0] = chunkserver("cs1", { scrub: { ...scrub, bytesPerSecond: 0 } });
  const lastRoundBeganAt = NOW - 40 * 86_400_000;
  chunkservers[1] = chunkserver("cs2", { scrub: { ...scrub, lastRoundBeganAt } });
  t.deepEqual(brief(seen({ chunkservers })), ["warning scrub cs1", "warning scrub cs2"]);
});

test("versions, clocks, disks and open files of every process are judged", (t) => {
  const of = (process: Partial<ProcessHealth>) =>
    brief(
      seen({
        masters: [
          master("m1"),
          master("m2"),
          master("m3", { process: { ...PROCESS, ...process } }),
        ],
      }),
    );
  t.deepEqual(of({ version: "0.2.0" }), ["warning version"]);
  t.deepEqual(of({ clockAheadMs: 3_000 }), ["warning clock m3"]);
  t.deepEqual(of({ clockAheadMs: -90_000 }), ["critical clock m3"]);
  t.deepEqual(of({ clockAheadMs: 3_000, clockErrorMs: 2_500 }), [], "it is not known so well");
  t.deepEqual(of({ diskFreeBytes: 10 }), ["warning disk m3"]);
  t.deepEqual(of({ diskFreeBytes: 2 }), ["critical disk m3"]);
  t.deepEqual(of({ syncMs: 200 }), ["warning disk m3"]);
  t.deepEqual(of({ syncFailure: "EIO" }), ["critical disk m3"]);
  t.deepEqual(of({ openFilesMax: 1_024 }), ["warning open files m3"]);
  t.deepEqual(of({ openFiles: 65_000 }), ["critical open files m3"]);
});

test("when all clocks differ from this machine's, this machine's is the one to be set", (t) => {
  const process = { ...PROCESS, clockAheadMs: 5_000 };
  const masters = ["m1", "m2", "m3"].map((id) => master(id, { process }));
  const chunkservers = ["cs1", "cs2", "cs3"].map((id) => {
    const one = chunkserver(id);
    if (one.control.kind === "failed") return one;
    return { ...one, control: answered({ ...one.control.value, process }) };
  });
  t.deepEqual(brief(seen({ masters, chunkservers })), ["notice clock"]);
});

test("a growing chunk that cannot go on is named, with the way to see more", (t) => {
  const chunk: GrowingChunk = {
    ...{ handle: 64, epoch: 2, lengthBytes: 9, crc32c: 0, coding: undefined, replicas: [] },
    ...{ token: undefined, path: "/log", state: "active", committedBytes: 9, activeEpoch: 2 },
    ...{ leaseAgeMs: undefined, obstacle: "2 of the 3 servers must answer" },
    ...{ isInline: false, inlineBytes: undefined },
  };
  const growing = answered([{ ...chunk, obstacle: "" }, chunk]);
  const { findings } = judge(seen({ growing }));
  t.deepEqual(
    findings.filter(({ check }) => check === "appends"),
    [
      {
        ...{ severity: "critical", check: "appends", subject: "/log" },
        ...{ what: "2 of the 3 servers must answer", mend: "lumeo chunk show 64" },
      },
    ],
  );
});
