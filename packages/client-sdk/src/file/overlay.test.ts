import test from "ava";
import fc from "fast-check";
import { Overlay } from "./overlay.js";

const SIZE = 60;
const change = fc.oneof(
  fc.record({
    kind: fc.constant("write" as const),
    start: fc.nat(SIZE),
    bytes: fc.uint8Array({ maxLength: 20 }),
  }),
  fc.record({ kind: fc.constant("cut" as const), end: fc.nat(SIZE) }),
);

test("an overlay holds what was written last, wherever ranges meet", (t) => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), fc.nat(SIZE), fc.nat(SIZE), (all, a, b) => {
      const overlay = new Overlay();
      const model = new Map<number, number>();
      for (const one of all) {
        if (one.kind === "write") {
          overlay.write(one.start, one.bytes);
          for (const [i, byte] of one.bytes.entries()) model.set(one.start + i, byte);
        } else {
          overlay.cut(one.end);
          for (const at of [...model.keys()]) if (one.end <= at) model.delete(at);
        }
      }
      const [start, end] = [Math.min(a, b), Math.max(a, b)];
      const target = new Uint8Array(end - start).fill(255);
      overlay.applyTo(target, start);
      t.deepEqual(
        [...target],
        Array.from(target, (_, i) => model.get(start + i) ?? 255),
      );
      t.is(overlay.byteLength, model.size);
      t.is(overlay.end, Math.max(0, ...[...model.keys()].map((at) => at + 1)));
      t.is(
        overlay.touches(start, end),
        [...model.keys()].some((at) => start <= at && at < end),
      );
    }),
  );
});

test("bytes may change after they were written", (t) => {
  const overlay = new Overlay();
  const bytes = Uint8Array.of(1, 2);
  overlay.write(0, bytes);
  bytes.fill(9);
  const target = new Uint8Array(2);
  overlay.applyTo(target, 0);
  t.deepEqual([...target], [1, 2]);
});

test("what was written stays, also when the caller's Buffer changes", (t) => {
  const overlay = new Overlay();
  const bytes = Buffer.from("abc");
  overlay.write(0, bytes);
  bytes.fill("x");
  const target = new Uint8Array(3);
  overlay.applyTo(target, 0);
  t.is(Buffer.from(target).toString(), "abc");
});
