import { chunkHandle, epoch, LumeoError } from "@lumeofs/base";
import { type Exchange, FramePool } from "@lumeofs/node/frames";
import test from "ava";
import { LARGE_WRITES_MAX } from "../src/rpc/data-service.js";
import { startReplica } from "./replicas.js";

const PER_CONNECTION = 200;

test("large writes beyond the limit are refused, and there is room again when others end", async (t) => {
  const replica = await startReplica(1);
  const pool = new FramePool({
    hello: () => ({ type: "hello", role: "client", clusterId: "", name: "test" }),
  });
  const route = { address: replica.address };
  const begin = async (handles: number[]) => {
    const { connection } = await pool.exclusive(route);
    return handles.map((handle) => {
      const target = { handle: chunkHandle(handle), epoch: epoch(1), chain: [] };
      return connection.request({ type: "writeOpen", ...target });
    });
  };
  const asked = LARGE_WRITES_MAX + 10;
  const handles = Array.from({ length: asked }, (_, i) => i + 1);
  const opened: Exchange[] = [];
  for (let at = 0; at < asked; at += PER_CONNECTION) {
    opened.push(...(await begin(handles.slice(at, at + PER_CONNECTION))));
  }
  let refused = 0;
  await new Promise<void>((resolve) => {
    for (const exchange of opened) {
      exchange.receive().catch((error: unknown) => {
        if (!(error instanceof LumeoError) || error.code !== "OVERLOADED") return;
        refused++;
        if (refused === 10) resolve();
      });
    }
  });
  t.is(replica.data.writesInFlight, LARGE_WRITES_MAX);
  await pool.close();
  while (0 < replica.data.writesInFlight) await new Promise((resolve) => setImmediate(resolve));
  t.is((await replica.store.page(undefined, 10)).length, 0);
  await replica.close();
});
