import { ByteMap, compareBytes } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";

const key = fc.uint8Array({ maxLength: 3, max: 3 });

test("a map of bytes holds what a Map of their texts holds, in the same order", (t) => {
  const write = fc.tuple(key, fc.integer());
  fc.assert(
    fc.property(fc.array(write, { maxLength: 200 }), key, (writes, other) => {
      const map = new ByteMap<number>();
      const model = new Map<string, number>();
      for (const [name, value] of writes) {
        map.set(name, value);
        model.set(name.join(), value);
      }
      const entries = Array.from({ length: map.size }, (_, i) => [
        map.keyAt(i).join(),
        map.valueAt(i),
      ]);
      t.deepEqual(entries, [...model]);
      t.is(map.get(other), model.get(other.join()));
      t.is(0 <= map.find(other), model.has(other.join()));
    }),
  );
});

test("a value may be replaced by the number of its entry", (t) => {
  const map = new ByteMap<string | undefined>();
  map.set(Uint8Array.of(1), "one");
  map.setValueAt(map.find(Uint8Array.of(1)), undefined);
  t.is(map.get(Uint8Array.of(1)), undefined);
  t.is(map.size, 1);
});

test("bytes are compared as memcmp does", (t) => {
  fc.assert(
    fc.property(key, key, (a, b) => {
      t.is(Math.sign(compareBytes(a, b)), Math.sign(Buffer.compare(a, b)));
    }),
  );
});
