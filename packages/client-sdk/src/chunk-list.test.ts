import { LumeoError, monotonicMs } from "@lumeofs/base";
import test from "ava";
import type { Call } from "./call.js";
import { CHUNKS_PER_MESSAGE, ChunkList } from "./chunk-list.js";
import type { Metadata } from "./metadata.js";
import { systemPorts } from "./ports.js";

const UPLOAD = 7;

function setup(refusal?: LumeoError) {
  const recorded: number[] = [];
  const mutate = async (_call: Call, kind: string, ask: unknown): Promise<unknown> => {
    if (kind === "beginUpload") return { upload: UPLOAD };
    if (refusal !== undefined) throw refusal;
    const { chunks } = ask as { readonly chunks: readonly { readonly handle: number }[] };
    recorded.push(...chunks.map(({ handle }) => handle));
    return {};
  };
  const timers = { after: () => ({ cancel: () => undefined }), every: () => never() };
  const ports = { ...systemPorts(), timers };
  const list = new ChunkList({} as Call, "/f", { mutate } as unknown as Metadata, ports);
  const add = (position: number): Promise<void> => list.add(position, chunkAt(position));
  return { list, add, recorded };
}

function never(): never {
  throw new Error("not asked for");
}

function chunkAt(position: number) {
  const content = { lengthBytes: 1, crc32c: 0, coding: undefined };
  return { handle: 64 + position, epoch: 1, usableUntil: monotonicMs(1e9), ...content };
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => 64 + i);

test("a list that is abandoned names what is stored and in no upload", async (t) => {
  const { list, add, recorded } = setup();
  for (let i = 0; i < CHUNKS_PER_MESSAGE; i++) await add(i);
  t.deepEqual(recorded, upTo(CHUNKS_PER_MESSAGE));
  await add(CHUNKS_PER_MESSAGE);
  await add(CHUNKS_PER_MESSAGE + 2); // ahead of its turn
  t.deepEqual(await list.abandon(), { upload: UPLOAD, handles: [64 + 256, 64 + 258] });
  t.true(list.isAbandoned);
});

test("a list that is abandoned names what could not be recorded", async (t) => {
  const { list, add } = setup(new LumeoError("GRANT_EXPIRED", "one of them"));
  for (let i = 0; i < CHUNKS_PER_MESSAGE - 1; i++) await add(i);
  const refused = add(CHUNKS_PER_MESSAGE - 1);
  const abandoned = list.abandon(); // while it is being recorded
  await t.throwsAsync(refused, { code: "GRANT_EXPIRED" });
  t.deepEqual(await abandoned, { upload: UPLOAD, handles: upTo(CHUNKS_PER_MESSAGE) });
});
