import { Writable } from "node:stream";
import test from "ava";
import { Output, ReaderGone } from "./output.js";

const PLAIN = { json: false, quiet: false, debug: false, color: false };

/** A stream that takes pieces one at a time, when told to. */
class SlowStream extends Writable {
  readonly taken: string[] = [];
  #done: ((error?: Error) => void) | undefined;

  constructor() {
    super({ highWaterMark: 4 });
  }

  override _write(data: Buffer, _encoding: string, done: (error?: Error) => void): void {
    this.taken.push(data.toString());
    this.#done = done;
  }

  take(error?: Error): void {
    const done = this.#done;
    this.#done = undefined;
    done?.(error);
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(`${code}: failed`), { code });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test("Output.write() waits while the reader is slow", async (t) => {
  const [stdout, stderr] = [new SlowStream(), new SlowStream()];
  const output = new Output({ stdout, stderr }, PLAIN);
  let isWritten = false;
  const written = output.write("more than four").then(() => {
    isWritten = true;
  });
  await until(() => stdout.taken.length === 1);
  t.false(isWritten);
  stdout.take();
  await written;
  t.true(isWritten);
});

test("Output.flush() waits for what was written without waiting", async (t) => {
  const [stdout, stderr] = [new SlowStream(), new SlowStream()];
  const output = new Output({ stdout, stderr }, PLAIN);
  output.result("a", {});
  let isFlushed = false;
  const flushed = output.flush().then(() => {
    isFlushed = true;
  });
  await until(() => stdout.taken.length === 1);
  t.false(isFlushed);
  stdout.take();
  await until(() => stdout.taken.length === 2);
  stdout.take();
  await until(() => stderr.taken.length === 1);
  stderr.take();
  await flushed;
  t.deepEqual(stdout.taken, ["a\n", ""]);
});

test("Output.write() says that the reader is gone, and results are dropped quietly", async (t) => {
  const [stdout, stderr] = [new SlowStream(), new SlowStream()];
  const output = new Output({ stdout, stderr }, PLAIN);
  const written = output.write("more than four");
  await until(() => stdout.taken.length === 1);
  stdout.take(failure("EPIPE"));
  await t.throwsAsync(written, { instanceOf: ReaderGone });
  output.result("nobody hears this", {});
  t.is(stdout.taken.length, 1);
});

test("Output.write() passes on that the disk behind the output is full", async (t) => {
  const [stdout, stderr] = [new SlowStream(), new SlowStream()];
  const output = new Output({ stdout, stderr }, PLAIN);
  const written = output.write("more than four");
  await until(() => stdout.taken.length === 1);
  stdout.take(failure("ENOSPC"));
  await t.throwsAsync(written, { code: "ENOSPC" });
});
