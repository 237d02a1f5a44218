import {
  type Alarm,
  CancelSource,
  LumeoError,
  monotonicMs,
  type Timers,
  wallMs,
} from "@lumeofs/base";
import test from "ava";
import { SilenceWatch } from "./silence-watch.js";

/** A millisecond passes when the test says so, and then whatever follows from it is done. */
class World implements Timers {
  now = 0;
  readonly #alarms = new Set<{ readonly at: number; readonly ring: () => void }>();

  monotonicMs = () => monotonicMs(this.now);
  wallMs = () => wallMs(this.now);

  after(ms: number, ring: () => void): Alarm {
    const alarm = { at: this.now + ms, ring };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  every(): Alarm {
    throw new Error("not needed here");
  }

  async sleep(ms: number): Promise<void> {
    for (const end = this.now + ms; this.now < end; ) {
      this.now++;
      for (const alarm of this.#alarms) {
        if (this.now < alarm.at) continue;
        this.#alarms.delete(alarm);
        alarm.ring();
      }
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
  }
}

function cast(found: () => LumeoError | undefined) {
  const world = new World();
  const looks: number[] = [];
  const watch = new SilenceWatch({ clock: world, timers: world }, 1_000, async () => {
    looks.push(world.now);
    return found();
  });
  /** Answered after so long; never, unless it is given up. */
  const request = (ms = Infinity, outer = new CancelSource()) =>
    watch.during(outer, async (signal) => {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
        if (ms < Infinity) world.after(ms, resolve);
      });
    });
  return { world, looks, watch, request };
}

const GONE = new LumeoError("TIMEOUT", "it is gone");

test("answers, however slow each is, keep the watch calm; silence has it look", async (t) => {
  const { world, looks, watch, request } = cast(() => undefined);
  const answered = [900, 1_800, 2_700].map((ms) => request(ms));
  const silent = request();
  silent.catch(() => undefined);
  await world.sleep(2_800);
  await Promise.all(answered);
  t.deepEqual(looks, []);
  await world.sleep(2_000);
  t.deepEqual(looks, [3_700, 4_700], "again and again, as long as nothing is found");
  watch.close();
  await world.sleep(5_000);
  t.is(looks.length, 2);
});

test("what is found ends all that is under way, and what ends outside ends alone", async (t) => {
  const { world, watch, request } = cast(() => GONE);
  const outer = new CancelSource();
  const [first, second, third] = [request(), request(), request(Infinity, outer)];
  const given = t.throwsAsync(third, { message: "given up" });
  const ended = [first, second].map((one) => t.throwsAsync(one, { is: GONE }));
  outer.abort(new Error("given up"));
  await given;
  await world.sleep(1_100);
  await Promise.all(ended);
  watch.close();
});

test("after a pause silence counts from the next request", async (t) => {
  const { world, looks, watch, request } = cast(() => undefined);
  await Promise.all([request(10), world.sleep(50)]);
  await world.sleep(5_000);
  void request(2_000);
  await world.sleep(900);
  t.deepEqual(looks, []);
  await world.sleep(200);
  t.is(looks.length, 1);
  watch.close();
});
