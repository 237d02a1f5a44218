import test from "ava";
import {
  codeOf,
  EXIT,
  exitStatusOf,
  exitStatusOfMany,
  stopsTheRest,
  type Tally,
} from "./exit-status.js";

test("exitStatusOf() knows the codes of the cluster and of the operating system", (t) => {
  const expected: Readonly<Record<string, number>> = {
    LUMEO_INTERNAL: 1,
    LUMEO_INVALID_ARGUMENT: 2,
    LUMEO_IS_DIRECTORY: 2,
    LUMEO_NOT_FOUND: 3,
    ENOENT: 3,
    LUMEO_EXISTS: 4,
    LUMEO_PRECONDITION: 4,
    LUMEO_CONFLICT: 4,
    LUMEO_NOT_EMPTY: 4,
    LUMEO_NOT_DIRECTORY: 4,
    EACCES: 5,
    LUMEO_UNAVAILABLE: 6,
    LUMEO_NO_LEADER: 6,
    LUMEO_TIMEOUT: 6,
    LUMEO_CHECKSUM: 7,
    LUMEO_DATA_LOSS: 7,
    LUMEO_NO_SPACE: 8,
    ENOSPC: 8,
    CONFIG: 10,
    LUMEO_ABORTED: 130,
    SOMETHING_NEW: 1,
  };
  for (const [code, status] of Object.entries(expected)) {
    t.is<number, number>(exitStatusOf(code), status, code);
  }
  t.is(exitStatusOf(undefined), EXIT.failed);
});

test("codeOf() takes a code from any error and nothing from anything else", (t) => {
  t.is(codeOf(Object.assign(new Error(), { code: "ENOENT" })), "ENOENT");
  for (const thrown of [new Error(), "text", undefined, null, { code: 7 }]) {
    t.is(codeOf(thrown), undefined);
  }
});

test("codeOf() looks through an unusable argument to what the operating system said", (t) => {
  const failed = (code: string, cause?: unknown) =>
    Object.assign(new Error("", { cause }), { code });
  t.is(codeOf(failed("LUMEO_INVALID_ARGUMENT", failed("EACCES"))), "EACCES");
  t.is(codeOf(failed("LUMEO_INVALID_ARGUMENT")), "LUMEO_INVALID_ARGUMENT");
  t.is(codeOf(failed("LUMEO_UNAVAILABLE", failed("ECONNREFUSED"))), "LUMEO_UNAVAILABLE");
});

test("stopsTheRest() goes on after a file that may not be read", (t) => {
  t.false(stopsTheRest(EXIT.permission));
  t.true(stopsTheRest(EXIT.unavailable));
  t.true(stopsTheRest(EXIT.noSpace));
});

test("exitStatusOfMany() gives one thing its own code and a part of many 1", (t) => {
  const tally = (part: Partial<Tally>): Tally => ({
    done: 0,
    failed: 0,
    firstFailure: undefined,
    stoppedBy: undefined,
    ...part,
  });
  t.is(exitStatusOfMany(tally({ done: 5 })), 0);
  t.is(exitStatusOfMany(tally({ failed: 1, firstFailure: 3 })), 3);
  t.is(exitStatusOfMany(tally({ done: 4, failed: 1, firstFailure: 3 })), 1);
  t.is(exitStatusOfMany(tally({ failed: 2, firstFailure: 3 })), 1);
  t.is(exitStatusOfMany(tally({ done: 4, failed: 3, firstFailure: 6, stoppedBy: 6 })), 6);
});
