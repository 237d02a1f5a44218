import { chunkHandle, LumeoError, wallMs } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import {
  began,
  decodeProgress,
  encodeProgress,
  ended,
  NOTHING_SCRUBBED,
  PROGRESS_BYTES_MAX,
  passed,
  type ScrubProgress,
} from "./progress.js";

const step = fc.oneof(
  fc.record({ kind: fc.constant("began" as const), at: fc.integer({ min: 1, max: 2 ** 44 }) }),
  fc.record({ kind: fc.constant("ended" as const), at: fc.integer({ min: 1, max: 2 ** 44 }) }),
  fc.record({
    kind: fc.constant("passed" as const),
    handle: fc.integer({ min: 1, max: 2 ** 40 }),
    readBytes: fc.nat(),
    isFound: fc.boolean(),
  }),
);

function after(steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[]) {
  return steps.reduce<ScrubProgress>((progress, one) => {
    if (one.kind === "began") return began(progress, wallMs(one.at));
    if (one.kind === "ended") return ended(progress, wallMs(one.at));
    return passed(progress, { ...one, handle: chunkHandle(one.handle) });
  }, NOTHING_SCRUBBED);
}

test("a progress is decoded to what was encoded, and other bytes are refused", (t) => {
  const steps = fc.array(step, { maxLength: 20 });
  fc.assert(
    fc.property(steps, (all) => {
      const progress = after(all);
      const bytes = encodeProgress(progress);
      t.true(bytes.byteLength <= PROGRESS_BYTES_MAX);
      t.deepEqual(decodeProgress(bytes), progress);
    }),
  );
  t.throws(() => decodeProgress(new Uint8Array(20)), { instanceOf: LumeoError, code: "CORRUPT" });
});

test("a round moves the position up and counts, and its end keeps when it began", (t) => {
  const [low, high] = [chunkHandle(5), chunkHandle(9)];
  let progress = began(NOTHING_SCRUBBED, wallMs(100));
  progress = passed(progress, { handle: high, readBytes: 10, isFound: false });
  progress = passed(progress, { handle: low, readBytes: 15, isFound: true });
  t.like(progress, { position: high, roundBeganAt: wallMs(100), lastRound: undefined });
  progress = ended(progress, wallMs(200));
  t.like(progress, { position: 0, roundBeganAt: undefined });
  t.deepEqual(progress.lastRound, { beganAt: wallMs(100), endedAt: wallMs(200) });
  t.like(progress, { roundCount: 1, readCount: 2, readBytes: 25, foundCount: 1 });
});
