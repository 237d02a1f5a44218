import { CODE_DEFAULT, LumeoError } from "@lumeofs/base";
import test from "ava";
import { AUTO_CODED_BYTES_MIN, codeFor, codePolicyOf } from "./redundancy.js";

test("what callers may say of codes", (t) => {
  t.deepEqual(codePolicyOf("4+2"), { kind: "coded", code: CODE_DEFAULT });
  t.deepEqual(codePolicyOf("auto"), { kind: "auto", code: CODE_DEFAULT });
  t.deepEqual(codePolicyOf("none"), { kind: "replicated" });
  t.deepEqual(codePolicyOf("auto:6+3/64KiB"), {
    kind: "auto",
    code: { data: 6, parity: 3, cellBytes: 65_536 },
  });
  for (const text of ["", "4", "4+0", "auto:", "33+1", "4+2/1KiB", "AUTO"]) {
    const error = t.throws(() => codePolicyOf(text), { instanceOf: LumeoError });
    t.is(error?.code, "INVALID_ARGUMENT");
  }
});

test("auto codes files from a size on", (t) => {
  const auto = codePolicyOf("auto");
  t.is(codeFor(auto, AUTO_CODED_BYTES_MIN - 1), undefined);
  t.is(codeFor(auto, AUTO_CODED_BYTES_MIN), CODE_DEFAULT);
  t.is(codeFor(codePolicyOf("4+2"), 0)?.data, 4);
  t.is(codeFor(codePolicyOf("none"), 10 ** 9), undefined);
});
