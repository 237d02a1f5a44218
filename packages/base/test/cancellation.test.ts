import { CancelSource } from "@lumeofs/base";
import test from "ava";

test("listeners are called once, in the order of their coming, unless they were taken away", (t) => {
  const source = new CancelSource();
  const heard: string[] = [];
  const second = (): void => void heard.push("second");
  source.addEventListener("abort", () => heard.push("first"));
  source.addEventListener("abort", second);
  source.addEventListener("abort", () => heard.push("third"));
  source.removeEventListener("abort", second);
  t.notThrows(() => source.throwIfAborted());
  source.abort("why");
  source.abort("another reason");
  t.deepEqual(heard, ["first", "third"]);
  t.is(
    t.throws(() => source.throwIfAborted(), { any: true }),
    "why",
  );
  t.deepEqual([source.aborted, source.reason], [true, "why"]);
});

test("a listener that was taken away makes room for the next", (t) => {
  const source = new CancelSource();
  let calls = 0;
  const listener = (): void => void calls++;
  for (let i = 0; i < 3; i++) {
    source.addEventListener("abort", listener);
    source.removeEventListener("abort", listener);
  }
  source.addEventListener("abort", listener);
  source.abort(undefined);
  source.addEventListener("abort", listener); // too late, as with an AbortSignal
  t.is(calls, 1);
});
