import test from "ava";
import type { StreamSource } from "./body.js";
import { PeekedStream } from "./peeked-stream.js";

/** Gives its pieces in memory that it uses again. */
function streamOf(texts: readonly string[]): StreamSource & { closed: number } {
  const left = [...texts];
  const memory = Buffer.alloc(8);
  return {
    kind: "stream",
    closed: 0,
    async next() {
      const text = left.shift();
      return text === undefined ? undefined : memory.subarray(0, memory.write(text));
    },
    async close() {
      this.closed++;
    },
  };
}

async function textOf(source: StreamSource): Promise<string> {
  let text = "";
  for (;;) {
    const piece = await source.next();
    if (piece === undefined) return text;
    text += Buffer.from(piece).toString();
  }
}

test("what was looked at is given out again, then the rest", async (t) => {
  const stream = new PeekedStream(streamOf(["ab", "cd", "ef"]));
  t.is(await stream.peek(3), 4);
  t.is(await textOf(stream), "abcdef");
});

test("a short stream is looked at to its end, and is closed once", async (t) => {
  const source = streamOf(["ab"]);
  const stream = new PeekedStream(source);
  t.is(await stream.peek(3), 2);
  t.is(await textOf(stream), "ab");
  t.is(await stream.next(), undefined);
  await stream.close();
  t.is(source.closed, 1);
});
