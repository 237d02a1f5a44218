import { type ErrorCode, LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import { type lumeo, NamespaceService } from "@lumeofs/proto";
import test, { type ExecutionContext } from "ava";
import { type CallContext, download, RpcChannel, RpcServer, serveDownload } from "./index.js";

type Ask = lumeo.master.v1.IWatchRequest;
type Answer = lumeo.master.v1.IWatchResponse;

async function start(
  t: ExecutionContext,
  handle: (request: Ask, context: CallContext) => AsyncIterable<Answer>,
): Promise<{ readonly server: RpcServer; readonly channel: RpcChannel }> {
  const options = { host: "127.0.0.1", port: 0, logger: SILENT_LOGGER };
  const method = serveDownload(NamespaceService.watch, handle);
  const server = await RpcServer.start(options, [method]);
  const channel = new RpcChannel(server.address);
  t.teardown(async () => {
    await channel.close();
    await server.close();
  });
  return { server, channel };
}

const watch = (channel: RpcChannel, since: number, signal?: AbortSignal) =>
  download(channel, NamespaceService.watch, { since }, { signal });

async function fails(t: ExecutionContext, code: ErrorCode, run: Promise<unknown>): Promise<void> {
  const error = await t.throwsAsync(run, { instanceOf: LumeoError });
  t.is(error.code, code, error.message);
}

async function* endless(_: Ask, { signal }: CallContext): AsyncGenerator<Answer> {
  for (let revision = 1; !signal.aborted; revision++) yield { revision };
}

/** One answer, then nothing until the caller has gone. */
async function* silent(_: Ask, { signal }: CallContext): AsyncGenerator<Answer> {
  yield { revision: 1 };
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

test("download() brings all answers in order and ends", async (t) => {
  const { channel } = await start(t, async function* ({ since = 0 }) {
    for (let i = 1; i <= 1_000; i++) yield { revision: (since ?? 0) + i };
  });
  const revisions: unknown[] = [];
  for await (const { revision } of watch(channel, 5)) revisions.push(revision);
  t.deepEqual(
    revisions,
    Array.from({ length: 1_000 }, (_, i) => i + 6),
  );
});

test("download() throws the handler's error after the answers before it", async (t) => {
  const { channel } = await start(t, async function* () {
    yield { revision: 1 };
    throw new LumeoError("GONE", "Cannot go on: trimmed");
  });
  const answers = watch(channel, 0);
  t.is((await answers.next()).value?.revision, 1);
  await fails(t, "GONE", answers.next());
});

test("download() ends at the caller's signal, and the handler hears of it", async (t) => {
  let heard: () => void = () => {};
  const gone = new Promise<void>((resolve) => {
    heard = resolve;
  });
  const { channel } = await start(t, async function* (request, context) {
    context.signal.addEventListener("abort", () => heard(), { once: true });
    yield* silent(request, context);
  });
  const abort = new AbortController();
  const answers = watch(channel, 0, abort.signal);
  await answers.next();
  const next = answers.next();
  abort.abort();
  await fails(t, "ABORTED", next);
  await gone;
});

test("a caller that leaves the iteration early ends the handler's", async (t) => {
  let ended: () => void = () => {};
  const over = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const { channel } = await start(t, async function* (request, context) {
    try {
      yield* endless(request, context);
    } finally {
      ended();
    }
  });
  for await (const { revision } of watch(channel, 0)) if (revision === 3) break;
  await over;
  t.pass();
});

test("a caller that does not read holds the handler back", async (t) => {
  let made = 0;
  const { channel } = await start(t, async function* (_, { signal }) {
    const path = "x".repeat(100_000);
    for (; !signal.aborted; made++) yield { changes: [{ path }], revision: 1 };
  });
  const answers = watch(channel, 0);
  await answers.next();
  let before = -1;
  while (before !== made) {
    before = made;
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  t.true(made < 1_000, `${made} answers were made`);
  await answers.return();
});

test("closing the server ends downloads on both sides", async (t) => {
  const { server, channel } = await start(t, silent);
  const answers = watch(channel, 0);
  await answers.next();
  const next = fails(t, "CONNECTION_LOST", answers.next());
  await server.close();
  await next;
});
