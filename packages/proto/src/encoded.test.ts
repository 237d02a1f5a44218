import test from "ava";
import { lumeo } from "#messages";
import { type Encoder, encoded } from "./encoded.js";

const { Commit } = lumeo.master.v1;

test("every message has its own bytes, whatever was written before and after it", (t) => {
  const sizes = [0, 10, 5_000, 3_000_000, 127, 128, 16_384, 1, 700_000];
  const messages = sizes.map((size, i) => ({
    path: `/f${i}`,
    inlineBytes: Buffer.alloc(size, i + 1),
    metadata: { name: "é".repeat(i) },
  }));
  const all = messages.map((message) => encoded(Commit, message));
  for (const [i, bytes] of all.entries()) {
    t.true(bytes.equals(Buffer.from(Commit.encode(messages[i] ?? {}).finish())), `${sizes[i]}`);
    t.is(Commit.decode(bytes).inlineBytes?.byteLength ?? 0, sizes[i] ?? 0);
  }
});

test("a message that cannot be written leaves nothing in the next one", (t) => {
  const failing: Encoder<string> = {
    encode(text, writer) {
      writer?.uint32(10).fork().string(text);
      throw new Error("in the middle");
    },
  };
  t.throws(() => encoded(failing, "left over"), { message: "in the middle" });
  t.is(Commit.decode(encoded(Commit, { path: "/f" })).path, "/f");
});

test("a message that is written while another one is has its own bytes, too", (t) => {
  let inner: Buffer | undefined;
  const outer: Encoder<string> = {
    encode(text, writer) {
      const begun = (writer as NonNullable<typeof writer>).uint32(10).string(text);
      inner = encoded(Commit, { path: "/inner" });
      return begun;
    },
  };
  t.is(Commit.decode(encoded(outer, "/outer")).path, "/outer");
  t.is(Commit.decode(inner as Buffer).path, "/inner");
});
