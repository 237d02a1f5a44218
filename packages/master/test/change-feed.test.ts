// The change feed: what commands put into it, and how a master gives it out. On virtual time.

import { LumeoError, nodeId, sessionId } from "@lumeofs/base";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { ReplicationStatus } from "../src/consensus/replication.js";
import { ChangeFeed, type FeedPage, FOLLOWERS_MAX } from "../src/feed/change-feed.js";
import { type ChangeKind, type FeedChange, trimChanges } from "../src/metadata/changes.js";
import { parsePath } from "../src/metadata/path.js";
import { listPage } from "../src/metadata/queries.js";
import { MetadataDriver } from "./metadata-driver.js";

const SECOND = 1_000;

/** One master with a namespace in memory, and somebody who follows it. */
class Desk {
  readonly world = new World(1);
  readonly clock = new SimClock(this.world, new Lifetime(this.world));
  readonly m = new MetadataDriver();
  role: ReplicationStatus["role"] = "leader";
  hasLeader = true;
  /** Entries that are committed, but that this master does not apply. */
  stuckBehind = 0;
  readonly #listeners = new Set<() => void>();
  readonly feed = new ChangeFeed({
    state: this.#state(),
    status: () => this.#status(),
    timers: this.clock,
  });

  /** Runs commands as one batch. */
  batch(run: (m: MetadataDriver) => void): void {
    run(this.m);
    for (const listener of this.#listeners) listener();
  }

  follow(options: Options = {}): Follower {
    return new Follower(this, options);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  #state() {
    const driver = this.m;
    return {
      get applied() {
        return driver.index;
      },
      reader: driver.state,
      onApplied: (listener: () => void) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
    };
  }

  #status(): ReplicationStatus {
    const { role, hasLeader } = this;
    const commit = this.m.index + this.stuckBehind;
    return { role, leader: hasLeader ? nodeId("m1") : undefined, commit } as ReplicationStatus;
  }
}

interface Options {
  readonly prefix?: string;
  readonly since?: number | "now";
  readonly kinds?: readonly ChangeKind[];
}

class Follower {
  readonly pages: FeedPage[] = [];
  readonly abort = new AbortController();
  error: LumeoError | undefined;
  isOver = false;
  /** While set, nothing more is read. */
  blocked: Promise<void> | undefined;
  readonly done: Promise<void>;

  constructor(desk: Desk, { prefix = "/", since = 0, kinds }: Options) {
    const path = parsePath(prefix);
    if (path.kind === "refused") throw new Error(path.message);
    const wanted = kinds === undefined ? undefined : new Set(kinds);
    const request = { prefix: path, since, kinds: wanted };
    this.done = this.#read(desk.feed.follow(request, this.abort.signal));
  }

  get changes(): readonly FeedChange[] {
    return this.pages.flatMap(({ changes }) => changes);
  }

  /** Up to where all has been told. */
  get revision(): number {
    return this.pages.at(-1)?.revision ?? -1;
  }

  get story(): readonly string[] {
    return this.changes.map(({ change }) => told(change));
  }

  async #read(pages: AsyncIterable<FeedPage>): Promise<void> {
    try {
      for await (const page of pages) {
        this.pages.push(page);
        await this.blocked;
      }
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      this.error = error;
    }
    this.isOver = true;
  }
}

function told(change: FeedChange["change"]): string {
  const { kind, file, path } = change;
  const mark = file === "directory" ? "/" : "";
  return kind === "rename"
    ? `rename ${change.from}${mark} ${path}${mark}`
    : `${kind} ${path}${mark}`;
}

function inOrder(t: ExecutionContext, changes: readonly FeedChange[]): void {
  for (const [i, { revision, sequence }] of changes.entries()) {
    const before = changes[i - 1];
    if (before === undefined) continue;
    const follows = before.revision < revision || before.sequence + 1 === sequence;
    t.true(before.revision <= revision && follows, `${before.revision} then ${revision}`);
  }
}

test("every change of a name is in the feed, in order, with its kind and size", async (t) => {
  const desk = new Desk();
  desk.batch((m) => {
    m.commit("/a/b/f", 2, { makeParents: true });
    m.commit("/a/b/f");
    m.makeDirectory("/d");
    m.rename("/a/b/f", "/d/g");
    m.rename("/a", "/d/a");
    m.remove("/d/g");
    m.remove("/d", true);
  });
  const follower = desk.follow();
  await desk.world.sleep(10);
  t.deepEqual(follower.story, [
    "create /a/",
    "create /a/b/",
    "create /a/b/f",
    "write /a/b/f",
    "create /d/",
    "rename /a/b/f /d/g",
    "rename /a/ /d/a/",
    "delete /d/g",
    "delete /d/",
  ]);
  t.deepEqual(
    follower.changes.slice(0, 4).map(({ sequence, change }) => [sequence, change.sizeBytes]),
    [
      [0, 0],
      [1, 0],
      [2, 8],
      [0, 4],
    ],
  );
  inOrder(t, follower.changes);
  t.is(follower.revision, desk.m.index);
});

test("a refused command and a repeated request leave nothing in the feed", async (t) => {
  const desk = new Desk();
  desk.batch((m) => {
    m.apply({ kind: "openSession" });
    const request = { session: sessionId(1), sequence: 1, answeredBelow: 1 };
    const make = { kind: "makeDirectory", path: "/d", parents: false } as const;
    m.apply(make, request);
    m.apply(make, request);
    m.makeDirectory("/d");
    m.commit("/d");
    m.commit("/x/y");
  });
  const follower = desk.follow();
  await desk.world.sleep(10);
  t.deepEqual(follower.story, ["create /d/"]);
});

test("a follower hears of a change a moment after it is applied, without asking", async (t) => {
  const desk = new Desk();
  const follower = desk.follow({ since: "now" });
  await desk.world.sleep(500);
  t.deepEqual(follower.pages, [{ changes: [], revision: desk.m.index }]);
  desk.batch((m) => m.makeDirectory("/d"));
  const { reads } = desk.m.state;
  await desk.world.sleep(10);
  t.deepEqual(follower.story, ["create /d/"]);
  t.true(desk.m.state.reads - reads < 10);
});

test("a follower that comes back goes on where it was", async (t) => {
  const desk = new Desk();
  desk.batch((m) => m.makeDirectory("/a"));
  const first = desk.follow();
  await desk.world.sleep(10);
  first.abort.abort();
  await desk.world.sleep(10);
  t.true(first.isOver);
  t.is(first.error, undefined);
  t.is(desk.listeners, 0);
  desk.batch((m) => m.makeDirectory("/b"));
  const second = desk.follow({ since: first.revision });
  await desk.world.sleep(10);
  t.deepEqual(second.story, ["create /b/"]);
});

test("a prefix counts by whole names, a rename at both ends, a directory above as a whole", async (t) => {
  const desk = new Desk();
  desk.batch((m) => {
    m.makeDirectory("/a");
    m.makeDirectory("/a/b");
    m.commit("/a/b/f");
    m.commit("/a/bc");
    m.commit("/x");
    m.rename("/x", "/a/b/x");
    m.rename("/a/b/f", "/f");
    m.rename("/a", "/z");
    m.remove("/z", true);
  });
  const below = desk.follow({ prefix: "/a/b" });
  const file = desk.follow({ prefix: "/a/bc" });
  await desk.world.sleep(10);
  t.deepEqual(below.story, [
    "create /a/",
    "create /a/b/",
    "create /a/b/f",
    "rename /x /a/b/x",
    "rename /a/b/f /f",
    "rename /a/ /z/",
  ]);
  t.deepEqual(file.story, ["create /a/", "create /a/bc", "rename /a/ /z/"]);
});

test("only the wanted kinds are told", async (t) => {
  const desk = new Desk();
  desk.batch((m) => {
    m.commit("/f");
    m.commit("/f");
    m.remove("/f");
  });
  const follower = desk.follow({ kinds: ["write", "delete"] });
  await desk.world.sleep(10);
  t.deepEqual(follower.story, ["write /f", "delete /f"]);
});

test("a follower hears how far the feed has come although nothing was for it", async (t) => {
  const desk = new Desk();
  const follower = desk.follow({ prefix: "/mine" });
  await desk.world.sleep(10);
  for (let i = 0; i < 30; i++) {
    desk.batch((m) => m.makeDirectory(`/${i}`));
    await desk.world.sleep(100);
  }
  await desk.world.sleep(SECOND);
  t.is(follower.revision, desk.m.index);
  t.true(follower.pages.length <= 5, `${follower.pages.length} pages`);
  t.deepEqual(follower.changes, []);
});

test("a slow reader misses nothing and finds nothing twice", async (t) => {
  const desk = new Desk();
  const follower = desk.follow();
  let resume: () => void = () => {};
  follower.blocked = new Promise((resolve) => {
    resume = resolve;
  });
  await desk.world.sleep(10);
  for (let i = 0; i < 3_000; i++) desk.batch((m) => m.makeDirectory(`/${i}`));
  await desk.world.sleep(10 * SECOND);
  t.is(follower.pages.length, 1);
  resume();
  follower.blocked = undefined;
  await desk.world.sleep(SECOND);
  t.deepEqual(
    follower.story,
    Array.from({ length: 3_000 }, (_, i) => `create /${i}/`),
  );
});

test("a revision with more changes than a page is told whole before it counts as told", async (t) => {
  const desk = new Desk();
  const names = Array.from({ length: 700 }, () => "d");
  desk.batch((m) => m.commit(`/${names.join("/")}/f`, 1, { makeParents: true }));
  const follower = desk.follow();
  await desk.world.sleep(10);
  t.is(follower.changes.length, 701);
  inOrder(t, follower.changes);
  t.is(follower.pages[0]?.revision, desk.m.index - 1);
  t.is(follower.revision, desk.m.index);
});

test("what was trimmed is refused with GONE and the way out; what is above it is told", async (t) => {
  const desk = new Desk();
  desk.batch((m) => {
    m.makeDirectory("/a");
    m.makeDirectory("/b");
  });
  const revision = desk.m.index - 1;
  trimChanges(desk.m.state, { changes: [{ revision, sequence: 0 }], floor: revision });
  const early = desk.follow({ since: 0 });
  const exact = desk.follow({ since: revision });
  await desk.world.sleep(10);
  t.is(early.error?.code, "GONE");
  t.regex(early.error?.message ?? "", new RegExp(`up to revision ${revision} .*list again`));
  t.deepEqual(exact.story, ["create /b/"]);
});

test("a revision in the future is refused by the leader, and elsewhere sends on", async (t) => {
  const desk = new Desk();
  const atLeader = desk.follow({ since: desk.m.index + 10 });
  await desk.world.sleep(6 * SECOND);
  t.is(atLeader.error?.code, "INVALID_ARGUMENT");
  desk.role = "follower";
  const elsewhere = desk.follow({ since: desk.m.index + 10 });
  const soonThere = desk.follow({ since: desk.m.index + 1 });
  desk.batch((m) => m.makeDirectory("/a"));
  desk.batch((m) => m.makeDirectory("/b"));
  await desk.world.sleep(6 * SECOND);
  t.is(elsewhere.error?.code, "UNAVAILABLE");
  t.deepEqual(soonThere.story, ["create /b/"]);
  soonThere.abort.abort();
  await desk.world.sleep(10);
});

test("a master without a leader, or that does not get on, lets its followers go", async (t) => {
  const desk = new Desk();
  const follower = desk.follow();
  await desk.world.sleep(10 * SECOND);
  t.false(follower.isOver);
  desk.hasLeader = false;
  await desk.world.sleep(6 * SECOND);
  t.is(follower.error?.code, "UNAVAILABLE");
  desk.hasLeader = true;
  const other = desk.follow();
  await desk.world.sleep(10);
  desk.stuckBehind = 5;
  await desk.world.sleep(7 * SECOND);
  t.is(other.error?.code, "UNAVAILABLE");
});

test("more followers than the limit are refused, and a place is free when one leaves", async (t) => {
  const desk = new Desk();
  const followers = Array.from({ length: FOLLOWERS_MAX }, () => desk.follow());
  await desk.world.sleep(10);
  const refused = desk.follow();
  await desk.world.sleep(10);
  t.is(refused.error?.code, "OVERLOADED");
  followers[0]?.abort.abort();
  await desk.world.sleep(10);
  const next = desk.follow();
  await desk.world.sleep(10);
  t.is(next.error, undefined);
  for (const follower of [next, ...followers]) follower.abort.abort();
  await desk.world.sleep(10);
  t.is(desk.listeners, 0);
});

type Action =
  | { readonly kind: "make" | "put" | "remove"; readonly path: string }
  | { readonly kind: "rename"; readonly path: string; readonly target: string };

const path = fc
  .array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength: 4 })
  .map((names) => `/${names.join("/")}`);
const action: fc.Arbitrary<Action> = fc.oneof(
  fc.record({ kind: fc.constantFrom("make", "put", "remove"), path }),
  fc.record({ kind: fc.constant("rename" as const), path, target: path }),
);

function act(m: MetadataDriver, step: Action): void {
  switch (step.kind) {
    case "make":
      m.apply({ kind: "makeDirectory", path: step.path, parents: true });
      return;
    case "put":
      m.commit(step.path, 1, { makeParents: true });
      return;
    case "remove":
      m.remove(step.path, true);
      return;
    case "rename":
      m.rename(step.path, step.target, true);
  }
}

/** What somebody knows who has only the feed. */
function replay(changes: readonly FeedChange[]): ReadonlyMap<string, string> {
  const known = new Map<string, string>();
  const drop = (path: string): readonly (readonly [string, string])[] => {
    const gone = [...known].filter(([name]) => name === path || name.startsWith(`${path}/`));
    for (const [name] of gone) known.delete(name);
    return gone;
  };
  for (const { change } of changes) {
    if (change.kind === "delete") drop(change.path);
    else if (change.kind === "rename") {
      const moved = drop(change.from);
      drop(change.path);
      for (const [name, kind] of moved)
        known.set(change.path + name.slice(change.from.length), kind);
    } else known.set(change.path, change.file);
  }
  return known;
}

async function listing(m: MetadataDriver, directory = "/"): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const page = await listPage(m.state, { path: directory, after: "", countMax: 1_000 });
  if (page.kind !== "page") throw new Error(page.message);
  for (const { path, inode } of page.entries) {
    found.set(path, inode.kind);
    if (inode.kind === "directory") {
      for (const pair of await listing(m, path)) found.set(...pair);
    }
  }
  return found;
}

test("who replays the feed from its beginning knows the namespace as it is", async (t) => {
  const actions = fc.array(action, { minLength: 1, maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(actions, async (steps) => {
      const desk = new Desk();
      const follower = desk.follow();
      for (const [i, step] of steps.entries()) {
        desk.batch((m) => act(m, step));
        if (i % 7 === 0) await desk.world.sleep(6);
      }
      await desk.world.sleep(10);
      inOrder(t, follower.changes);
      t.deepEqual(
        new Map([...replay(follower.changes)].sort()),
        new Map([...(await listing(desk.m))].sort()),
      );
      follower.abort.abort();
      await desk.world.sleep(1);
    }),
    { numRuns: 100 },
  );
});
