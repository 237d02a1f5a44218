// Chunkservers serve nobody without the masters' word: what is refused, and what goes on by itself
// when tokens expire, keys are replaced, servers restart and leaders die. Tokens to read live for a
// second here, grants for four, and keys for eight.

import { chunkHandle, crc32c, epoch, LumeoError } from "@lumeofs/base";
import { Lumeo } from "@lumeofs/client";
import { blockCrcs, FramePool, type OpeningMessage } from "@lumeofs/node/frames";
import { RpcChannel, unary } from "@lumeofs/node/rpc";
import { ChunkService } from "@lumeofs/proto";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";
import { someBytes } from "./some-bytes.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MiB = 2 ** 20;
const LIMITS = { timeoutMs: 20_000 };
const SHORT_LIVED = {
  LUMEO_MASTER_TOKEN_MS: "1000",
  LUMEO_MASTER_GRANT_USABLE_MS: "4000",
  LUMEO_MASTER_TOKEN_KEY_MS: "8000",
};

test.before(async (t) => {
  const topology = { masters: 3, chunkservers: 3 };
  t.context = { drill: await Drill.start(topology, SHORT_LIVED) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

interface Found {
  readonly handle: number;
  readonly address: string;
  readonly token: Uint8Array;
}

/** A chunk of a file with a token that the leader gives now. */
async function find(t: ExecutionContext<{ drill: Drill }>, path: string): Promise<Found> {
  const { drill } = t.context;
  await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
  const { chunks = [] } = await client.stat(path, { chunks: true });
  const [chunk] = chunks;
  const leader = (await client.ready()).leader;
  const channel = new RpcChannel(leader);
  try {
    const request = { handle: chunk?.handle ?? 0 };
    const { chunk: located } = await unary(channel, ChunkService.locateChunk, request, LIMITS);
    const address = located?.replicas?.[0]?.address ?? "";
    return { handle: chunk?.handle ?? 0, address, token: located?.token ?? new Uint8Array() };
  } finally {
    await channel.close();
  }
}

/** The code of the refusal of one request; "served" if it was. */
async function ask(address: string, first: OpeningMessage, payload?: Uint8Array): Promise<string> {
  const hello = { type: "hello" as const, role: "client" as const, clusterId: "", name: "test" };
  const pool = new FramePool({ hello: () => hello });
  try {
    const connection = await pool.shared({ address });
    const exchange = connection.request(first, payload === undefined ? [] : [payload]);
    const frame = await exchange.receive();
    frame.release();
    exchange.finish();
    return "served";
  } catch (error) {
    if (error instanceof LumeoError) return error.code;
    throw error;
  } finally {
    await pool.close();
  }
}

function read(handle: number, token: Uint8Array | undefined): OpeningMessage {
  const target = { handle: chunkHandle(handle), epoch: epoch(1), offset: 0, length: 100 };
  return { type: "read", ...target, ...(token === undefined ? {} : { token }) };
}

test.serial(
  "a request without the masters' word is refused, whatever it shows instead",
  async (t) => {
    const { drill } = t.context;
    await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
    await client.put("/a", someBytes(1, 5_000));
    await client.put("/b", someBytes(2, 5_000));
    const { handle, address } = await find(t, "/a");
    const other = await find(t, "/b");
    // A token is short-lived here: each request shows one that was given a moment ago.
    const token = async (): Promise<Uint8Array> => (await find(t, "/a")).token;
    t.is(await ask(address, read(handle, await token())), "served");
    t.is(await ask(address, read(handle, undefined)), "UNAUTHENTICATED");
    const forged = (await token()).slice();
    forged[30] = (forged[30] as number) ^ 1;
    t.is(await ask(address, read(handle, forged)), "UNAUTHENTICATED");
    t.is(await ask(other.address, read(other.handle, await token())), "PERMISSION_DENIED");
    const place = { type: "fileLookup", handle: chunkHandle(handle), epoch: epoch(1) } as const;
    t.is(await ask(address, place), "UNAUTHENTICATED");
    t.is(
      await ask(other.address, {
        ...place,
        handle: chunkHandle(other.handle),
        token: await token(),
      }),
      "PERMISSION_DENIED",
    );
    t.is(await ask(address, { ...place, token: await token() }), "NOT_FOUND"); // it is in a log
    const bytes = new Uint8Array(10);
    const content = { length: 10, crc32c: crc32c(bytes), crcs: blockCrcs([bytes], crc32c) };
    const target = { handle: chunkHandle(handle), epoch: epoch(1), chain: [] };
    const write = { type: "writeSmall" as const, ...target, ...content };
    t.is(await ask(address, { ...write, token: await token() }, bytes), "PERMISSION_DENIED");
    t.is(await ask(address, write, bytes), "UNAUTHENTICATED");
  },
);

test.serial("a token ends, and a reading that outlives it goes on with another one", async (t) => {
  const { drill } = t.context;
  await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
  const bytes = someBytes(3, 24 * MiB); // three times what is read ahead
  await client.put("/long", bytes, { chunkSize: 1 * MiB });
  const { handle, address, token } = await find(t, "/long");
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.get("/long")) {
    pieces.push(piece);
    if (pieces.length !== 1) continue;
    // By now the tokens of this reading are as old as this one.
    await drill.until(t, "the token to end", async () => {
      const code = await ask(address, read(handle, token));
      return code === "TOKEN_EXPIRED" || code === "UNAUTHENTICATED"; // or its key is gone too
    });
  }
  t.is(Buffer.compare(Buffer.concat(pieces), bytes), 0);
});

test.serial(
  "files are written and read while keys are replaced, servers restart and leaders die",
  async (t) => {
    const { drill } = t.context;
    await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
    const keyOf = async (): Promise<number> => {
      const { token } = await find(t, "/a");
      return new DataView(token.buffer, token.byteOffset).getUint32(2, true);
    };
    const first = await keyOf();
    let count = 0;
    const use = async (): Promise<void> => {
      const bytes = someBytes(++count, 20_000);
      await client.put(`/f${count}`, bytes);
      const got = await (await client.get(`/f${count}`)).bytes();
      t.is(Buffer.compare(got, bytes), 0, `file ${count}`);
    };
    await drill.until(t, "two new keys", async () => {
      await use();
      return first + 2 <= (await keyOf());
    });
    await drill.cluster.kill("cs1");
    await drill.cluster.restart("cs1"); // it has no key until the leader has answered it
    await use();
    const leader = await drill.leader(t);
    await drill.cluster.kill(leader);
    await use();
    await drill.cluster.restart(leader);
    const before = await keyOf();
    await drill.until(t, "a key of the new leader", async () => {
      await use();
      return before < (await keyOf());
    });
  },
);
