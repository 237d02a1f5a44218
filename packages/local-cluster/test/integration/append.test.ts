// Record append on real processes: many appenders on one file, while its primary is killed or
// stands still, the leading master dies, the file is captured and moved, and a member goes for
// good. What was acknowledged is in the file once, whole, where it was said to be, and in the order
// in which its appender gave it; what was not acknowledged is there at most once.

import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const APPENDERS = 4;
/** Under way at once, of each. */
const UNDER_WAY = 8;
const SETTINGS = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "3000",
  LUMEO_MASTER_STEADY_MS: "1000",
};

test.before(async (t) => {
  const drill = await Drill.start({ masters: 3, chunkservers: 5 }, SETTINGS);
  t.context = { drill };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

/** Appends numbered lines, as many at once as it may, until it is told to stop. */
class LineAppender {
  readonly offsets = new Map<number, number>();
  readonly failures: unknown[] = [];
  readonly #client: Lumeo;
  #count = 0;
  #isStopped = false;

  constructor(
    drill: Drill,
    readonly name: string,
    readonly path: string,
  ) {
    this.#client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: UNDER_WAY }, () => this.#runOne()));
    await this.#client.close();
  }

  stop(): void {
    this.#isStopped = true;
  }

  async #runOne(): Promise<void> {
    while (!this.#isStopped) {
      const number = ++this.#count;
      try {
        const { offset } = await this.#client.append(this.path, lineOf(this.name, number));
        this.offsets.set(number, offset);
      } catch (error) {
        this.failures.push(error);
      }
    }
  }
}

function lineOf(name: string, number: number): string {
  return `${name} ${number} ${"x".repeat((number * 37) % 400)}.\n`;
}

class Load {
  readonly appenders: readonly LineAppender[];
  readonly #ended: Promise<unknown>;

  constructor(
    drill: Drill,
    readonly path: string,
  ) {
    const names = Array.from({ length: APPENDERS }, (_, i) => `a${i}`);
    this.appenders = names.map((name) => new LineAppender(drill, name, path));
    this.#ended = Promise.all(this.appenders.map((appender) => appender.run()));
  }

  /** Waits until each has appended so much more. */
  async progress(t: ExecutionContext<{ drill: Drill }>, more = 50): Promise<void> {
    const before = this.appenders.map(({ offsets }) => offsets.size);
    await t.context.drill.until(t, "appends that go on", () =>
      this.appenders.every(({ offsets }, i) => (before[i] ?? 0) + more <= offsets.size),
    );
  }

  async stop(): Promise<void> {
    for (const appender of this.appenders) appender.stop();
    await this.#ended;
  }

  /** Reads the file, and looks for everything that is promised of its content. */
  async check(t: ExecutionContext, client: Lumeo): Promise<void> {
    const acknowledged = this.appenders.map(({ name, offsets }) => ({
      name,
      offsets: [...offsets],
    }));
    const text = await textOf(client, this.path);
    const lines = text.split("\n");
    t.is(lines.pop(), "", "the last record is whole");
    const last = new Map<string, number>();
    for (const line of lines) {
      const [name = "", number = ""] = line.split(" ");
      const at = Number(number);
      if (`${line}\n` !== lineOf(name, at)) return t.fail(`torn: ${line.slice(0, 80)}`);
      const before = last.get(name) ?? 0;
      if (at <= before) return t.fail(`${name}: ${at} behind ${before}`);
      last.set(name, at);
    }
    for (const { name, failures } of this.appenders) t.deepEqual(failures, [], name);
    for (const { name, offsets } of acknowledged) {
      for (const [number, offset] of offsets) {
        if (text.startsWith(lineOf(name, number), offset)) continue;
        return t.fail(`${name} ${number} is not at ${offset}`);
      }
    }
    t.pass();
  }
}

async function* bytesOf(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

async function textOf(client: Lumeo, path: string): Promise<string> {
  return (await client.get(path)).text();
}

/** Name of the chunkserver that orders the appends now. */
async function primaryOf(t: ExecutionContext<{ drill: Drill }>, client: Lumeo, path: string) {
  const name = await t.context.drill.until(t, "a primary", async () => {
    return (await client.stat(path)).tail?.replicas[0]?.id;
  });
  return name ?? "";
}

function pidOf(drill: Drill, id: string): number {
  return drill.cluster.members().find((member) => member.id === id)?.pid ?? 0;
}

test.serial(
  "no record is lost, doubled, torn or out of order when primaries and leaders fail under load",
  async (t) => {
    const { drill } = t.context;
    await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
    const load = new Load(drill, "/logs/faults");
    await load.progress(t);

    const killed = await primaryOf(t, client, load.path);
    await drill.cluster.kill(killed);
    await load.progress(t);
    await drill.cluster.restart(killed);

    const frozen = pidOf(drill, await primaryOf(t, client, load.path));
    process.kill(frozen, "SIGSTOP");
    try {
      await load.progress(t);
    } finally {
      process.kill(frozen, "SIGCONT");
    }
    await load.progress(t);

    const leader = await drill.leader(t);
    await drill.cluster.kill(leader);
    await load.progress(t);
    await drill.cluster.restart(leader);
    await load.check(t, client);

    await load.stop();
    await load.check(t, client);
  },
);

test.serial(
  "copies, snapshots and new names hold all that was acknowledged, and appends go on",
  async (t) => {
    const { drill } = t.context;
    await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
    const load = new Load(drill, "/job/log");
    const bytes = (): number =>
      Math.max(...load.appenders.flatMap(({ offsets }) => [...offsets.values()]));
    for (let round = 0; round < 3; round++) {
      await load.progress(t, 20);
      const before = bytes();
      await client.copy("/job/log", `/copies/${round}`);
      t.true(before < (await client.stat(`/copies/${round}`)).size);
      await client.snapshots.create("/job", `s${round}`);
    }
    await load.progress(t, 20);
    await load.stop();
    const whole = await textOf(client, "/job/log");
    await load.check(t, client);
    for (let round = 0; round < 3; round++) {
      t.true(whole.startsWith(await textOf(client, `/copies/${round}`)));
      t.true(whole.startsWith(await textOf(client, `/job/.snapshot/s${round}/log`)));
    }
    await client.append("/job/log", "last\n");
    await client.rename("/job/log", "/job/old");
    t.is(await textOf(client, "/job/old"), `${whole}last\n`);
    const { offset } = await client.append("/job/log", "first of another\n");
    t.is(offset, 0);
    await client.remove("/job/log");
    await t.throwsAsync(client.append("/job/log", "x", { create: false }), {
      message: /does not exist/,
    });
  },
);

test.serial("a member that is gone for good is replaced, and all copies are healed", async (t) => {
  const { drill } = t.context;
  await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
  const load = new Load(drill, "/logs/member");
  await load.progress(t);
  const { tail } = await client.stat(load.path);
  const gone = tail?.replicas[1]?.id ?? "";
  await drill.cluster.kill(gone);
  await drill.until(t, "a tail without that member", async () => {
    const now = (await client.stat(load.path)).tail;
    return now?.replicas.every(({ id }) => id !== gone);
  });
  await load.progress(t);
  await load.stop();
  await load.check(t, client);
  await drill.until(t, "copies that are whole elsewhere", async () => {
    const { chunks = [] } = await client.stat(load.path, { chunks: true });
    return chunks.every(({ replicas }) => replicas.every(({ id }) => id !== gone));
  });
  await load.check(t, client);
  await drill.cluster.restart(gone);
});

test.serial("the command appends lines, says where they stand, and shows who writes", async (t) => {
  const { drill } = t.context;
  await drill.ok(t, ["append", "/cli/log"], { stdin: bytesOf("one\n", "two\n") });
  const told = await drill.json<{ offset: number }>(t, ["append", "/cli/log", "--text", "three"]);
  t.is(told[0]?.offset, 8);
  t.is(await drill.ok(t, ["cat", "/cli/log"]), "one\ntwo\nthree\n");
  t.is(await drill.ok(t, ["cat", "--range", "4-6", "/cli/log"]), "two");
  const [entry] = await drill.json<{ size: number; tail: { handle: number } }>(t, [
    "stat",
    "/cli/log",
  ]);
  t.is(entry?.size, 14);
  const handle = String(entry?.tail.handle);
  t.regex(await drill.ok(t, ["chunk", "show", handle]), /active, epoch 1/);
  await drill.ok(t, ["cp", "/cli/log", "/cli/copy"]);
  t.regex(await drill.ok(t, ["chunk", "show", handle]), /sealed, epoch 1/);
  t.is(await drill.ok(t, ["cat", "/cli/copy"]), "one\ntwo\nthree\n");
  const refused = await drill.run(["append", "--no-create", "/cli/none", "--text", "x"]);
  t.is(refused.status, 3);
});

test.serial(
  "a file is written anywhere, cut and appended to, and each sync is one step",
  async (t) => {
    const { drill } = t.context;
    await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
    const chunkSize = 65_536;
    await client.put("/disk", new Uint8Array(5 * chunkSize + 100).fill(1), { chunkSize });
    const before = await client.stat("/disk", { chunks: true });
    const file = await client.open("/disk", "r+");
    await file.write(Buffer.from("here"), 2 * chunkSize - 2);
    t.is((await client.stat("/disk")).etag, before.etag);
    await file.sync();
    const after = await client.stat("/disk", { chunks: true });
    const handles = (info: typeof before) => (info.chunks ?? []).map(({ handle }) => handle);
    const isSame = handles(after).map((handle, i) => handle === handles(before)[i]);
    t.deepEqual(isSame, [true, false, false, true, true, true]);
    await file.truncate(3 * chunkSize + 1);
    await file.append("end");
    await file.write(Buffer.from("!"), 3 * chunkSize + 1);
    t.is(Buffer.from(await file.read(2 * chunkSize - 3, 6)).toString(), "\u0001here\u0001");
    await file.close();
    const { start, end } = { start: 3 * chunkSize, end: 4 * chunkSize };
    const tail = await (await client.get("/disk", { range: { start, end } })).text();
    t.is(tail, "\u0001!nd");
    const other = await client.open("/disk", "r+");
    await other.write(Buffer.of(9), 0);
    await drill.ok(t, ["truncate", "--size", "10", "/disk"]);
    await t.throwsAsync(other.sync(), { code: "LUMEO_CONFLICT" });
    t.is((await client.stat("/disk")).size, 10);
  },
);
