import { LumeoError, monotonicMs, serverId } from "@lumeofs/base";
import test from "ava";
import { Call } from "./call.js";
import { Events } from "./events.js";
import type { HandleRow } from "./grant-book.js";
import { LATEST } from "./operations.js";
import { systemPorts } from "./ports.js";
import { NO_RETRY } from "./retry.js";
import { SmallSender } from "./small-sender.js";

const settings = {
  ...{ method: "put", path: undefined, signal: undefined, policy: NO_RETRY, wish: LATEST },
  ...{ tellsFreshness: false, timeoutMs: 1_000, deadlineMs: Infinity },
};
const wish = { replicas: 3, timeoutMs: 1_000 };

interface Frame {
  readonly row: HandleRow;
  readonly chunks: readonly Uint8Array[];
  readonly answer: (error?: LumeoError) => void;
}

/** Chunkservers whose answers the test gives, and as many handles as anybody wants. */
function setup(rowMax = 64) {
  const frames: Frame[] = [];
  const abandoned: number[] = [];
  let handle = 64;
  let refusal: LumeoError | undefined;
  const replicas = [1, 2, 3].map((n) => {
    return { server: serverId(n), name: `cs${n}`, address: `h:${n}` };
  });
  const common = { epoch: 1, replicas, usableUntil: monotonicMs(1e9), token: undefined };
  const sender = new SmallSender({
    allocations: {
      takeRow: async (_call, _replicas, max) => {
        if (refusal !== undefined) throw refusal;
        const count = Math.min(max, rowMax);
        handle += count;
        return { handle: handle - count, count, ...common };
      },
    },
    chunkservers: {
      writeTogether: (row, chunks) => {
        return new Promise((resolve, reject) => {
          const sums = chunks.map(({ byteLength }) => byteLength);
          const answer = (error?: LumeoError) => (error ? reject(error) : resolve(sums));
          frames.push({ row, chunks, answer });
        });
      },
    },
    abandoned: { add: (handles) => void abandoned.push(...handles), follow: () => undefined },
    blame: (thrown) => new LumeoError("STORE_FAILED", (thrown as LumeoError).message),
  });
  const send = (bytes = 10, call = newCall()) => sender.send(call, new Uint8Array(bytes), wish);
  const refuse = (error: LumeoError | undefined): void => {
    refusal = error;
  };
  return { frames, abandoned, send, refuse };
}

function newCall(): Call {
  return new Call(settings, systemPorts(), new Events());
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("a lone chunk leaves at once, and those of one turn together", async (t) => {
  const { frames, send } = setup();
  const alone = send();
  await turn();
  t.is(frames.length, 1);
  const others = [11, 12, 13].map((bytes) => send(bytes));
  await turn();
  t.deepEqual(
    frames.map(({ chunks }) => chunks.map(({ byteLength }) => byteLength)),
    [[10], [11, 12, 13]],
  );
  for (const { answer } of frames) answer();
  const written = await Promise.all([alone, ...others]);
  t.deepEqual(
    written.map((one) => [one.target.handle, one.written.lengthBytes, one.written.crc32c]),
    [
      [64, 10, 10],
      [65, 11, 11],
      [66, 12, 12],
      [67, 13, 13],
    ],
  );
});

test("while four frames are out chunks gather, and leave with the next answer", async (t) => {
  const { frames, send } = setup();
  const sent: Promise<unknown>[] = [];
  for (let i = 0; i < 4; i++) {
    sent.push(send());
    await turn();
  }
  for (let i = 0; i < 20; i++) {
    sent.push(send());
    await turn();
  }
  t.is(frames.length, 4);
  frames[0]?.answer();
  await turn();
  t.deepEqual(
    frames.map(({ chunks }) => chunks.length),
    [1, 1, 1, 1, 16],
  );
  frames[1]?.answer();
  await turn();
  t.is(frames[5]?.chunks.length, 4);
  for (const { answer } of frames) answer();
  await Promise.all(sent);
});

test("no frame has more bytes than fit, nor more chunks than there are handles in a row", async (t) => {
  const { frames, send } = setup(5);
  const sent = Array.from({ length: 7 }, () => send(64 * 1024));
  await turn();
  t.deepEqual(
    frames.map(({ row, chunks }) => [row.count, chunks.length]),
    [
      [5, 5],
      [2, 2],
    ],
  );
  for (const { answer } of frames) answer();
  await Promise.all(sent);
});

test("a frame that fails makes all its chunks fail with what is said of it once", async (t) => {
  const { frames, abandoned, send } = setup();
  const sent = [send(), send()];
  await turn();
  frames[0]?.answer(new LumeoError("CONNECTION_LOST", "gone"));
  for (const one of sent) await t.throwsAsync(one, { code: "STORE_FAILED", message: "gone" });
  t.deepEqual(abandoned, [64, 65]);
});

test("handles that cannot be had are the failure of whoever asked, one after the other", async (t) => {
  const { frames, send, refuse } = setup();
  refuse(new LumeoError("NO_SPACE", "full"));
  const first = send();
  const second = send();
  await t.throwsAsync(first, { code: "NO_SPACE" });
  await t.throwsAsync(second, { code: "NO_SPACE" });
  refuse(undefined);
  const third = send();
  await turn();
  frames[0]?.answer();
  await t.notThrowsAsync(third);
});

test("of a frame that is stored, what nobody wants any more is abandoned", async (t) => {
  const { frames, abandoned, send } = setup();
  const call = newCall();
  const wanted = send(10);
  const unwanted = send(11, call);
  await turn();
  call.cancel(new LumeoError("ABORTED", "enough"));
  await t.throwsAsync(unwanted, { code: "ABORTED" });
  frames[0]?.answer();
  t.is((await wanted).target.handle, 64);
  t.deepEqual(abandoned, [65]);
});

test("a chunk that nobody wants any more is not sent, and the others are", async (t) => {
  const { frames, send } = setup();
  const out = [1, 2, 3, 4].map(() => send());
  for (let i = 0; i < 4; i++) {
    if (frames.length === 0) await turn();
    out.push(send());
    await turn();
  }
  const call = newCall();
  const unwanted = send(99, call);
  const wanted = send(98);
  call.cancel(new LumeoError("ABORTED", "enough"));
  await t.throwsAsync(unwanted, { code: "ABORTED" });
  for (let i = 0; i < frames.length; i++) {
    frames[i]?.answer();
    await turn();
  }
  const sizes = frames.flatMap(({ chunks }) => chunks.map(({ byteLength }) => byteLength));
  t.true(sizes.includes(98));
  t.false(sizes.includes(99));
  await Promise.all([...out, wanted]);
});
