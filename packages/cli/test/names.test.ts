import test from "ava";
import { cat } from "../src/commands/cat.js";
import { clusterStatus } from "../src/commands/cluster-status.js";
import { ls } from "../src/commands/ls.js";
import { mkdir } from "../src/commands/mkdir.js";
import { mv } from "../src/commands/mv.js";
import { rm } from "../src/commands/rm.js";
import { stat } from "../src/commands/stat.js";
import { describeChunk, describeEntry, entryJson } from "../src/entry-view.js";
import { Stage } from "./stage.js";

function withTree(stage: Stage): Stage {
  stage.client.tree.set("/d", "dir").set("/d/sub", "dir");
  stage.setRemote("/d/a", "12345");
  stage.setRemote("/d/b", "x".repeat(2048));
  stage.setRemote("/d/sub/c", "");
  return stage;
}

test("ls prints names in byte order, directories with a slash", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await ls(stage.context(), ["/d"], {}), 0);
  t.is(stage.stdout, "a\nb\nsub/\n");
});

test("ls -R prints everything below, one path a line", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await ls(stage.context(), ["/d"], { recursive: true }), 0);
  t.is(stage.stdout, "a\nb\nsub/\nsub/c\n");
});

test("ls -l -h shows kind, readable size and time", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await ls(stage.context(), ["/d"], { long: true, human: true }), 0);
  t.is(
    stage.stdout,
    "file           5 B  2026-09-21 14:13:20  a\n" +
      "file       2.0 KiB  2026-09-21 14:13:20  b\n" +
      "dir              -  2026-09-21 14:13:20  sub/\n",
  );
});

test("ls --limit and --after give a page", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await ls(stage.context(), ["/d"], { limit: "1", after: "a" }), 0);
  t.is(stage.stdout, "b\n");
});

test("ls of a file shows the file, of several paths with headings", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await ls(stage.context(), ["/d/a", "/d/sub"], {}), 0);
  t.is(stage.stdout, "/d/a:\n/d/a\n\n/d/sub:\nc\n");
});

test("ls shows a name that could steer the terminal on one line, --json exactly", async (t) => {
  const stage = new Stage(t);
  stage.client.tree.set("/d", "dir");
  stage.setRemote("/d/a\n\u001b[2J", "");
  t.is(await ls(stage.context(), ["/d"], {}), 0);
  t.is(stage.stdout, "a\\n\\x1b[2J\n");
  const exact = new Stage(t);
  exact.client.tree.set("/d", "dir");
  exact.setRemote("/d/a\n\u001b[2J", "");
  t.is(await ls(exact.context({ json: true }), ["/d"], {}), 0);
  t.like(exact.objects[0], { path: "/d/a\n\u001b[2J" });
});

test("ls --json prints one object a line", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await ls(stage.context({ json: true }), ["/d"], {}), 0);
  t.like(stage.objects[0], { path: "/d/a", kind: "file", size: 5, crc32c: "0a0b0c0d" });
  t.like(stage.objects[2], { path: "/d/sub", kind: "dir" });
});

test("stat --chunks --json shows handle, epoch, length, crc32c and replicas", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await stat(stage.context({ json: true }), ["/d/a"], { chunks: true }), 0);
  t.like(stage.objects[0], {
    path: "/d/a",
    chunks: [
      {
        ...{ index: 0, handle: 64, epoch: 1, length: 5, crc32c: "0a0b0c0d" },
        layout: "replicated",
        replicas: [
          {
            ...{ id: "cs1", serverId: 1, address: "h:2" },
            ...{ role: "primary", state: "alive", damaged: false, bytes: 5 },
          },
        ],
      },
    ],
  });
});

test("stat tells people what is known", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await stat(stage.context(), ["/d/a"], { chunks: true }), 0);
  t.regex(stage.stdout, /Path {6}\/d\/a\n/);
  t.regex(stage.stdout, /Size {6}5 bytes \(5 B\)\n/);
  t.regex(stage.stdout, /handle 64 {2}epoch 1 {2}5 bytes {2}crc32c 0a0b0c0d {2}cs1 primary alive/);
});

test("stat tells how a file is kept: as replicas, or coded, and what that takes", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await stat(stage.context(), ["/d/a"], {}), 0);
  t.regex(stage.stdout, /Layout {4}3 replicas\nOn disks {2}15 B, 3.00 times its size\n/);
  const entry = await stage.client.stat("/d/a");
  const coded = { ...entry, layout: "4+2", size: 1_000, bytesOnDisk: 1_536 };
  const shown = describeEntry(coded).join("\n");
  t.regex(shown, /Layout {4}4\+2: any 2 of 6 servers may be lost\n/);
  t.regex(shown, /On disks {2}1\.5 KiB, 1\.54 times its size/);
  t.like(entryJson(coded), { layout: "4+2", bytesOnDisk: 1_536 });
  const [replica] = (await stage.client.stat("/d/a", { chunks: true })).chunks?.[0]?.replicas ?? [];
  if (replica === undefined) return t.fail();
  const chunk = { index: 0, handle: 64, epoch: 1, length: 5, crc32c: "0a0b0c0d", layout: "4+2" };
  const line = describeChunk({ ...chunk, replicas: [{ ...replica, unit: 0 }] });
  t.regex(line, /crc32c 0a0b0c0d {2}4\+2 {2}cs1 unit 0 alive$/);
  const mixed = { ...coded, chunks: [chunk, { ...chunk, layout: "replicated" }, chunk] };
  const whole = { ...mixed, chunks: mixed.chunks.map((one) => ({ ...one, replicas: [replica] })) };
  const said = describeEntry(whole).join("\n");
  t.regex(said, /Layout {4}4\+2, not all chunks yet: 1 of 3 are replicated\n/);
  t.like(entryJson(whole), { chunkLayouts: { "4+2": 2, replicated: 1 } });
});

test("stat tells that the masters keep a file, or the beginning of one", async (t) => {
  const stage = withTree(new Stage(t));
  const entry = await stage.client.stat("/d/a");
  const facts = { index: 0, handle: 64, epoch: 1, length: 5, crc32c: "0a0b0c0d", replicas: [] };
  const inline = { ...facts, layout: "inline" };
  t.regex(describeChunk(inline), /crc32c 0a0b0c0d {2}inline, every master has it$/);
  const whole = { ...entry, chunks: [inline], bytesOnDisk: 0 };
  const shown = describeEntry(whole).join("\n");
  t.regex(shown, /Layout {4}inline: every master keeps it\n/);
  t.notRegex(shown, /On disks/);
  t.like(entryJson(whole), { chunkLayouts: { inline: 1 }, bytesOnDisk: 0 });
  const longer = { ...entry, chunks: [inline, { ...facts, layout: "replicated" }] };
  const said = describeEntry(longer).join("\n");
  t.regex(said, /Layout {4}3 replicas; 1 of 2 chunks are inline: every master keeps them\n/);
});

test("stat tells how fresh it is where a consistency was asked for", async (t) => {
  const stage = withTree(new Stage(t));
  const wish = { consistency: "stale", maxAge: "5s" } as const;
  t.is(await stat(stage.context({ json: true }), ["/d/a"], wish), 0);
  t.like(stage.objects[0], { path: "/d/a", appliedIndex: 1_234, ageMs: 5_000 });
  const people = withTree(new Stage(t));
  t.is(await stat(people.context(), ["/d/a"], wish), 0);
  t.regex(people.stdout, /Seen {6}at entry 1234 of the masters' log, at most 5000 ms ago/);
});

test("cat writes files one behind the other", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await cat(stage.context(), ["/d/a", "/d/sub/c", "/d/a"], {}), 0);
  t.is(stage.stdout, "1234512345");
});

test("mkdir makes directories, and is strict without -p", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await mkdir(stage.context(), ["/new"], {}), 0);
  t.is(stage.client.tree.get("/new"), "dir");
  await t.throwsAsync(mkdir(stage.context(), ["/new"], {}), { message: /it exists/ });
  t.is(await mkdir(stage.context(), ["/new"], { parents: true }), 0);
});

test("mv renames, and moves into a directory that is there", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await mv(stage.context(), ["/d/a", "/d/z"], {}), 0);
  t.is(stage.remote("/d/z"), "12345");
  t.is(await mv(stage.context(), ["/d/z", "/d/b", "/d/sub"], {}), 0);
  t.is(stage.remote("/d/sub/z"), "12345");
  t.is(stage.client.tree.has("/d/b"), false);
});

test("rm removes files, and directories with -r only", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await rm(stage.context(), ["/d/a"], {}), 0);
  t.is(await rm(stage.context(), ["/d"], {}), 2);
  t.is(await rm(stage.context(), ["/d"], { recursive: true }), 0);
  t.deepEqual([...stage.client.tree.keys()], ["/"]);
});

test("rm of something missing exits with 3, with -f with 0", async (t) => {
  const stage = new Stage(t);
  t.is(await rm(stage.context(), ["/x"], {}), 3);
  t.is(await rm(stage.context(), ["/x"], { force: true }), 0);
});

test("rm never removes the root", async (t) => {
  const stage = withTree(new Stage(t));
  const failed = rm(stage.context(), ["/d", "/"], { recursive: true });
  await t.throwsAsync(failed, { message: /Cannot remove "\/"/ });
  t.true(stage.client.tree.has("/d"));
});

test("cluster status shows a table to people and everything to scripts", async (t) => {
  const stage = new Stage(t);
  t.is(await clusterStatus(stage.context()), 0);
  t.regex(stage.stdout, /Leader m1, term 3/);
  t.regex(stage.stdout, /Chunks 7: 2 with too few good copies or units; 1 with a damaged copy\n/);
  t.regex(stage.stdout, /Job 3: drain cs1 running, 5 of 7 chunks\n/);
  t.regex(stage.stdout, /cs1 +h:2 +alive, draining +7 +1\.5 KiB of 1\.0 GiB +0/);
  const scripted = new Stage(t);
  t.is(await clusterStatus(scripted.context({ json: true })), 0);
  t.like(scripted.objects[0], {
    leader: "m1",
    masters: [{ id: "m1", address: "h:1", role: "leader", lastApplied: 1234 }],
    chunkservers: [{ id: "cs1", address: "h:2", state: "alive", chunks: 7, usedBytes: 1536 }],
  });
});
