import { LumeoError } from "@lumeofs/base";
import type { Exchange } from "@lumeofs/node/frames";
import test from "ava";
import type { ChunkStore } from "../store/chunk-store.js";
import { ReadService } from "./read-service.js";
import { Rooms } from "./rooms.js";
import type { StoppedChunks } from "./stopped-chunks.js";

test("a reader whose connection is gone gives its room back once, and no more", async (t) => {
  const rooms = new Rooms();
  const stopped = { check: () => {} } as unknown as StoppedChunks;
  const reader = { length: 3, read: async () => new Uint8Array(4) };
  const store = { open: async () => reader } as unknown as ChunkStore;
  const reads = new ReadService(store, rooms, stopped);
  const lost = new LumeoError("CONNECTION_LOST", "The connection is closed");
  let sent = 0;
  const exchange = {
    // As FrameSocket.send does it.
    send: (_message: unknown, _payload: unknown, told: () => void) => {
      sent++;
      t.is(rooms.reads.used, 3);
      told();
      throw lost;
    },
  } as unknown as Exchange;
  const asked = { handle: 1, epoch: 1, token: new Uint8Array() };
  const message = { type: "readMany", chunks: [asked] } as unknown as Parameters<
    ReadService["serveMany"]
  >[0];
  const failure = await t.throwsAsync(reads.serveMany(message, exchange, () => true));
  t.is(failure, lost);
  t.is(sent, 1);
  t.is(rooms.reads.used, 0);
});
