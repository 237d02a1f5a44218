import { Lifetime, World } from "@lumeofs/testkit";
import test from "ava";
import { Links, type WireEnd, Wires } from "../src/network/wires.js";

const SETTINGS = { delayMsMin: 1, delayMsMean: 0.5, bytesPerMs: 1_000 };
const ADDRESS = "b:1";

class Pair {
  readonly world = new World(1);
  readonly links = new Links(this.world);
  readonly wires = new Wires<string>(this.world, this.links, "test", SETTINGS);
  readonly lifetimes = { a: new Lifetime(this.world), b: new Lifetime(this.world) };
  readonly heard: string[] = [];
  near: WireEnd<string> | undefined;

  /** A listens, what arrives there is heard; the near end is the caller's. */
  async connect(): Promise<WireEnd<string>> {
    this.wires.listen({ machine: "b", lifetime: this.lifetimes.b }, ADDRESS, (end) => {
      end.listen({
        arrived: (message) => this.heard.push(message),
        ended: (how) => this.heard.push(how),
      });
    });
    const from = { machine: "a", lifetime: this.lifetimes.a };
    void this.wires.connect(from, ADDRESS, { timeoutMs: 1_000 }).then((end) => {
      this.near = end;
    });
    await this.world.run(() => this.near !== undefined);
    return this.near as WireEnd<string>;
  }
}

test("Wires: messages arrive in order, and before the close that follows them", async (t) => {
  const pair = new Pair();
  const near = await pair.connect();
  for (let i = 0; i < 20; i++) near.send(String(i), 100);
  near.close();
  await pair.world.sleep(100);
  const sent = Array.from({ length: 20 }, (_, i) => String(i));
  t.deepEqual(pair.heard, [...sent, "closed"]);
});

test("Wires: a link that is cut holds everything back until it is joined", async (t) => {
  const pair = new Pair();
  const near = await pair.connect();
  pair.links.cut("a", "b");
  near.send("x", 1);
  await pair.world.sleep(500);
  t.deepEqual(pair.heard, []);
  pair.links.heal();
  await pair.world.sleep(500);
  t.deepEqual(pair.heard, ["x"]);
});

test("Wires: the end of a process is heard of, the loss of its power is not", async (t) => {
  for (const [isSilent, heard] of [
    [false, ["reset"]],
    [true, []],
  ] as const) {
    const pair = new Pair();
    await pair.connect();
    pair.lifetimes.a.end();
    pair.wires.died(pair.lifetimes.a, isSilent);
    await pair.world.sleep(500);
    t.deepEqual(pair.heard, [...heard]);
  }
});

test("Wires: nobody there is a refusal, a machine without power is silence", async (t) => {
  const pair = new Pair();
  const from = { machine: "a", lifetime: pair.lifetimes.a };
  const errors: string[] = [];
  const knock = (): void => {
    pair.wires.connect(from, ADDRESS, { timeoutMs: 200 }).catch((error: Error) => {
      errors.push(`${pair.world.now < 100 ? "early" : "late"} ${error.message}`);
    });
  };
  knock();
  await pair.world.sleep(50);
  pair.links.power("b", false);
  knock();
  await pair.world.sleep(1_000);
  t.deepEqual(errors, [
    'early Cannot connect to "b:1": connection refused',
    'late Cannot connect to "b:1": no answer within 200 ms',
  ]);
});
