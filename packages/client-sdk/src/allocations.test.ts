import { LumeoError, type MonotonicMs, monotonicMs, serverId } from "@lumeofs/base";
import test from "ava";
import { Allocations } from "./allocations.js";
import { Call } from "./call.js";
import { Events } from "./events.js";
import { Metadata } from "./metadata.js";
import {
  type Answer,
  type Ask,
  type Attempt,
  LATEST,
  type Masters,
  type OperationKind,
} from "./operations.js";
import { systemPorts } from "./ports.js";
import { NO_RETRY } from "./retry.js";
import { ServerHealth, SUSPECT_MS } from "./server-health.js";

type Allocate = Ask<"allocate">;

/** Masters that only grant; every answer waits until the test lets it go. */
class GrantingMasters implements Masters {
  readonly isUnreachable = false;
  readonly asked: Allocate[] = [];
  gate: Promise<void> = Promise.resolve();
  failures = 0;
  #grants = 0;

  async attempt<K extends OperationKind>({ kind, ask }: Attempt<K>): Promise<Answer<K>> {
    if (kind === "openSession") return { session: 1 } as Answer<K>;
    const wanted = ask as Allocate;
    this.asked.push(wanted);
    await this.gate;
    if (0 < this.failures--) throw new LumeoError("NO_SPACE", "Cannot place");
    const avoid = new Set(wanted.avoid);
    const members = [1, 2, 3, 4].filter((n) => !avoid.has(n)).slice(0, wanted.replicas);
    const grants = Array.from({ length: wanted.grants }, () => ({
      firstHandle: ++this.#grants * 64,
      handleCount: wanted.handles,
      epoch: 1,
      replicas: members.map((n) => ({ server: serverId(n), name: `cs${n}`, address: `h:${n}` })),
      usableMs: 1_000,
    }));
    return { grants } as Answer<K>;
  }
}

function setup() {
  const masters = new GrantingMasters();
  const health = new ServerHealth();
  const time = { now: 0 };
  const clock = { ...systemPorts().clock, monotonicMs: (): MonotonicMs => monotonicMs(time.now) };
  const allocations = new Allocations(new Metadata(masters), health, clock);
  const settings = {
    method: "put",
    path: undefined,
    signal: undefined,
    policy: NO_RETRY,
    wish: LATEST,
    tellsFreshness: false,
  };
  const limits = { timeoutMs: 1_000, deadlineMs: Infinity };
  const call = new Call({ ...settings, ...limits }, systemPorts(), new Events());
  return { masters, allocations, time, call };
}

const COPIES = { servers: 3, areUnits: false, isOptional: false };

test("whoever comes while a batch is fetched waits for the same one (A1)", async (t) => {
  const { masters, allocations, call } = setup();
  let open: () => void = () => undefined;
  masters.gate = new Promise((resolve) => {
    open = resolve;
  });
  const taken = Promise.all(Array.from({ length: 10 }, () => allocations.take(call, COPIES)));
  await new Promise((resolve) => setImmediate(resolve));
  open();
  t.is(new Set((await taken).map(({ handle }) => handle)).size, 10);
  t.is(masters.asked.length, 1);
});

test("batches are fetched before the stock is empty, and grow with use", async (t) => {
  const { masters, allocations, call } = setup();
  const handles = new Set<number>();
  for (let i = 0; i < 1_000; i++) handles.add((await allocations.take(call, COPIES)).handle);
  t.is(handles.size, 1_000);
  t.true(masters.asked.length <= 8, `${masters.asked.length}`);
  const sizes = masters.asked.map(({ handles: count }) => count);
  t.deepEqual(
    sizes,
    sizes.toSorted((a, b) => a - b),
  );
  t.is(sizes.at(-1), 64);
});

test("a server that failed is avoided for a while, also by what is in stock (A2)", async (t) => {
  const { masters, allocations, time, call } = setup();
  await allocations.take(call, COPIES);
  allocations.avoid([serverId(2)]);
  const next = await allocations.take(call, COPIES);
  t.false(next.replicas.some(({ server }) => server === 2));
  t.deepEqual(masters.asked.at(-1)?.avoid, [2]);
  time.now = SUSPECT_MS;
  await allocations.take(call, COPIES);
  t.deepEqual(masters.asked.at(-1)?.avoid, []);
});

test("grants are dropped before the masters drop them", async (t) => {
  const { masters, allocations, time, call } = setup();
  const first = await allocations.take(call, COPIES);
  t.true(first.usableUntil < 1_000);
  time.now = first.usableUntil;
  const asked = masters.asked.length;
  await allocations.take(call, COPIES);
  t.is(masters.asked.length, asked + 1);
});

test("a refusal reaches who waits, and the next one asks anew", async (t) => {
  const { masters, allocations, call } = setup();
  masters.failures = 1;
  await t.throwsAsync(() => allocations.take(call, COPIES), { code: "NO_SPACE" });
  t.is((await allocations.take(call, COPIES)).epoch, 1);
});

test("grants for units are not those for copies", async (t) => {
  const { masters, allocations, call } = setup();
  const units = { servers: 3, areUnits: true, isOptional: true };
  const [one, other] = [await allocations.take(call, COPIES), await allocations.take(call, units)];
  t.not(one.handle, other.handle);
  t.deepEqual(
    masters.asked.map(({ areUnits }) => areUnits),
    [false, true],
  );
});
