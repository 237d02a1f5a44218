// Watching over real gRPC, at masters that break off on demand.

import { LumeoError as InternalError, SILENT_LOGGER } from "@lumeofs/base";
import { RpcServer, serveDownload } from "@lumeofs/node/rpc";
import { lumeo, NamespaceService } from "@lumeofs/proto";
import test, { type ExecutionContext } from "ava";
import {
  type FsEvent,
  Lumeo,
  LumeoError,
  type LumeoErrorCode,
  type LumeoOptions,
} from "../src/index.js";

const { ChangeKind, FileKind } = lumeo.master.v1;

type Page = lumeo.master.v1.IWatchResponse;
type Change = lumeo.master.v1.IChange;

/** What one connection gets: pages, then an error, or silence until the client leaves. */
interface Script {
  readonly pages: readonly Page[];
  readonly error?: InternalError;
}

/** Masters that answer each connection by the next script, whichever of them is asked. */
class FeedMasters {
  readonly asked: lumeo.master.v1.IWatchRequest[] = [];
  #open = 0;
  #wake: () => void = () => {};
  readonly #scripts: Script[];

  private constructor(scripts: readonly Script[]) {
    this.#scripts = [...scripts];
  }

  static async start(
    t: ExecutionContext,
    scripts: readonly Script[],
    options: Partial<LumeoOptions> = {},
  ): Promise<{ readonly masters: FeedMasters; readonly client: Lumeo }> {
    const masters = new FeedMasters(scripts);
    const serve = { host: "127.0.0.1", port: 0, logger: SILENT_LOGGER, closeGraceMs: 0 };
    const servers = [
      await RpcServer.start(serve, [masters.#method()]),
      await RpcServer.start(serve, [masters.#method()]),
    ];
    const endpoints = servers.map(({ address }) => address);
    const retry = { baseDelayMs: 1, maxDelayMs: 5 };
    const client = new Lumeo({ endpoints, retry, ...options });
    t.teardown(async () => {
      await client.close({ graceMs: 0 });
      await Promise.all(servers.map((server) => server.close()));
    });
    return { masters, client };
  }

  /** Nobody watches any more. */
  async idle(): Promise<void> {
    while (0 < this.#open) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #method() {
    const { asked } = this;
    const begin = (): Script => this.#scripts.shift() ?? { pages: [] };
    const count = (change: number): void => {
      this.#open += change;
      this.#wake();
    };
    return serveDownload(NamespaceService.watch, async function* (request, { signal }) {
      asked.push(request);
      count(1);
      try {
        const { pages, error } = begin();
        yield* pages;
        if (error !== undefined) throw error;
        if (!signal.aborted) {
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        }
      } finally {
        count(-1);
      }
    });
  }
}

const LOST = new InternalError("CONNECTION_LOST", "cut");

function made(revision: number, sequence = 0): Change {
  return {
    revision,
    sequence,
    changeKind: ChangeKind.CHANGE_KIND_CREATE,
    fileKind: FileKind.FILE_KIND_FILE,
    path: `/${revision}.${sequence}`,
    sizeBytes: 7,
    atMs: 1_000,
  };
}

async function take(watch: AsyncIterable<FsEvent>, count: number): Promise<readonly FsEvent[]> {
  const events: FsEvent[] = [];
  for await (const event of watch) {
    events.push(event);
    if (events.length === count) break;
  }
  return events;
}

const paths = (events: readonly FsEvent[]): readonly string[] => events.map(({ path }) => path);

async function refused(
  t: ExecutionContext,
  code: LumeoErrorCode,
  run: Promise<unknown>,
): Promise<void> {
  const error = await t.throwsAsync(run, { instanceOf: LumeoError });
  t.is(error.code, code, error.message);
}

test("a watch gives events as the master tells them", async (t) => {
  const rename = {
    ...made(9),
    changeKind: ChangeKind.CHANGE_KIND_RENAME,
    fileKind: FileKind.FILE_KIND_DIRECTORY,
    fromPath: "/old",
    sizeBytes: 0,
  };
  const script = { pages: [{ revision: 4 }, { changes: [made(5), rename], revision: 9 }] };
  const { masters, client } = await FeedMasters.start(t, [script]);
  const watch = client.watch("/d/", { since: 4, types: ["create", "rename"] });
  t.deepEqual(await take(watch, 2), [
    {
      type: "create",
      kind: "file",
      path: "/5.0",
      size: 7,
      revision: 5,
      sequence: 0,
      at: new Date(1_000),
    },
    {
      type: "rename",
      kind: "dir",
      path: "/9.0",
      from: "/old",
      size: 0,
      revision: 9,
      sequence: 0,
      at: new Date(1_000),
    },
  ]);
  const [ask] = masters.asked;
  t.is(ask?.prefix, "/d");
  t.is(ask?.since, 4);
  t.deepEqual(ask?.kinds, [ChangeKind.CHANGE_KIND_CREATE, ChangeKind.CHANGE_KIND_RENAME]);
});

test("a watch that loses its master goes on at another, nothing missed and nothing twice", async (t) => {
  const { masters, client } = await FeedMasters.start(t, [
    { pages: [{ revision: 1 }, { changes: [made(2), made(3, 0)], revision: 2 }], error: LOST },
    { pages: [], error: new InternalError("UNAVAILABLE", "behind") },
    { pages: [{ changes: [made(3, 0), made(3, 1)], revision: 3 }], error: LOST },
    { pages: [{ changes: [made(4)], revision: 8 }] },
  ]);
  const watch = client.watch("/", { since: 1 });
  t.deepEqual(paths(await take(watch, 4)), ["/2.0", "/3.0", "/3.1", "/4.0"]);
  t.deepEqual(
    masters.asked.map(({ since }) => since),
    [1, 2, 2, 3],
  );
});

test("a watch from now on stays where it began when its first master is lost", async (t) => {
  const { masters, client } = await FeedMasters.start(t, [
    { pages: [{ revision: 40 }], error: LOST },
    { pages: [{ changes: [made(41)], revision: 45 }] },
  ]);
  const watch = client.watch("/");
  t.is(await watch.ready(), 40);
  t.deepEqual(paths(await take(watch, 1)), ["/41.0"]);
  t.deepEqual(
    masters.asked.map(({ fromNow, since }) => [fromNow, since]),
    [
      [true, 0],
      [false, 40],
    ],
  );
});

test("a watch tells how far it has come, also where nothing was for it", async (t) => {
  const { client } = await FeedMasters.start(t, [
    { pages: [{ revision: 1 }, { revision: 500 }, { changes: [made(501)], revision: 510 }] },
  ]);
  const watch = client.watch("/", { since: 1 });
  t.is(watch.revision, 1);
  for await (const event of watch) {
    t.is(event.revision, 501);
    t.is(watch.revision, 500);
    break;
  }
});

test("what no master can give ends the watch", async (t) => {
  const gone = new InternalError("GONE", "Cannot watch after revision 1: trimmed");
  const { client, masters } = await FeedMasters.start(t, [{ pages: [], error: gone }]);
  await refused(t, "LUMEO_GONE", take(client.watch("/", { since: 1 }), 1));
  t.is(masters.asked.length, 1);
  t.throws(() => client.watch("no-slash"), { instanceOf: LumeoError });
  t.throws(() => client.watch("/", { since: -1 }), { instanceOf: LumeoError });
});

test("an aborted signal rejects the iteration, disposing ends it, both leave the master", async (t) => {
  const open = { pages: [{ revision: 1 }] };
  const { client, masters } = await FeedMasters.start(t, [open, open]);
  const abort = new AbortController();
  const first = client.watch("/", { since: 1, signal: abort.signal });
  await first.ready();
  const aborted = refused(t, "LUMEO_ABORTED", take(first, 1));
  abort.abort();
  await aborted;
  await masters.idle();
  const second = client.watch("/", { since: 1 });
  await second.ready();
  const events = take(second, 1);
  await second[Symbol.asyncDispose]();
  t.deepEqual(await events, []);
  t.deepEqual(await take(second, 1), []);
  await masters.idle();
});

test("closing the client ends its watches at once", async (t) => {
  const { client } = await FeedMasters.start(t, [{ pages: [{ revision: 1 }] }]);
  const watch = client.watch("/", { since: 1 });
  await watch.ready();
  const events = refused(t, "LUMEO_CLOSED", take(watch, 1));
  await client.close({ graceMs: 3_600_000 });
  await events;
});

test("a master that never answers is left for another one", async (t) => {
  const options = { timeoutMs: 200 };
  const { client } = await FeedMasters.start(
    t,
    [{ pages: [] }, { pages: [{ changes: [made(2)], revision: 2 }] }],
    options,
  );
  t.deepEqual(paths(await take(client.watch("/", { since: 1 }), 1)), ["/2.0"]);
});

test("a watch without retries ends with the first loss", async (t) => {
  const { client } = await FeedMasters.start(t, [{ pages: [], error: LOST }], { retry: false });
  await refused(t, "LUMEO_UNAVAILABLE", take(client.watch("/", { since: 1 }), 1));
});
