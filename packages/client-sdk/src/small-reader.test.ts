import { LumeoError, type MonotonicMs, monotonicMs, serverId } from "@lumeofs/base";
import test from "ava";
import { HEDGE_DEFAULT, HedgePolicy } from "./hedge-policy.js";
import type { LocatedChunk, ReplicaState } from "./operations.js";
import { systemPorts } from "./ports.js";
import type { JointReadOptions } from "./rpc/joint-read.js";
import { ServerScores } from "./server-scores.js";
import { SmallReader } from "./small-reader.js";

type Found = readonly (Uint8Array | undefined)[];

interface Frame {
  readonly chunks: readonly LocatedChunk[];
  readonly address: string;
  isGivenUp: boolean;
  readonly answer: (found: Found) => void;
  readonly fail: (error: LumeoError) => void;
}

function replica(n: number): ReplicaState {
  const address = `h:${n}`;
  const standing = { labels: {}, role: "primary", state: "alive", damaged: false } as const;
  return { server: serverId(n), name: `cs${n}`, address, ...standing };
}

function chunk(handle: number, lengthBytes = 10): LocatedChunk {
  const content = { lengthBytes, crc32c: 1, coding: undefined };
  const kept = { isInline: false, inlineBytes: undefined };
  return { handle, epoch: 1, ...content, ...kept, replicas: [], token: undefined };
}

/** Chunkservers and a clock in the hands of the test. */
function setup(hedges = new HedgePolicy(HEDGE_DEFAULT)) {
  const frames: Frame[] = [];
  const failed: string[] = [];
  const time = { now: 0, wake: (): void => undefined };
  const clock = { ...systemPorts().clock, monotonicMs: (): MonotonicMs => monotonicMs(time.now) };
  const scores = new ServerScores();
  const reader = new SmallReader({
    ...{ scores, hedges },
    chunkservers: {
      readTogether: (chunks, { address, begun }: JointReadOptions) => {
        return new Promise((answer, fail) => {
          const frame: Frame = { chunks, address, isGivenUp: false, answer, fail };
          frames.push(frame);
          begun(() => {
            frame.isGivenUp = true;
            fail(new LumeoError("CLOSED", "given up"));
          });
        });
      },
    },
    outlook: {
      failed: (_handle, { name }) => failed.push(name),
      worked: () => undefined,
    },
    ports: {
      clock,
      timers: {
        after: (_ms, wake) => {
          time.wake = wake;
          return { cancel: () => undefined };
        },
        every: () => ({ cancel: () => undefined }),
      },
    },
  });
  return { reader, frames, failed, time, scores };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));
const BYTES = Uint8Array.of(1, 2, 3);

test("what is asked for in one turn leaves in one frame for each server", async (t) => {
  const { reader, frames } = setup();
  const reads = [reader.read(chunk(1), replica(1)), reader.read(chunk(2), replica(2))];
  reads.push(reader.read(chunk(3), replica(1)));
  await turn();
  t.deepEqual(
    frames.map(({ address, chunks }) => [address, chunks.map(({ handle }) => handle)]),
    [
      ["h:1", [1, 3]],
      ["h:2", [2]],
    ],
  );
  frames[0]?.answer([BYTES, undefined]);
  frames[1]?.answer([BYTES]);
  t.deepEqual(await Promise.all(reads), [BYTES, BYTES, undefined]);
});

test("while two frames are out at a server chunks gather, up to what one frame brings", async (t) => {
  const { reader, frames } = setup();
  const reads: Promise<unknown>[] = [];
  for (let i = 0; i < 2; i++) {
    reads.push(reader.read(chunk(1), replica(1)));
    await turn();
  }
  for (let i = 0; i < 20; i++) reads.push(reader.read(chunk(2, 64 * 1024), replica(1)));
  await turn();
  t.is(frames.length, 2);
  for (let i = 0; i < 4; i++) {
    frames[i]?.answer(frames[i]?.chunks.map(() => BYTES) ?? []);
    await turn();
  }
  t.deepEqual(
    frames.map(({ chunks }) => chunks.length),
    [1, 1, 16, 4],
  );
  await Promise.all(reads);
});

test("a silent server is given up for a hedge, and counts as slow", async (t) => {
  const { reader, frames, failed, time, scores } = setup();
  const read = reader.read(chunk(1), replica(1));
  await turn();
  time.now = 200;
  time.wake();
  t.is(await read, undefined);
  t.true(frames[0]?.isGivenUp);
  t.true(scores.isLagging(serverId(1), monotonicMs(time.now)));
  await turn();
  t.deepEqual(failed, []);
});

test("without a hedge to spare a silent server is waited for, until patience ends", async (t) => {
  const hedges = new HedgePolicy(HEDGE_DEFAULT);
  while (hedges.tryHedge());
  const { reader, frames, time } = setup(hedges);
  const read = reader.read(chunk(1), replica(1));
  await turn();
  time.now = 999;
  time.wake();
  t.false(frames[0]?.isGivenUp);
  time.now = 1_000;
  time.wake();
  t.is(await read, undefined);
});

test("a server that cannot be reached has failed, and the chunk is not to be had this way", async (t) => {
  const { reader, frames, failed } = setup();
  const read = reader.read(chunk(1), replica(1));
  await turn();
  frames[0]?.fail(new LumeoError("UNAVAILABLE", "nobody"));
  t.is(await read, undefined);
  t.deepEqual(failed, ["cs1"]);
});

test("there is no such way without hedges: nobody would look into a silence", (t) => {
  t.false(setup(new HedgePolicy(undefined)).reader.isOpen);
  t.true(setup().reader.isOpen);
});
