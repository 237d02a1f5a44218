import { once } from "node:events";
import { createConnection, createServer } from "node:net";
import { type ErrorCode, InvariantViolation, LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import { AdminService, lumeo, NamespaceService, RaftService } from "@lumeofs/proto";
import { findFreePorts } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import {
  type CallContext,
  openStream,
  RpcChannel,
  type RpcMethod,
  RpcServer,
  type RpcStream,
  serveStream,
  serveUnary,
  serveUpload,
  unary,
  upload,
} from "./index.js";

const TIMEOUT_MS = 20_000;
type Status = lumeo.master.v1.IGetMasterStatusResponse;
type Ask = lumeo.master.v1.IOperateRequest;
type Answer = lumeo.master.v1.IOperateResponse;

async function start(
  t: ExecutionContext,
  methods: readonly RpcMethod[],
  options: { readonly callsMax?: number; readonly closeGraceMs?: number } = {},
): Promise<{ server: RpcServer; channel: RpcChannel }> {
  const base = { host: "127.0.0.1", port: 0, logger: SILENT_LOGGER };
  const server = await RpcServer.start({ ...base, ...options }, methods);
  const channel = new RpcChannel(server.address);
  t.teardown(async () => {
    await channel.close();
    await server.close();
  });
  return { server, channel };
}

const status = (handle: (context: CallContext) => Promise<Status>): RpcMethod =>
  serveUnary(AdminService.getMasterStatus, (_request, context) => handle(context));

const ask = (channel: RpcChannel, options: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  unary(channel, AdminService.getMasterStatus, {}, { timeoutMs: TIMEOUT_MS, ...options });

async function fails(t: ExecutionContext, code: ErrorCode, run: Promise<unknown>) {
  const error = await t.throwsAsync(run, { instanceOf: LumeoError });
  t.is(error.code, code, error.message);
  return error;
}

function gate<T = void>(): { promise: Promise<T>; open: (value: T) => void } {
  let open: (value: T) => void = () => {};
  const promise = new Promise<T>((resolve) => {
    open = resolve;
  });
  return { promise, open };
}

test("unary() brings the handler's answer", async (t) => {
  const { channel } = await start(t, [status(async () => ({ status: { id: "m1" } }))]);
  t.is((await ask(channel)).status?.id, "m1");
});

test("unary() throws the handler's error with its code, leader and pause", async (t) => {
  const refuse = async (): Promise<Status> => {
    const details = { leader: "127.0.0.1:7401", retryAfterMs: 40 };
    throw new LumeoError("NOT_LEADER", "Cannot serve: the leader is m2 “zwei”", details);
  };
  const { channel } = await start(t, [status(refuse)]);
  const error = await fails(t, "NOT_LEADER", ask(channel));
  t.is(error.message, "Cannot serve: the leader is m2 “zwei”");
  t.is(error.details.leader, "127.0.0.1:7401");
  t.is(error.details.retryAfterMs, 40);
});

test("unary() cuts a message that is too long for a trailer", async (t) => {
  const refuse = async (): Promise<Status> => {
    throw new LumeoError("CONFLICT", "é".repeat(100_000));
  };
  const { channel } = await start(t, [status(refuse)]);
  const error = await fails(t, "CONFLICT", ask(channel));
  t.true(error.message.length <= 1_000);
});

test("unary() turns an unknown error of a handler into INTERNAL", async (t) => {
  const { channel } = await start(t, [status(() => Promise.reject(new TypeError("oops")))]);
  await fails(t, "INTERNAL", ask(channel));
});

test("unary() knows that nothing was sent when nobody listens", async (t) => {
  const [port] = await findFreePorts(1);
  const channel = new RpcChannel(`127.0.0.1:${port}`);
  t.teardown(() => channel.close());
  await fails(t, "UNAVAILABLE", ask(channel));
});

test("unary() knows that nothing was sent when connecting takes too long", async (t) => {
  const silent = createServer().listen(0, "127.0.0.1"); // accepts, but never speaks HTTP/2
  await once(silent, "listening");
  const sockets: { destroy(): void }[] = [];
  silent.on("connection", (socket) => sockets.push(socket));
  const { port } = silent.address() as { port: number };
  const channel = new RpcChannel(`127.0.0.1:${port}`, { connectTimeoutMs: 50 });
  t.teardown(async () => {
    await channel.close();
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  await fails(t, "UNAVAILABLE", ask(channel));
});

test("unary() says TIMEOUT when the handler is slower than the caller's time", async (t) => {
  const seen = gate<CallContext>();
  const hang = (context: CallContext): Promise<Status> => {
    seen.open(context);
    return new Promise((_, reject) => {
      context.signal.addEventListener("abort", () => reject(context.signal.reason));
    });
  };
  const { channel } = await start(t, [status(hang)]);
  await channel.ready({ timeoutMs: TIMEOUT_MS }); // so that the time goes to the handler alone
  await fails(t, "TIMEOUT", ask(channel, { timeoutMs: 1_000 }));
  const context = await seen.promise;
  t.true(context.remainingMs() <= 1_000);
});

test("unary() gives up when the caller aborts, and the handler hears of it", async (t) => {
  const running = gate();
  const heard = gate();
  const hang = (context: CallContext): Promise<Status> => {
    context.signal.addEventListener("abort", () => heard.open());
    running.open();
    return heard.promise.then(() => ({}));
  };
  const { channel } = await start(t, [status(hang)]);
  const abort = new AbortController();
  const asked = ask(channel, { signal: abort.signal });
  await running.promise;
  abort.abort();
  await fails(t, "ABORTED", asked);
  await heard.promise;
});

test("unary() does not begin with an aborted signal", async (t) => {
  const { channel } = await start(t, [status(async () => ({}))]);
  await fails(t, "ABORTED", ask(channel, { signal: AbortSignal.abort() }));
});

test("RpcChannel.close() ends calls in flight, and later ones, with CLOSED", async (t) => {
  const running = gate();
  const end = gate();
  const hang = (): Promise<Status> => {
    running.open();
    return end.promise.then(() => ({}));
  };
  const { channel } = await start(t, [status(hang)]);
  const asked = ask(channel);
  await running.promise;
  await channel.close();
  await fails(t, "CLOSED", asked);
  await fails(t, "CLOSED", ask(channel));
  end.open();
});

test("RpcServer refuses with OVERLOADED what is above its limit", async (t) => {
  const running = gate();
  const end = gate();
  const hang = (): Promise<Status> => {
    running.open();
    return end.promise.then(() => ({ status: { id: "first" } }));
  };
  const { channel } = await start(t, [status(hang)], { callsMax: 1 });
  const first = ask(channel);
  await running.promise;
  await fails(t, "OVERLOADED", ask(channel));
  end.open();
  t.is((await first).status?.id, "first");
});

test("RpcServer.close() lets a running unary call end", async (t) => {
  const running = gate();
  const end = gate();
  const hang = (): Promise<Status> => {
    running.open();
    return end.promise.then(() => ({ status: { id: "last" } }));
  };
  const { server, channel } = await start(t, [status(hang)]);
  const asked = ask(channel);
  await running.promise;
  const closed = server.close();
  end.open();
  t.is((await asked).status?.id, "last");
  await closed;
});

test("RpcServer.close() cuts what does not end within the grace", async (t) => {
  const running = gate();
  const hang = (): Promise<Status> => {
    running.open();
    return new Promise(() => {});
  };
  const { server, channel } = await start(t, [status(hang)], { closeGraceMs: 10 });
  const asked = fails(t, "CONNECTION_LOST", ask(channel));
  await running.promise;
  await server.close();
  await asked;
});

test("RpcServer.start() says which address is taken", async (t) => {
  const { server } = await start(t, []);
  const options = { host: "127.0.0.1", port: server.port, logger: SILENT_LOGGER };
  const error = await fails(t, "CONFIG", RpcServer.start(options, []));
  t.regex(error.message, new RegExp(`127.0.0.1:${server.port}`));
});

test("RpcChannel reconnects to a server that comes back on its port", async (t) => {
  const methods = [status(async () => ({ status: { id: "m1" } }))];
  const { server, channel } = await start(t, methods);
  await ask(channel);
  await server.close();
  const options = { host: "127.0.0.1", port: server.port, logger: SILENT_LOGGER };
  const second = await RpcServer.start(options, methods);
  t.teardown(() => second.close());
  await channel.ready({ timeoutMs: TIMEOUT_MS });
  t.is((await ask(channel)).status?.id, "m1");
});

const echo = serveStream(NamespaceService.operate, async (stream: RpcStream<Answer, Ask>) => {
  for await (const request of stream) {
    await stream.send({ results: (request.operations ?? []).map(() => ({})) });
  }
});

const echoPath = serveStream(NamespaceService.operate, async (stream: RpcStream<Answer, Ask>) => {
  for await (const { operations } of stream) {
    const message = operations?.[0]?.stat?.path ?? "";
    await stream.send({ results: [{ error: { message } }] });
  }
});

for (const direct of [false, true]) {
  const by = direct ? "direct" : "gRPC";

  test(`openStream() carries many messages both ways, in order, and ends cleanly: ${by}`, async (t) => {
    const { channel } = await start(t, [echo]);
    const stream = await openStream(channel, NamespaceService.operate, { direct });
    const sizes = Array.from({ length: 500 }, (_, i) => i % 7);
    const sending = (async () => {
      for (const size of sizes)
        await stream.send({ operations: Array.from({ length: size }, () => ({})) });
      stream.end();
    })();
    const got: number[] = [];
    for await (const answer of stream) got.push(answer.results?.length ?? 0);
    await sending;
    t.deepEqual(got, sizes);
    await fails(t, "CLOSED", stream.send({}));
  });

  test(`RpcStream.send() waits while the other side does not read: ${by}`, async (t) => {
    const end = gate();
    const deaf = serveStream(NamespaceService.operate, () => end.promise);
    const { channel } = await start(t, [deaf]);
    const stream = await openStream(channel, NamespaceService.operate, { direct });
    const large = { operations: [{ stat: { path: "x".repeat(1 << 20) } }] };
    let sent = 0;
    const sending = (async () => {
      for (; sent < 200; sent++) await stream.send(large);
    })();
    const stuck = gate();
    let before = -1;
    const look = setInterval(() => {
      if (sent === before && 0 < sent) stuck.open();
      before = sent;
    }, 100);
    await stuck.promise;
    clearInterval(look);
    t.true(sent < 100, `${sent} MiB are on their way`);
    stream.cancel();
    await t.throwsAsync(sending, { instanceOf: LumeoError });
    end.open();
  });

  test(`openStream() throws what the handler throws, after the answers before it: ${by}`, async (t) => {
    const failing = serveStream(
      NamespaceService.operate,
      async (stream: RpcStream<Answer, Ask>) => {
        await stream.send({ results: [{}] });
        throw new LumeoError("SESSION_EXPIRED", "Cannot go on: the session is unknown");
      },
    );
    const { channel } = await start(t, [failing]);
    const stream = await openStream(channel, NamespaceService.operate, { direct });
    const got: Answer[] = [];
    const reading = (async () => {
      for await (const answer of stream) got.push(answer);
    })();
    await fails(t, "SESSION_EXPIRED", reading);
    t.is(got.length, 1);
    await fails(t, "SESSION_EXPIRED", stream.send({}));
  });

  test(`leaving the iteration early cancels the call, and the handler hears of it: ${by}`, async (t) => {
    const heard = gate();
    const chatty = serveStream(
      NamespaceService.operate,
      async (stream: RpcStream<Answer, Ask>, context) => {
        context.signal.addEventListener("abort", () => heard.open());
        await stream.send({});
        for await (const _ of stream) continue;
      },
    );
    const { channel } = await start(t, [chatty]);
    const stream = await openStream(channel, NamespaceService.operate, { direct });
    for await (const _ of stream) break;
    await heard.promise;
    await fails(t, "ABORTED", stream.send({}));
  });

  test(`openStream() ends when the caller's signal aborts: ${by}`, async (t) => {
    const { channel } = await start(t, [echo]);
    const abort = new AbortController();
    const stream = await openStream(channel, NamespaceService.operate, {
      direct,
      signal: abort.signal,
    });
    const first = stream[Symbol.asyncIterator]();
    await stream.send({});
    await first.next();
    const next = first.next();
    abort.abort();
    await fails(t, "ABORTED", next as Promise<unknown>);
  });

  test(`RpcServer serves many streams at once without a warning of a leak: ${by}`, async (t) => {
    const { promise: over, open: end } = gate();
    const serve = async (stream: RpcStream<Answer, Ask>): Promise<void> => {
      await stream.send({});
      await over;
    };
    const { channel } = await start(t, [serveStream(NamespaceService.operate, serve)]);
    const warnings: string[] = [];
    const warned = ({ message }: Error): void => void warnings.push(message);
    process.on("warning", warned);
    t.teardown(() => process.off("warning", warned));
    for (let i = 0; i < 20; i++) {
      const stream = await openStream(channel, NamespaceService.operate, { direct });
      await stream[Symbol.asyncIterator]().next();
    }
    await new Promise(setImmediate); // warnings come with the next turn
    t.deepEqual(warnings, []);
    end();
  });

  test(`RpcServer.close() ends streams on both sides: ${by}`, async (t) => {
    const handlerEnded = gate();
    const waiting = serveStream(
      NamespaceService.operate,
      async (stream: RpcStream<Answer, Ask>, context) => {
        await stream.send({});
        try {
          for await (const _ of stream) continue;
        } finally {
          t.true(context.signal.aborted);
          handlerEnded.open();
        }
      },
    );
    const { server, channel } = await start(t, [waiting], { closeGraceMs: TIMEOUT_MS });
    const stream = await openStream(channel, NamespaceService.operate, { direct });
    const answers = stream[Symbol.asyncIterator]();
    await answers.next();
    const next = fails(t, "CONNECTION_LOST", answers.next() as Promise<unknown>);
    await server.close();
    await Promise.all([next, handlerEnded.promise]);
  });
}

test("a direct stream carries a message larger than any buffer, whole", async (t) => {
  const { channel } = await start(t, [echoPath]);
  const stream = await openStream(channel, NamespaceService.operate, { direct: true });
  const path = "é".repeat(3 << 20);
  await stream.send({ operations: [{ stat: { path } }] });
  stream.end();
  for await (const { results } of stream) t.is(results?.[0]?.error?.message, path);
});

test("a direct stream carries messages in parts, long and short, in order", async (t) => {
  const { channel } = await start(t, [echoPath]);
  const lengths = [0, 1, 2, 20_000, 5, 300_000, 70_000];
  const inParts = (request: lumeo.master.v1.IOperateRequest): Uint8Array[] => {
    const bytes = lumeo.master.v1.OperateRequest.encode(request).finish();
    const cuts = [0, 3, 3, 17_000, bytes.byteLength];
    return cuts.slice(1).map((end, i) => bytes.subarray(cuts[i], end));
  };
  const stream = await openStream(channel, NamespaceService.operate, { direct: true, inParts });
  const paths = lengths.map((length, i) => `${i}`.repeat(length));
  for (const path of paths) await stream.send({ operations: [{ stat: { path } }] });
  stream.end();
  const heard: unknown[] = [];
  for await (const { results } of stream) heard.push(results?.[0]?.error?.message);
  t.deepEqual(heard, paths);
});

test("a direct stream knows that nothing was sent when nobody listens", async (t) => {
  const [port] = await findFreePorts(1);
  const channel = new RpcChannel(`127.0.0.1:${port}`);
  t.teardown(() => channel.close());
  await fails(t, "UNAVAILABLE", openStream(channel, NamespaceService.operate, { direct: true }));
});

test("a direct stream of a method that is not served is refused", async (t) => {
  const { channel } = await start(t, [status(async () => ({}))]);
  const stream = await openStream(channel, NamespaceService.operate, { direct: true });
  await fails(t, "PROTOCOL", stream[Symbol.asyncIterator]().next() as Promise<unknown>);
});

test("RpcServer closes connections that say nothing it knows, and serves the others", async (t) => {
  const { server, channel } = await start(t, [status(async () => ({ status: { id: "m1" } }))]);
  const nonsense = ["LUMEO/9\n".padEnd(20, "\0"), "GET / HTTP/1.1\r\n\r\n"];
  for (const text of nonsense) {
    const socket = createConnection({ host: server.host, port: server.port });
    socket.on("error", () => undefined);
    socket.resume();
    socket.write(text);
    await once(socket, "close");
  }
  t.is((await ask(channel)).status?.id, "m1");
});

test("RpcServer.close() does not wait for a connection that says nothing", async (t) => {
  const { server } = await start(t, [], { closeGraceMs: TIMEOUT_MS });
  const socket = createConnection({ host: server.host, port: server.port });
  await once(socket, "connect");
  const closed = once(socket, "close");
  socket.resume();
  await Promise.all([server.close(), closed]);
  t.pass();
});

const bytesCounted = serveUpload(RaftService.installSnapshot, async (requests) => {
  let bytes = 0;
  for await (const request of requests) bytes += request.piece?.byteLength ?? 0;
  return { received: bytes === 3_000_000 };
});

test("upload() sends all pieces and brings the answer", async (t) => {
  const { channel } = await start(t, [bytesCounted]);
  const pieces = Array.from({ length: 30 }, () => ({ piece: new Uint8Array(100_000) }));
  const options = { timeoutMs: TIMEOUT_MS };
  const answer = await upload(channel, RaftService.installSnapshot, pieces, options);
  t.true(answer.received);
});

test("upload() fails with the handler's error although pieces are left", async (t) => {
  const refuse = serveUpload(RaftService.installSnapshot, async () => {
    throw new LumeoError("CONFLICT", "Cannot install: an older term");
  });
  const { channel } = await start(t, [refuse]);
  const pieces = Array.from({ length: 100 }, () => ({ piece: new Uint8Array(1 << 20) }));
  const sending = upload(channel, RaftService.installSnapshot, pieces, { timeoutMs: TIMEOUT_MS });
  await fails(t, "CONFLICT", sending);
});

test("upload() cancels the call when its source fails", async (t) => {
  const heard = gate();
  const handler = serveUpload(RaftService.installSnapshot, async (requests) => {
    try {
      for await (const _ of requests) continue; // it may look like a normal end (R5)
    } finally {
      heard.open();
    }
    return {};
  });
  const { channel } = await start(t, [handler]);
  async function* broken(): AsyncGenerator<lumeo.master.v1.IInstallSnapshotRequest> {
    yield { piece: new Uint8Array(10) };
    throw new InvariantViolation("source broke");
  }
  const sending = upload(channel, RaftService.installSnapshot, broken(), {
    timeoutMs: TIMEOUT_MS,
  });
  await t.throwsAsync(sending, { instanceOf: InvariantViolation });
  await heard.promise;
});
