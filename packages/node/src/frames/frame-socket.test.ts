import { EventEmitter } from "node:events";
import { Budget, crc32c, KiB, type LumeoError } from "@lumeofs/base";
import test from "ava";
import { SystemTimers } from "../system-clock.js";
import { blockCrcs } from "./blocks.js";
import type { ByteReceiver, ByteSocket } from "./data-network.js";
import { encodeFrameHead } from "./frame-codec.js";
import { FrameSocket, type ReceivedFrame } from "./frame-socket.js";
import { PayloadBuffers } from "./payload-buffers.js";

const PAYLOAD_BYTES = 128 * KiB;

/** A socket that closes when the test says so, some time after it was told to. */
class HandSocket extends EventEmitter {
  receiver: ByteReceiver | undefined;

  receiveInto(receiver: ByteReceiver): void {
    this.receiver = receiver;
  }

  write(_bytes: Uint8Array, written?: () => void): boolean {
    written?.();
    return true;
  }

  cork(): void {}
  uncork(): void {}
  pause(): void {}
  resume(): void {}
  destroy(): void {}
  destroySoon(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}
  setTimeout(): void {}
}

function cast() {
  const socket = new HandSocket();
  const buffers = new PayloadBuffers();
  const room = new Budget(PAYLOAD_BYTES);
  const frames: ReceivedFrame[] = [];
  const ends: LumeoError[] = [];
  const owner = {
    admit: () => room.take(PAYLOAD_BYTES),
    received: (frame: ReceivedFrame) => void frames.push(frame),
    closed: (reason: LumeoError) => void ends.push(reason),
    isBusy: () => true,
  };
  const timers = new SystemTimers({ unref: true });
  const options = { crc32c, timers, buffers };
  const frameSocket = new FrameSocket(socket satisfies ByteSocket, owner, options);
  return { socket, buffers, room, frames, ends, frameSocket };
}

/** The first frame has come as far as its head, and its payload has a place. */
async function receiveHead({ socket }: ReturnType<typeof cast>): Promise<Uint8Array> {
  const bytes = new Uint8Array(PAYLOAD_BYTES);
  const crcs = blockCrcs([bytes], crc32c);
  const head = encodeFrameHead(1, { type: "readData", offset: 0, crcs }, PAYLOAD_BYTES, crc32c);
  socket.receiver?.received(head);
  await new Promise((resolve) => setImmediate(resolve));
  const gap = socket.receiver?.gap();
  if (gap === undefined) throw new Error("the payload has no place");
  return gap;
}

const place = ({ buffer, byteOffset }: Uint8Array) => ({ buffer, byteOffset });

test("the memory of half a payload is used again when its connection has closed, not before", async (t) => {
  const one = cast();
  const { socket, buffers, room, frames, ends } = one;
  const gap = await receiveHead(one);
  socket.receiver?.filled(PAYLOAD_BYTES / 2);
  socket.emit("end");
  t.is(ends.length, 1);
  t.is(room.used, 0);
  t.is(socket.receiver?.gap(), undefined);
  const other = buffers.take(PAYLOAD_BYTES);
  t.notDeepEqual(place(other), place(gap), "a read may still put bytes there");
  socket.receiver?.filled(PAYLOAD_BYTES / 2);
  socket.emit("close");
  t.deepEqual(place(buffers.take(PAYLOAD_BYTES)), place(gap));
  t.deepEqual(frames, []);
});

test("the memory of a whole payload is that of its frame, also when the connection closes", async (t) => {
  const one = cast();
  const { socket, buffers, frames } = one;
  const gap = await receiveHead(one);
  socket.receiver?.filled(PAYLOAD_BYTES);
  socket.emit("close");
  t.is(frames.length, 1);
  t.notDeepEqual(place(buffers.take(PAYLOAD_BYTES)), place(gap));
  frames[0]?.release();
  t.deepEqual(place(buffers.take(PAYLOAD_BYTES)), place(gap));
});
