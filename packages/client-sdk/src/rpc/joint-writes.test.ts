import {
  Budget,
  epoch,
  LumeoError,
  MiB,
  monotonicMs,
  SILENT_LOGGER,
  serverId,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { type DataNetwork, FramePool, FrameServer, TCP } from "@lumeofs/node/frames";
import test, { type ExecutionContext } from "ava";
import { writeTogether } from "./joint-writes.js";

const LANE = 3;

/** A server that refuses all writes. */
async function full(t: ExecutionContext, number: number) {
  const asked: string[] = [];
  const server = await FrameServer.listen({
    ...{ host: "127.0.0.1", port: 0, logger: SILENT_LOGGER },
    greet: () => ({ type: "welcome", serverId: serverId(number), storeUuid: `u${number}` }),
    roomFor: () => new Budget(MiB),
    handle: async ({ message }) => {
      asked.push(message.type);
      throw new LumeoError("NO_SPACE", "Cannot store chunks: the disk is full");
    },
  });
  t.teardown(() => server.close());
  return { asked, address: `127.0.0.1:${server.port}` };
}

test("a replica whose connection comes when the write has failed is not asked (T4)", async (t) => {
  const [fast, slow] = [await full(t, 1), await full(t, 2)];
  let connect: () => void = () => undefined;
  const mayConnect = new Promise<void>((resolve) => {
    connect = resolve;
  });
  const network: DataNetwork = {
    timers: TCP.timers,
    listen: (where, events) => TCP.listen(where, events),
    connect: async (address, limits) => {
      if (address === slow.address) await mayConnect;
      return TCP.connect(address, limits);
    },
  };
  const hello = { type: "hello", role: "client", clusterId: "", name: "test" } as const;
  const frames = new FramePool({ hello: () => hello, network });
  t.teardown(() => frames.close());
  const replicas = [fast, slow].map(({ address }, i) => {
    return { server: serverId(i + 1), name: `cs${i + 1}`, address };
  });
  const row = { handle: 64, count: 1, epoch: 1, replicas, token: undefined };
  const ports = { frames, crc32c: nativeCrc32c, timers: TCP.timers, lane: LANE };
  const writing = writeTogether(
    ports,
    { ...row, usableUntil: monotonicMs(1e9), epoch: epoch(1) },
    [Uint8Array.of(1, 2, 3)],
    30_000,
  );
  const error = await t.throwsAsync(writing, { instanceOf: LumeoError, code: "NO_SPACE" });
  t.deepEqual(error?.details.servers, [serverId(1)]);
  t.deepEqual(fast.asked, ["writeMany"]);
  connect();
  const connection = await frames.shared({ address: slow.address, lane: LANE });
  await new Promise((resolve) => setImmediate(resolve));
  t.is(connection.openRequests, 0);
});
