// A real master under far more than it can take: large changes without end, listings for readers
// that do not read, watchers that stall, a follower that stands still. It refuses with a hint when
// to come again, its memory stays bounded, nothing that it acknowledged is lost, and afterwards it
// serves as if nothing had been.

import { readFileSync } from "node:fs";
import { LumeoError } from "@lumeofs/base";
import { download, openStream, RpcChannel } from "@lumeofs/node/rpc";
import { type lumeo, NamespaceService } from "@lumeofs/proto";
import test, { type ExecutionContext } from "ava";
import { MasterProcesses, stateHash } from "./master-processes.js";
import { OperateClient } from "./operate-client.js";

const MIB = 2 ** 20;
/** What no master may ever have had in memory in this test. */
const RESIDENT_BYTES_MAX = 1_024 * MIB;
/** As much as an inode may carry. */
const METADATA = { note: "x".repeat(8_000) };
const LARGEST = {
  chunkSizeBytes: 65_536,
  replicas: 1,
  makeParents: true,
  metadata: METADATA,
};
const LARGE_FILES = 200;
const LARGE_PAGE = { path: "/large", countMax: 1_000 };
const DEAF_READERS = 12;
const LISTS_EACH = 200;
/** Of each client that reads: more than its stream may have under way. */
const LISTS_AT_ONCE = 70;
const STALLED_WATCHERS = 40;
const WRITERS = 8;
const WRITES_EACH = 600;

interface Counts {
  readonly acknowledged: string[];
  overloaded: number;
  withoutHint: number;
  /** Neither done nor refused for overload: such as a change whose outcome nobody knows. */
  readonly others: Map<string, number>;
}

test.serial(
  "a flooded master refuses with a hint, keeps its memory bounded and loses nothing",
  async (t) => {
    // Elections on a machine that is busy with much else are not what is tried here.
    const masters = await MasterProcesses.start(3, ["--election-ticks", "60"]);
    t.teardown(() => masters.close());
    const leader = await masters.leader();
    const counts: Counts = { acknowledged: [], overloaded: 0, withoutHint: 0, others: new Map() };
    await fill(leader.address, counts);
    t.is(counts.acknowledged.length, LARGE_FILES);

    const connect = async (): Promise<OperateClient> => {
      const client = await OperateClient.connect(leader.address);
      t.teardown(() => client.close());
      return client;
    };
    // Whoever comes later waits for its connection, as long as the master is busy.
    const clients = await Promise.all(Array.from({ length: WRITERS }, connect));
    const deaf = await deafReaders(leader.address);
    // With them at the room, all who do read ask for more than there is left of it, at once.
    await masters.until("a refusal", async () => {
      const lists = clients.flatMap((one) =>
        Array.from({ length: LISTS_AT_ONCE }, () =>
          tally(counts, "", one.run({ list: LARGE_PAGE })),
        ),
      );
      await Promise.all(lists);
      return 0 < counts.overloaded ? true : undefined;
    });
    const watching = stalledWatchers(leader.address);
    for (const channel of [...deaf, ...watching]) await channel.close();

    const [frozen = ""] = masters.members.map(({ id }) => id).filter((id) => id !== leader.id);
    masters.pause(frozen);
    await Promise.all(clients.map((one, i) => write(one, i, counts)));
    masters.resume(frozen);

    t.is(counts.withoutHint, 0, "every refusal says when to come again");
    t.true(LARGE_FILES < counts.acknowledged.length, "some of the flood was served");
    await mustServeEverything(t, masters, counts.acknowledged);
    for (const { id, process } of masters.members) {
      const peak = peakResidentBytes(process?.pid ?? 0);
      t.log(`${id}: at most ${Math.round(peak / MIB)} MiB`);
      t.true(peak < RESIDENT_BYTES_MAX, `${id} had ${Math.round(peak / MIB)} MiB in memory`);
    }
    const { acknowledged, overloaded, others } = counts;
    t.log(`${acknowledged.length} acknowledged, ${overloaded} refused`, Object.fromEntries(others));
  },
);

/** A directory whose listing is as large as can be. */
async function fill(address: string, counts: Counts): Promise<void> {
  const client = await OperateClient.connect(address);
  try {
    const session = await openSession(client);
    const files = Array.from({ length: LARGE_FILES }, (_, i) => {
      const path = `/large/${String(i).padStart(6, "0")}-${"n".repeat(200)}`;
      const commit = { ...LARGEST, path };
      const request = { session, sequence: i + 1, answeredBelow: 1 };
      return { path, operation: { request, commit } };
    });
    const answers = files.map(({ operation }) => client.run(operation));
    await Promise.all(answers.map((answer, i) => tally(counts, files[i]?.path ?? "", answer)));
  } finally {
    await client.close();
  }
}

/** Each asks for many listings, and takes no answer. */
async function deafReaders(address: string): Promise<readonly RpcChannel[]> {
  const channels = Array.from({ length: DEAF_READERS }, () => new RpcChannel(address));
  const streams = await Promise.all(
    channels.map((channel) => openStream(channel, NamespaceService.operate)),
  );
  for (const stream of streams) {
    for (let id = 1; id <= LISTS_EACH; id++) {
      // The last ones wait until the master reads on, which it does not: they end with the channel.
      stream.send({ operations: [{ id, list: LARGE_PAGE }] }).catch(() => {});
    }
  }
  return channels;
}

/** Each asks for the whole feed, and takes the first message only. */
function stalledWatchers(address: string): readonly RpcChannel[] {
  return Array.from({ length: STALLED_WATCHERS }, () => {
    const channel = new RpcChannel(address);
    const feed = download(channel, NamespaceService.watch, { prefix: "/", since: 0 });
    feed.next().catch(() => {}); // whoever stalls is cut off at the end
    return channel;
  });
}

/** Changes with all that they may carry, all at once. */
async function write(client: OperateClient, writer: number, counts: Counts): Promise<void> {
  const session = await openSession(client);
  const answers: Promise<void>[] = [];
  for (let i = 0; i < WRITES_EACH; i++) {
    const path = `/flood/${writer}-${i}`;
    const request = { session, sequence: i + 1, answeredBelow: 1 };
    answers.push(tally(counts, path, client.run({ request, commit: { ...LARGEST, path } })));
  }
  await Promise.all(answers);
}

/** Waits for room, as any client would. */
async function openSession(client: OperateClient): Promise<number> {
  for (;;) {
    try {
      return (await client.run({ openSession: {} })).sessionOpened?.session ?? 0;
    } catch (error) {
      if (!(error instanceof LumeoError) || error.code !== "OVERLOADED") throw error;
    }
  }
}

async function tally(
  counts: Counts,
  path: string,
  answer: Promise<lumeo.master.v1.IOperationResult>,
): Promise<void> {
  try {
    await answer;
    if (path !== "") counts.acknowledged.push(path);
  } catch (error) {
    const { code, details } = error as LumeoError;
    if (code !== "OVERLOADED") {
      counts.others.set(code, (counts.others.get(code) ?? 0) + 1);
      return;
    }
    counts.overloaded++;
    if (!(0 < (details.retryAfterMs ?? 0))) counts.withoutHint++;
  }
}

/** Every acknowledged file is there, on a group that takes changes and agrees. */
async function mustServeEverything(
  t: ExecutionContext,
  masters: MasterProcesses,
  acknowledged: readonly string[],
): Promise<void> {
  const { address } = await masters.leader();
  const client = await OperateClient.connect(address);
  try {
    const session = await openSession(client);
    const request = { session, sequence: 1, answeredBelow: 1 };
    await client.run({ request, makeDirectory: { path: "/afterwards" } });
    const found = new Set([
      ...(await listAll(client, "/large")),
      ...(await listAll(client, "/flood")),
    ]);
    t.deepEqual(acknowledged.filter((path) => !found.has(path)).slice(0, 5), []);
    await masters.until("masters that agree", async () => {
      const states = await Promise.all(masters.members.map((one) => stateHash(one.address)));
      return new Set(states.map(({ hash, index }) => `${index} ${hash}`)).size === 1 || undefined;
    });
  } finally {
    await client.close();
  }
}

async function listAll(client: OperateClient, path: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for (let after = ""; ; ) {
    const { listing } = await client.run({ list: { path, after, countMax: 1_000 } });
    const page = (listing?.entries ?? []).map((entry) => entry.path ?? "");
    paths.push(...page);
    if (listing?.more !== true) return paths;
    after = page.at(-1)?.slice(path.length + 1) ?? "";
  }
}

function peakResidentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}
