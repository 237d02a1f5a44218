import test from "ava";
import { SystemRandom } from "./system-random.js";

test("SystemRandom.fraction() stays in [0, 1) and fills it evenly", (t) => {
  const random = new SystemRandom();
  const tenths = Array.from({ length: 10 }, () => 0);
  for (let i = 0; i < 20_000; i++) {
    const fraction = random.fraction();
    t.true(0 <= fraction && fraction < 1);
    tenths[Math.floor(fraction * 10)]! += 1;
  }
  // 2,000 expected in each; ten standard deviations are about 425.
  t.true(
    tenths.every((count) => Math.abs(count - 2_000) < 425),
    tenths.join(" "),
  );
});
