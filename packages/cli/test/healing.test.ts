// Commands about jobs, nodes and single chunks.

import type { CopyVerdict } from "@lumeofs/client";
import test from "ava";
import { chunkList, chunkSalvage, chunkShow, chunkVerify } from "../src/commands/chunk.js";
import { ecConvert } from "../src/commands/ec-convert.js";
import { jobChange, jobList, jobShow } from "../src/commands/job.js";
import {
  nodeLabel,
  nodeLeave,
  nodeList,
  nodeMaintenance,
  nodeShow,
  nodeUndrain,
} from "../src/commands/node.js";
import { rebalanceStart, rebalanceStatus, rebalanceStop } from "../src/commands/rebalance.js";
import { AT, chunkOf, jobOf, nodeOf } from "./fake-healing.js";
import { Stage } from "./stage.js";

test("job ls shows all jobs, or the open ones, and says so if there are none", async (t) => {
  const stage = new Stage(t);
  t.is(await jobList(stage.context(), {}), 0);
  t.is(stage.stdout, "no jobs\n");
  stage.client.healing.allJobs = [
    jobOf(3),
    jobOf(4, { kind: "repair", state: "done", endedAt: AT, note: "every copy was read again" }),
  ];
  const all = new Stage(t);
  all.client.healing.allJobs = stage.client.healing.allJobs;
  t.is(await jobList(all.context(), {}), 0);
  t.regex(all.stdout, /^JOB +KIND +FOR +STATE/);
  t.regex(all.stdout, /3 +drain +cs1 +running +5 of 7/);
  t.regex(all.stdout, /4 +repair +cs1 +done .*every copy was read again/);
  const open = new Stage(t);
  open.client.healing.allJobs = stage.client.healing.allJobs;
  t.is(await jobList(open.context({ json: true }), { open: true }), 0);
  t.like(open.objects[0], { jobs: [{ id: 3, endedAt: null }] });
});

test("job show tells all of one job, and 3 of one that is not there", async (t) => {
  const stage = new Stage(t);
  stage.client.healing.allJobs = [jobOf(3, { endedAt: new Date(+AT + 61_000), failures: 2 })];
  t.is(await jobShow(stage.context(), "3"), 0);
  t.regex(stage.stdout, /Job 3: drain cs1, running[\s\S]*Failures +2, tried again[\s\S]*1m 01s/);
  await t.throwsAsync(jobShow(stage.context(), "4"), { code: "LUMEO_NOT_FOUND" });
  await t.throwsAsync(jobShow(stage.context(), "x"), { code: "USAGE" });
});

test("job pause, resume and cancel say what the job is afterwards", async (t) => {
  const stage = new Stage(t);
  stage.client.healing.allJobs = [jobOf(3)];
  for (const change of ["pause", "resume", "cancel"] as const) {
    t.is(await jobChange(stage.context(), change, "3"), 0);
  }
  t.is(stage.stdout, "job 3 is paused\njob 3 is running\njob 3 is cancelled\n");
  t.deepEqual(stage.client.healing.calls, ["pause 3", "resume 3", "cancel 3"]);
});

test("node ls and node show tell state, part, labels, room and the scrub", async (t) => {
  const stage = new Stage(t);
  stage.client.healing.allNodes = [
    nodeOf("cs1", { labels: { zone: "b", rack: "r1" }, jobs: [3, 4] }),
    nodeOf("cs2", { state: "dead", lost: true, chunks: undefined }),
  ];
  t.is(await nodeList(stage.context()), 0);
  t.regex(stage.stdout, /cs1 +alive +active +rack=r1,zone=b +7 +1.5 KiB of 1.0 GiB +0 +3 4/);
  t.regex(stage.stdout, /cs2 +dead, lost +active +\?/);
  const shown = new Stage(t);
  shown.client.healing.allNodes = stage.client.healing.allNodes;
  t.is(await nodeShow(shown.context(), "cs1"), 0);
  t.regex(shown.stdout, /Jobs +3 4\nScrub +2 rounds, the last one began .* ago and ended .* ago/);
  t.regex(shown.stdout, /read +14 replicas, 3.0 KiB, at most 1.0 MiB\/s\n +found +0 damaged/);
  await t.throwsAsync(nodeShow(shown.context(), "cs9"), { code: "LUMEO_NOT_FOUND" });
});

test("node show says that the scrub is off, or in its first round", async (t) => {
  const stage = new Stage(t);
  const { scrub } = nodeOf("cs1");
  stage.client.healing.allNodes = [
    nodeOf("off", { scrub: { ...scrub, bytesPerSecond: 0 } }),
    nodeOf("first", { scrub: { ...scrub, rounds: 0, yielding: true } }),
  ];
  await nodeShow(stage.context(), "off");
  await nodeShow(stage.context(), "first");
  t.regex(stage.stdout, /Scrub +off\n[\s\S]*Scrub +the first round goes on\n.*slowed down now/);
});

test("node label sets and removes labels; a label without a value is wrong usage", async (t) => {
  const stage = new Stage(t);
  t.is(await nodeLabel(stage.context(), "cs1", ["rack=r1", "zone-"]), 0);
  t.is(stage.stdout, "cs1: rack=r1\n");
  t.deepEqual(stage.client.healing.calls, [
    'change cs1 {"setLabels":{"rack":"r1"},"removeLabels":["zone"]}',
  ]);
  await t.throwsAsync(nodeLabel(stage.context(), "cs1", ["rack"]), { code: "USAGE" });
});

test("node drain begins a job; with --wait it says how far it is, each thing once", async (t) => {
  const stage = new Stage(t);
  t.is(await nodeLeave(stage.context(), "drain", "cs1", {}), 0);
  t.regex(stage.stdout, /^job 9 empties cs1; see lumeo job show 9\n/);
  const waiting = new Stage(t);
  t.is(await nodeLeave(waiting.context(), "decommission", "cs1", { wait: true }), 0);
  t.is(waiting.stdout, "job 9: decommission cs1 done, 7 of 7 chunks\n");
  t.is(waiting.stderr.split("\n").filter((line) => line.includes("5 of 7")).length, 1);
});

test("node undrain and maintenance change the part; other words are wrong usage", async (t) => {
  const stage = new Stage(t);
  t.is(await nodeUndrain(stage.context(), "cs1"), 0);
  t.is(await nodeMaintenance(stage.context(), "on", "cs1"), 0);
  t.is(await nodeMaintenance(stage.context(), "off", "cs1"), 0);
  t.is(stage.stdout, "cs1 is active\ncs1 is in maintenance\ncs1 is active\n");
  await t.throwsAsync(nodeMaintenance(stage.context(), "maybe", "cs1"), { code: "USAGE" });
});

test("rebalance begins, tells of the last one, and stops the one under way", async (t) => {
  const stage = new Stage(t);
  t.is(await rebalanceStatus(stage.context()), 0);
  t.is(await rebalanceStop(stage.context()), 0);
  t.is(await rebalanceStart(stage.context(), {}), 0);
  t.is(await rebalanceStop(stage.context()), 0);
  t.regex(
    stage.stdout,
    /^no rebalance so far\nno rebalance is under way\njob 9: rebalance running/,
  );
  t.deepEqual(stage.client.healing.calls, ["begin rebalance all", "cancel 9"]);
});

test("ec-convert begins a conversion, waits for it, and jobs say what becomes what", async (t) => {
  const stage = new Stage(t);
  t.is(await ecConvert(stage.context(), "/a/", { to: "4+2", recursive: true }), 0);
  t.is(stage.stdout, "job 9: convert /a to 4+2 running, 5 of 7 chunks\n");
  t.deepEqual(stage.client.healing.calls, ["convert /a to 4+2 -r"]);
  const waiting = new Stage(t);
  const json = waiting.context({ json: true });
  t.is(await ecConvert(json, "/f", { to: "replicated", wait: true }), 0);
  t.like(waiting.objects[0], {
    state: "done",
    kind: "convert",
    conversion: { path: "/f", to: "replicated" },
  });
  await t.throwsAsync(ecConvert(stage.context(), "f", { to: "4+2" }), { code: "USAGE" });
  const shown = new Stage(t);
  const conversion = { path: undefined, to: undefined };
  shown.client.healing.allJobs = [jobOf(3, { kind: "convert", node: undefined, conversion })];
  t.is(await jobShow(shown.context(), "3"), 0);
  t.regex(shown.stdout, /^Job 3: convert by policy, running\nChunks +5 of 7, each converted/);
});

test("chunk ls passes the filter on, marks what is not good, and stops at the limit", async (t) => {
  const stage = new Stage(t);
  const [first, second, third] = chunkOf(64).replicas;
  if (first === undefined || second === undefined || third === undefined) return t.fail();
  const replicas = [first, { ...second, damaged: true }, { ...third, state: "dead" as const }];
  stage.client.healing.allChunks = [
    chunkOf(64, { replicas, move: { target: "cs4", job: 3 } }),
    chunkOf(65),
    chunkOf(66),
  ];
  t.is(await chunkList(stage.context(), { corrupt: true, limit: "2" }), 0);
  t.regex(stage.stdout, /64 +2.0 KiB +cs1 cs2\(damaged\) cs3\(dead\) +→ cs4\n +65/);
  t.is(stage.stdout.trimEnd().split("\n").length, 2);
  t.deepEqual(stage.client.healing.calls, ["chunks corrupt"]);
  const both = { corrupt: true, orphan: true };
  await t.throwsAsync(chunkList(stage.context(), both), { code: "USAGE" });
});

test("chunk show tells of copies, a copy under way, and what was read", async (t) => {
  const stage = new Stage(t);
  const checks = [
    { readSince: AT, stopped: false },
    { readSince: undefined, stopped: true },
    { readSince: undefined, stopped: false },
  ];
  stage.client.healing.allChunks = [chunkOf(64, { checks, move: { target: "cs4", job: 3 } })];
  t.is(await chunkShow(stage.context(), "64"), 0);
  t.regex(stage.stdout, /Chunk 64.*epoch 1, 2.0 KiB, crc32c 00000abc/);
  t.regex(stage.stdout, /A copy is under way to cs4, for job 3/);
  t.regex(stage.stdout, /cs1 .*within .*\n.*cs2 .*stopped: two histories\n.*cs3 .*not yet/);
  await t.throwsAsync(chunkShow(stage.context(), "65"), { code: "LUMEO_NOT_FOUND" });
});

test("chunk show and ls tell of the units of a coded chunk, each with its own checksum", async (t) => {
  const stage = new Stage(t);
  const coding = { data: 2, parity: 1, cellBytes: 65_536, unitCrcs: [0xa, 0xb, 0xc] };
  const coded = { coding, lengthBytes: 1, move: { target: "cs4", job: 3 } };
  stage.client.healing.allChunks = [chunkOf(64, coded)];
  t.is(await chunkShow(stage.context(), "64"), 0);
  t.regex(stage.stdout, /Coded 2\+1\/64KiB: any 2 of its 3 units give it back/);
  t.regex(stage.stdout, /A unit is under way to cs4/);
  t.regex(stage.stdout, /0 +data +cs1 .* good +1 B +0000000a +not yet\n/);
  t.regex(stage.stdout, /1 +data +cs2 .* empty +0 B +0000000b +-\n/);
  t.regex(stage.stdout, /2 +parity +cs3 .* good +1 B +0000000c +not yet/);
  t.is(await chunkList(stage.context(), {}), 0);
  t.regex(stage.stdout, /64 +1 B +2\+1\/64KiB: cs1 cs2 cs3 +→ cs4/);
});

test("chunk show and ls tell of a chunk that the masters keep, and what is wrong with it", async (t) => {
  const stage = new Stage(t);
  const inline = { isInline: true, replicas: [], checks: [] };
  const inlineFault = "3 bytes are there, expected 2048";
  stage.client.healing.allChunks = [chunkOf(64, inline), chunkOf(65, { ...inline, inlineFault })];
  t.is(await chunkShow(stage.context(), "64"), 0);
  t.regex(stage.stdout, /\nInline: every master keeps its bytes.*; whole at the leader\n$/);
  t.notRegex(stage.stdout, /NODE/);
  t.is(await chunkShow(stage.context(), "65"), 0);
  t.regex(stage.stdout, /DAMAGED at the leader: 3 bytes are there, expected 2048/);
  const listed = new Stage(t);
  listed.client.healing.allChunks = stage.client.healing.allChunks;
  t.is(await chunkList(listed.context(), {}), 0);
  t.regex(listed.stdout, /64 +2.0 KiB +inline\n +65 +2.0 KiB +inline\(damaged: 3 bytes/);
});

test("chunk salvage says what is kept and given up, and does it only with --yes", async (t) => {
  const stage = new Stage(t);
  t.is(await chunkSalvage(stage.context(), "64", {}), 0);
  t.regex(stage.stdout, /of \/log: what cs3 has is kept\n.*only cs1 and cs2 had.*\n.*--yes/);
  const sure = new Stage(t);
  t.is(await chunkSalvage(sure.context(), "65", { yes: true }), 0);
  t.regex(sure.stdout, /nothing is left/);
  t.notRegex(sure.stdout, /--yes/);
  t.deepEqual(
    [...stage.client.healing.calls, ...sure.client.healing.calls],
    ["salvage 64 false", "salvage 65 true"],
  );
});

test("chunk verify ends with 0, 7 for a bad copy, 6 for one that could not be asked", async (t) => {
  const verdict = (node: string, finding: CopyVerdict["finding"]): CopyVerdict => {
    return { node, serverId: 1, finding, why: finding === "intact" ? "" : "so it is" };
  };
  const stage = new Stage(t);
  const { verdicts } = stage.client.healing;
  verdicts.set(64, [verdict("cs1", "intact")]);
  verdicts.set(65, [verdict("cs1", "intact"), verdict("cs2", "unknown")]);
  verdicts.set(66, [verdict("cs1", "bad"), verdict("cs2", "unknown")]);
  t.is(await chunkVerify(stage.context(), ["64"]), 0);
  t.is(await chunkVerify(stage.context(), ["64", "65"]), 6);
  t.is(await chunkVerify(stage.context(), ["66", "65"]), 7);
  t.regex(stage.stdout, /66 +cs1 bad: so it is; cs2 unknown: so it is/);
});
