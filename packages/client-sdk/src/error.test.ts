import { ERRORS, type ErrorCode, LumeoError as Internal, InvariantViolation } from "@lumeofs/base";
import test from "ava";
import { AbortedError, ConflictError, LumeoError, NotFoundError, toPublic } from "./error.js";

test("every internal code has a public one, and keeps whether a retry helps", (t) => {
  for (const [code, traits] of Object.entries(ERRORS)) {
    const error = toPublic(new Internal(code as ErrorCode, "Cannot"), "/a", 3);
    t.true(LumeoError.is(error), code);
    t.like(error, { retryable: traits.retryable, path: "/a", attempts: 3, message: "Cannot" });
    t.regex((error as LumeoError).code, /^LUMEO_[A-Z_]+$/);
  }
});

test("the codes that callers ask for have their classes and names", (t) => {
  t.true(toPublic(new Internal("NOT_FOUND", ""), undefined, 1) instanceof NotFoundError);
  t.true(toPublic(new Internal("CONFLICT", ""), undefined, 1) instanceof ConflictError);
  const aborted = toPublic(new Internal("ABORTED", ""), undefined, 1) as AbortedError;
  t.true(aborted instanceof AbortedError);
  t.is(aborted.name, "AbortError");
  t.is(
    (toPublic(new Internal("NO_LEADER", ""), undefined, 1) as LumeoError).code,
    "LUMEO_NO_LEADER",
  );
});

test("LumeoError.is knows errors of another copy of the SDK by their brand", (t) => {
  const foreign = Object.assign(new Error("x"), {
    code: "LUMEO_EXISTS",
    [Symbol.for("lumeofs.error")]: true,
  });
  t.true(LumeoError.is(foreign));
  t.true(LumeoError.is(foreign, "LUMEO_EXISTS"));
  t.false(LumeoError.is(foreign, "LUMEO_NOT_FOUND"));
  t.false(LumeoError.is(new Internal("EXISTS", "")));
  t.false(LumeoError.is(undefined));
});

test("what is not ours passes unchanged", (t) => {
  const mine = new RangeError("mine");
  const bug = new InvariantViolation("bug");
  t.is(toPublic(mine, "/a", 1), mine);
  t.is(toPublic(bug, "/a", 1), bug);
});

test("an error as JSON says what a log needs", (t) => {
  const cause = new Error("disk");
  const error = toPublic(new Internal("NO_SPACE", "Cannot", { cause }), "/a", 2) as LumeoError;
  t.deepEqual(JSON.parse(JSON.stringify(error)), {
    name: "LumeoError",
    code: "LUMEO_NO_SPACE",
    message: "Cannot",
    retryable: false,
    path: "/a",
    attempts: 2,
    cause: "disk",
  });
});
