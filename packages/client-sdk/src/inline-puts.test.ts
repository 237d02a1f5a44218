import { KiB, LumeoError, type MonotonicMs, monotonicMs } from "@lumeofs/base";
import test from "ava";
import type { Call } from "./call.js";
import { INLINE_BYTES_CEILING, InlinePuts, REFUSED_MS } from "./inline-puts.js";
import type { Metadata } from "./metadata.js";
import { type Ask, type InodeInfo, NO_PRECONDITION } from "./operations.js";
import { systemPorts } from "./ports.js";

const CALL = {} as Call; // only handed on

function askFor(size: number, replicas = 3): Ask<"commit"> & { readonly inlineBytes: Uint8Array } {
  return {
    ...{ path: "/f", chunks: [], upload: undefined, chunkBytes: 64 * KiB, replicas },
    ...{ code: undefined, crc32c: 7, precondition: NO_PRECONDITION, makeParents: true },
    attributes: { contentType: "", metadata: {}, tags: {}, ttlMs: undefined },
    fence: undefined,
    inlineBytes: new Uint8Array(size),
  };
}

/** Masters that take files up to a size, and a clock in the hands of the test. */
function setup(takes: number, says = 4_096) {
  const time = { now: 0, takes };
  const mutate = async (_call: Call, _kind: string, ask: unknown): Promise<InodeInfo> => {
    const { inlineBytes, crc32c } = ask as ReturnType<typeof askFor>;
    const sizeBytes = inlineBytes.byteLength;
    if (time.takes < sizeBytes) throw new LumeoError("INLINE_REFUSED", "too large");
    return { sizeBytes, crc32c } as InodeInfo;
  };
  const metadata = { inlineBytesMax: () => says, mutate } as unknown as Metadata;
  const clock = { ...systemPorts().clock, monotonicMs: (): MonotonicMs => monotonicMs(time.now) };
  return { puts: new InlinePuts(metadata, clock), time };
}

test("a refusal stands for files that are no smaller, with as many copies, for a while (I2)", async (t) => {
  const { puts, time } = setup(999);
  t.is(await puts.bytesMax(CALL, 3), 4_096);
  t.is(await puts.commit(CALL, askFor(2_000)), undefined);
  t.is(await puts.bytesMax(CALL, 3), 1_999);
  t.is(await puts.bytesMax(CALL, 2), 4_096);
  t.is(await puts.commit(CALL, askFor(1_000)), undefined);
  t.is(await puts.bytesMax(CALL, 3), 999);
  t.like(await puts.commit(CALL, askFor(999)), { sizeBytes: 999 });
  time.now = REFUSED_MS - 1;
  t.is(await puts.bytesMax(CALL, 3), 999);
  time.now = REFUSED_MS;
  t.is(await puts.bytesMax(CALL, 3), 4_096);
});

test("a refusal of a larger file, which came later, does not have smaller ones offered again (I2)", async (t) => {
  const { puts, time } = setup(999);
  const larger = puts.commit(CALL, askFor(4_000));
  t.is(await puts.commit(CALL, askFor(1_000)), undefined);
  t.is(await larger, undefined);
  t.is(await puts.bytesMax(CALL, 3), 999);
  t.is(await puts.commit(CALL, askFor(2_000)), undefined);
  t.is(await puts.bytesMax(CALL, 3), 999);
  time.now = REFUSED_MS;
  t.is(await puts.commit(CALL, askFor(2_000)), undefined);
  t.is(await puts.bytesMax(CALL, 3), 1_999, "what was refused long ago counts no more");
});

test("whatever the masters say, larger files than these are not offered", async (t) => {
  const { puts } = setup(10 ** 9, 10 ** 9);
  t.is(await puts.bytesMax(CALL, 3), INLINE_BYTES_CEILING);
});

test("another failure is the caller's, and nothing is remembered of it", async (t) => {
  const { puts } = setup(4_096);
  const wrong = { ...askFor(5), crc32c: 7 };
  const metadata = {
    inlineBytesMax: () => 4_096,
    mutate: () => Promise.reject(new LumeoError("QUOTA", "full")),
  } as unknown as Metadata;
  const full = new InlinePuts(metadata, systemPorts().clock);
  await t.throwsAsync(full.commit(CALL, wrong), { code: "QUOTA" });
  t.is(await full.bytesMax(CALL, 3), 4_096);
  t.like(await puts.commit(CALL, wrong), { sizeBytes: 5 });
});
