// The change feed on a real cluster whose leaders are killed: no change missed, none told twice.

import { type FsEvent, Lumeo } from "@lumeofs/client";
import test from "ava";
import { Drill } from "./drill.js";

const DIRECTORIES = 600;
const WRITERS = 8;
/** After so many directories the leader is killed. */
const KILLS: ReadonlySet<number> = new Set([150, 350]);

/** Makes directories, several at a time, and renames every tenth; kills leaders on the way. */
async function write(client: Lumeo, kill: () => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < DIRECTORIES) {
      const i = next++;
      if (KILLS.has(i)) await kill();
      await client.mkdir(`/watched/${i}`);
      if (i % 10 === 0) await client.rename(`/watched/${i}`, `/watched/r${i}`);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, worker));
  await client.mkdir("/watched/end");
}

async function untilEnd(events: AsyncIterable<FsEvent>): Promise<readonly FsEvent[]> {
  const seen: FsEvent[] = [];
  for await (const event of events) {
    seen.push(event);
    if (event.path === "/watched/end") break;
  }
  return seen;
}

function replay(events: readonly FsEvent[]): readonly string[] {
  const names = new Set<string>();
  for (const { type, path, from } of events) {
    if (type === "rename") names.delete(from ?? "");
    names.add(path);
  }
  return [...names].sort();
}

test.serial("a watcher misses nothing and hears nothing twice while leaders die", async (t) => {
  const drill = await Drill.start({ masters: 3, chunkservers: 1 });
  try {
    const endpoints = drill.cluster.endpoints;
    await using client = new Lumeo({ endpoints });
    await using watching = new Lumeo({ endpoints });
    await client.mkdir("/elsewhere");
    await client.mkdir("/watched");
    const watch = watching.watch("/watched", { since: 0 });
    const live = untilEnd(watch);
    let killed: Promise<void> = Promise.resolve();
    await write(client, () => {
      // One after the other: with two down at once nobody could go on.
      killed = killed.then(async () => {
        await drill.cluster.revive();
        await drill.cluster.waitReady();
        await drill.cluster.kill(await drill.leader(t));
      });
      return killed;
    });
    const events = await live;
    for (const [i, { revision, sequence }] of events.entries()) {
      const before = events[i - 1];
      if (before === undefined) continue;
      t.true(
        before.revision < revision || (before.revision === revision && before.sequence < sequence),
      );
    }
    const made = events.filter(({ type }) => type === "create").map(({ path }) => path);
    t.is(made.length, DIRECTORIES + 2);
    t.is(new Set(made).size, made.length);
    t.is(events.length, made.length + DIRECTORIES / 10);
    const listed = await client.list("/watched").toArray();
    t.deepEqual(replay(events), ["/watched", ...listed.map(({ path }) => path)].sort());
    const later = await untilEnd(client.watch("/watched", { since: 0 }));
    t.deepEqual(later, events);
    const since = events[100]?.revision ?? 0;
    const rest = await untilEnd(client.watch("/watched", { since }));
    t.deepEqual(
      rest,
      events.filter(({ revision }) => since < revision),
    );
  } finally {
    await drill.stop();
  }
});

test.serial(
  "the watch command prints events as objects, ends by count, and by Ctrl-C",
  async (t) => {
    const drill = await Drill.start({ masters: 1, chunkservers: 1 });
    try {
      await drill.ok(t, ["mkdir", "/d"]);
      await drill.ok(t, ["mkdir", "/d/e"]);
      await drill.ok(t, ["mv", "/d/e", "/d/f"]);
      const args = ["watch", "/d", "--since", "0", "--events", "rename,create", "--limit", "3"];
      const events = await drill.json<{ type: string; path: string; from?: string }>(t, args);
      t.deepEqual(
        events.map(({ type, path, from }) => [type, path, from]),
        [
          ["create", "/d", undefined],
          ["create", "/d/e", undefined],
          ["rename", "/d/f", "/d/e"],
        ],
      );
      let pid = 0;
      const open = drill.run(["watch", "/d", "--since", "0"], {
        onStart: (started) => {
          pid = started;
        },
        onStdout: () => {
          if (pid !== 0) process.kill(pid, "SIGINT");
          pid = 0;
        },
      });
      const { status, stderr } = await open;
      t.is(status, 130, stderr);
      t.regex(stderr, /"lumeo watch \/d --since \d+" goes on/);
      const future = await drill.run(["watch", "/d", "--since", "999999"]);
      t.is(future.status, 2, future.stderr);
    } finally {
      await drill.stop();
    }
  },
);
