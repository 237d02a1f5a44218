import { InvariantViolation } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { RequestLedger, SESSION_WINDOW } from "./request-ledger.js";

test("sequences count up from 1, and answeredBelow is the lowest open one (Q1, Q2)", (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(9), { maxLength: 60 }), (choices) => {
      const ledger = new RequestLedger();
      const open: number[] = [];
      let last = 0;
      for (const choice of choices) {
        if (choice < 5 || open.length === 0) {
          const sequence = ledger.begin() as number;
          t.is(sequence, ++last);
          open.push(sequence);
        } else {
          ledger.end(open.splice(choice % open.length, 1)[0] as number);
        }
        t.is(ledger.answeredBelow, Math.min(last + 1, ...open));
      }
    }),
  );
});

test("the window ends behind the oldest open request (Q3)", (t) => {
  const ledger = new RequestLedger();
  const oldest = ledger.begin() as number;
  for (let i = 1; i < SESSION_WINDOW; i++) ledger.end(ledger.begin() as number);
  t.is(ledger.begin(), undefined);
  ledger.end(oldest);
  t.is(ledger.begin(), SESSION_WINDOW + 1);
});

test("a request ends once", (t) => {
  const ledger = new RequestLedger();
  const sequence = ledger.begin() as number;
  ledger.end(sequence);
  t.throws(() => ledger.end(sequence), { instanceOf: InvariantViolation });
});
