import { LumeoError } from "@lumeofs/base";
import test from "ava";
import type { Server } from "../metadata/servers.js";
import { OrderBatches } from "./order-batches.js";

interface Order {
  readonly number: number;
  readonly signal?: AbortSignal;
}
interface Sent {
  readonly to: string;
  readonly numbers: readonly number[];
  readonly signal: AbortSignal;
  answer(results: readonly (object | LumeoError)[]): void;
  fail(error: Error): void;
}

const [ONE, TWO] = ["one", "two"].map(
  (name) => ({ name, controlAddress: `${name}:1`, storeUuid: name }) as Server,
) as [Server, Server];

/** Batches whose messages are answered by hand. */
function office(): { readonly sent: Sent[]; readonly batches: OrderBatches<Order, object> } {
  const sent: Sent[] = [];
  const batches = new OrderBatches<Order, object>((server, orders, signal) => {
    return new Promise((answer, fail) => {
      const numbers = orders.map(({ number }) => number);
      sent.push({ to: server.name, numbers, signal, answer, fail });
    });
  });
  return { sent, batches };
}

/** After everything that is ready has run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("Orders that are given at the same moment go together, for each server", async (t) => {
  const { sent, batches } = office();
  const results = [1, 2].map((number) => batches.add(ONE, { number }));
  const other = batches.add(TWO, { number: 3 });
  await turn();
  t.deepEqual(
    sent.map(({ to, numbers }) => [to, numbers]),
    [
      ["one", [1, 2]],
      ["two", [3]],
    ],
  );
  sent[0]?.answer([{ a: 1 }, new LumeoError("NO_SPACE", "full")]);
  sent[1]?.answer([{ c: 3 }]);
  t.deepEqual(await results[0], { a: 1 });
  await t.throwsAsync(results[1] as Promise<object>, { code: "NO_SPACE" });
  t.deepEqual(await other, { c: 3 });
});

test("With two messages under way, further orders wait and then go together", async (t) => {
  const { sent, batches } = office();
  const results: Promise<object>[] = [];
  for (let number = 1; number <= 5; number++) {
    results.push(batches.add(ONE, { number }));
    await turn();
  }
  t.deepEqual(
    sent.map(({ numbers }) => numbers),
    [[1], [2]],
  );
  sent[0]?.answer([{}]);
  await turn();
  t.deepEqual(sent[2]?.numbers, [3, 4, 5]);
  sent[1]?.answer([{}]);
  sent[2]?.answer([{}, {}, {}]);
  t.is((await Promise.all(results)).length, 5);
});

test("A message that fails fails its orders, and one that is short those that it lacks", async (t) => {
  const { sent, batches } = office();
  const failing = batches.add(ONE, { number: 1 });
  await turn();
  sent[0]?.fail(new LumeoError("UNAVAILABLE", "gone"));
  await t.throwsAsync(failing, { code: "UNAVAILABLE" });
  const short = batches.add(ONE, { number: 2 });
  await turn();
  sent[1]?.answer([]);
  await t.throwsAsync(short, { code: "PROTOCOL" });
});

test("An order that is given up is answered at once, and its message with the last one", async (t) => {
  const { sent, batches } = office();
  const callers = [new AbortController(), new AbortController()];
  const results = callers.map(({ signal }, number) => batches.add(ONE, { number, signal }));
  await turn();
  callers[0]?.abort(new LumeoError("ABORTED", "first"));
  await t.throwsAsync(results[0] as Promise<object>, { code: "ABORTED" });
  t.false(sent[0]?.signal.aborted);
  callers[1]?.abort(new LumeoError("ABORTED", "second"));
  await t.throwsAsync(results[1] as Promise<object>, { code: "ABORTED" });
  t.true(sent[0]?.signal.aborted);
});
