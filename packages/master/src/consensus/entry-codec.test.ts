import { LumeoError } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { type Entry, type EntryKind, logIndex, term } from "../raft/entry.js";
import {
  chainOf,
  decodeEntries,
  encodedLength,
  encodeEntries,
  encodeEntry,
} from "./entry-codec.js";

const anyEntry: fc.Arbitrary<Entry> = fc.record({
  index: fc.maxSafeNat().map(logIndex),
  term: fc.maxSafeNat().map(term),
  kind: fc.constantFrom<EntryKind>("noop", "command", "membership"),
  data: fc.uint8Array({ maxLength: 300 }),
});

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const plain = ({ index, term, kind, data }: Entry) => [index, term, kind, ...data];

test("decodeEntries() gives back what encodeEntry() made of each", (t) => {
  fc.assert(
    fc.property(fc.array(anyEntry, { maxLength: 5 }), (entries) => {
      const bytes = Buffer.concat(entries.map(encodeEntry));
      t.is(
        bytes.length,
        entries.reduce((sum, entry) => sum + encodedLength(entry), 0),
      );
      t.deepEqual(decodeEntries(bytes).map(plain), entries.map(plain));
    }),
  );
});

test("An entry that was decoded has the bytes that it came in", (t) => {
  fc.assert(
    fc.property(anyEntry, (entry) => {
      const bytes = encodeEntry(entry);
      const [decoded] = decodeEntries(bytes);
      t.is(Buffer.compare(encodeEntry(decoded as Entry), bytes), 0);
    }),
  );
});

test("decodeEntries() refuses any flipped bit, and never hangs on any bytes", (t) => {
  fc.assert(
    fc.property(anyEntry, fc.nat(), (entry, draw) => {
      const bytes = new Uint8Array(encodeEntry(entry));
      const bit = draw % (8 * bytes.length);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      t.throws(() => decodeEntries(bytes), { instanceOf: LumeoError });
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), (bytes) => {
      t.throws(() => decodeEntries(bytes), { instanceOf: LumeoError });
    }),
  );
});

test("chainOf() depends on the entry and on everything before it", (t) => {
  const [a, b] = [1, 2].map((n): Entry => {
    const data = new Uint8Array([n]);
    return { index: logIndex(1), term: term(1), kind: "command", data };
  }) as [Entry, Entry];
  const chains = new Set([chainOf(a, 0), chainOf(b, 0), chainOf(a, 1), chainOf(b, 1)]);
  t.is(chains.size, 4);
});

/** Written by version 1: it must be readable for ever. */
const GOLDEN = "13000000492ac3a502070000000000000003000000000000006162";

test("The bytes of an entry are those of docs/formats/raft-log.md, version 1", (t) => {
  const data = new TextEncoder().encode("ab");
  const entry: Entry = { index: logIndex(7), term: term(3), kind: "command", data };
  t.is(Buffer.from(encodeEntry(entry)).toString("hex"), GOLDEN);
  t.deepEqual(decodeEntries(Buffer.from(GOLDEN, "hex")).map(plain), [plain(entry)]);
});

test("encodeEntries() gives the bytes of each, new, remembered, asked for again or decoded", (t) => {
  const lengths = fc.array(fc.nat({ max: 6_000 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(lengths, fc.nat(), fc.array(fc.boolean()), (sizes, from, wereEncoded) => {
      const entries = sizes.map((size, i): Entry => {
        const data = new Uint8Array(size).fill(i + 1);
        return { index: logIndex(from + i), term: term(1), kind: "command", data };
      });
      for (const [i, entry] of entries.entries()) if (wereEncoded[i]) encodeEntry(entry);
      const bytes = encodeEntries(entries);
      t.deepEqual(decodeEntries(new Uint8Array(bytes)).map(plain), entries.map(plain));
      t.is(hex(encodeEntries(entries)), hex(bytes));
      t.is(hex(Buffer.concat(entries.map(encodeEntry))), hex(bytes));
      const rest = bytes.subarray(encodedLength(entries[0] as Entry));
      t.is(hex(encodeEntries(entries.slice(1))), hex(rest));
      const decoded = decodeEntries(bytes);
      t.is(encodeEntries(decoded), bytes, "what came is not put together again");
      t.is(hex(encodeEntries(decoded.slice(0, -1))), hex(encodeEntries(entries.slice(0, -1))));
    }),
    { numRuns: 200 },
  );
  t.is(encodeEntries([]).byteLength, 0);
});
