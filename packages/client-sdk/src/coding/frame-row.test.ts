import test from "ava";
import fc from "fast-check";
import { FrameRow } from "./frame-row.js";

test("bytes come out in the order in which they went in, however they are cut", (t) => {
  const cuts = fc.array(fc.nat(50), { maxLength: 20 });
  fc.assert(
    fc.property(cuts, cuts, (frames, wishes) => {
      const row = new FrameRow();
      let next = 0;
      let taken = 0;
      for (const length of frames) row.push(Uint8Array.from({ length }, () => next++));
      for (const wish of wishes) {
        const target = new Uint8Array(Math.min(wish, row.byteLength));
        row.take(target);
        for (const byte of target) t.is(byte, taken++ & 255);
      }
      t.is(row.byteLength, next - taken);
    }),
  );
});

test("more than there is cannot be taken", (t) => {
  const row = new FrameRow();
  row.push(new Uint8Array(3));
  t.throws(() => row.take(new Uint8Array(4)), { message: /no more bytes/ });
});
