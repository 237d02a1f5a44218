import { LumeoError } from "@lumeofs/base";
import test from "ava";
import { AbandonedChunks } from "./abandoned-chunks.js";
import type { Call } from "./call.js";
import type { Calls } from "./calls.js";
import type { Metadata } from "./metadata.js";

/** Masters that hear of handles, and what happens right after each message, or row of them. */
function setup() {
  const told: (readonly number[])[] = [];
  const script = { refusal: undefined as LumeoError | undefined, after: (): void => undefined };
  const mutate = async (_call: Call, _kind: string, ask: unknown): Promise<void> => {
    if (script.refusal !== undefined) throw script.refusal;
    told.push((ask as { readonly handles: readonly number[] }).handles);
  };
  const metadata = { mutate } as unknown as Metadata;
  const runAside: Calls["runAside"] = async (_settings, action) => {
    await action({} as Call).catch(() => undefined);
    script.after();
  };
  return { told, script, abandoned: new AbandonedChunks(metadata, { runAside }) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("what is abandoned when the last message has just been answered is told, too", async (t) => {
  const { told, script, abandoned } = setup();
  script.after = () => {
    script.after = () => undefined;
    abandoned.add([2]);
  };
  abandoned.add([1]);
  await turn();
  t.deepEqual(told, [[1], [2]]);
});

test("after masters that did not listen, the next ones are told", async (t) => {
  const { told, script, abandoned } = setup();
  script.refusal = new LumeoError("TIMEOUT", "no answer");
  abandoned.add([1]);
  await turn();
  script.refusal = undefined;
  abandoned.add([2]);
  await turn();
  t.deepEqual(told, [[2]]);
});

test("what comes while a message is under way goes with the next one", async (t) => {
  const { told, abandoned } = setup();
  for (const handle of [1, 2, 3]) abandoned.add([handle]);
  abandoned.add(Array.from({ length: 300 }, (_, i) => 10 + i));
  await turn();
  t.deepEqual(
    told.map(({ length }) => length),
    [1, 256, 46],
  );
});
