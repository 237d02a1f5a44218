import test from "ava";
import { waitUntil } from "./wait-until.js";

test("what is waited for is asked as often as is wished, though the time was up before", async (t) => {
  let asks = 0;
  const ask = (): true | undefined => (++asks < 3 ? undefined : true);
  t.is(await waitUntil(ask, { timeoutMs: 0 }), undefined);
  t.is(asks, 1);
  asks = 0;
  t.is(await waitUntil(ask, { timeoutMs: 0, asksMin: 2 }), undefined);
  t.is(asks, 2);
  asks = 0;
  t.true(await waitUntil(ask, { timeoutMs: 0, asksMin: 3 }));
});
