// lumeo watch, on events of a fake cluster.

import type { FsEvent } from "@lumeofs/client";
import test from "ava";
import { watch } from "../src/commands/watch.js";
import { EXIT } from "../src/exit-status.js";
import { Interrupted } from "../src/interruption.js";
import { Stage } from "./stage.js";

const AT = new Date(1_790_000_000_000);
const TIME = "2026-09-21 14:13:20";

function event(revision: number, more: Partial<FsEvent> = {}): FsEvent {
  const plain = { type: "create", kind: "file", path: `/f${revision}`, size: 3 } as const;
  return { ...plain, revision, sequence: 0, at: AT, ...more };
}

test("watch prints an event a line, with where a renamed one was", async (t) => {
  const stage = new Stage(t);
  stage.client.events = [
    event(41),
    event(42, { type: "rename", kind: "dir", path: "/new\n", from: "/old", size: 0 }),
  ];
  t.is(await watch(stage.context(), "/", { limit: "2" }), EXIT.ok);
  t.is(stage.stdout, `${TIME}  41  create      /f41\n${TIME}  42  rename      /old/ -> /new\\n/\n`);
  t.is(stage.stderr, "Watching / after revision 40\n");
});

test("watch --json prints an object a line and passes on what was asked for", async (t) => {
  const stage = new Stage(t);
  stage.client.events = [event(8)];
  const options = { since: "7", events: "create, delete", limit: "1" };
  t.is(await watch(stage.context({ json: true }), "/d/", options), EXIT.ok);
  t.deepEqual(stage.objects, [
    {
      ...{ revision: 8, sequence: 0, type: "create", kind: "file", path: "/f8", size: 3 },
      at: AT.toISOString(),
    },
  ]);
  t.deepEqual(stage.client.calls, ["watch /d since 7 create,delete"]);
});

test("watch that is interrupted says how to go on", async (t) => {
  const stage = new Stage(t);
  stage.client.events = [event(41)];
  const context = stage.context();
  stage.client.afterEvents = () => stage.abort.abort(new Interrupted(EXIT.interrupted));
  t.is(await watch(context, "/d", {}), EXIT.interrupted);
  t.regex(stage.stderr, /"lumeo watch \/d --since 41" goes on/);
});

test("watch refuses wrong events, revisions and limits", async (t) => {
  const context = new Stage(t).context();
  for (const options of [{ events: "creat" }, { since: "-1" }, { limit: "0" }]) {
    await t.throwsAsync(watch(context, "/", options), { name: "UsageError" });
  }
});
