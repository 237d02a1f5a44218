import { ByteReader, ByteWriter } from "@lumeofs/base";
import test from "ava";

test("a writer that grows at any call keeps every byte", (t) => {
  for (let filled = 0; filled <= 8; filled++) {
    const filler = new Uint8Array(filled).fill(9);
    const calls: readonly ((writer: ByteWriter) => ByteWriter)[] = [
      (w) => w.u8(1),
      (w) => w.u16(2),
      (w) => w.u32(3),
      (w) => w.u53(4),
      (w) => w.bytes(Uint8Array.of(5, 6, 7, 8, 9, 10)),
      (w) => w.sized(Uint8Array.of(11)),
    ];
    for (const call of calls) {
      const expected = call(new ByteWriter(64).bytes(filler)).finish();
      t.deepEqual(call(new ByteWriter(8).bytes(filler)).finish(), expected);
    }
  }
  const reader = new ByteReader(
    new ByteWriter(1)
      .u53(2 ** 53 - 1)
      .u32(7)
      .finish(),
  );
  t.deepEqual([reader.u53(), reader.u32(), reader.remaining], [2 ** 53 - 1, 7, 0]);
});
