import { LumeoError, MiB } from "@lumeofs/base";
import test from "ava";
import {
  chunkBytesOf,
  clientSettings,
  environmentOptions,
  parseEndpoints,
  preconditionOf,
  replicasOf,
} from "./options.js";

const CONFIG = { instanceOf: LumeoError, code: "CONFIG" };
const INVALID = { instanceOf: LumeoError, code: "INVALID_ARGUMENT" };

test("endpoints are read in every form, each once", (t) => {
  const want = ["m1:7400", "[::1]:7401"];
  for (const given of [
    "lumeo://m1:7400,[::1]:7401",
    "m1:7400, [::1]:7401",
    "lumeo://m1:7400/,lumeo://[::1]:7401/",
    ["m1:7400", "lumeo://[::1]:7401", "m1:7400"],
  ]) {
    t.deepEqual(parseEndpoints(given), want);
  }
});

test("what is no endpoint is refused with its text", (t) => {
  for (const given of ["", "m1", "m1:0", "m1:70000", "http://m1:1", "m1:1/?tls=1", []]) {
    t.throws(() => parseEndpoints(given), CONFIG);
  }
  t.throws(() => parseEndpoints(undefined as unknown as string), CONFIG);
  t.throws(() => parseEndpoints("a:1,nowhere"), { ...CONFIG, message: /"nowhere"/ });
});

test("the environment alone suffices, and says what it lacks", (t) => {
  t.deepEqual(environmentOptions({ LUMEO_ENDPOINTS: "a:1" }), { endpoints: "a:1" });
  t.throws(() => environmentOptions({}), { ...CONFIG, message: /LUMEO_ENDPOINTS/ });
});

test("settings have defaults, and what is out of range is refused", (t) => {
  const { policy, deadlineMs } = clientSettings({ endpoints: "a:1", retry: { maxAttempts: 2 } });
  t.like(policy, { maxAttempts: 2, jitter: "full" });
  t.is(deadlineMs, Infinity);
  t.is(clientSettings({ endpoints: "a:1", retry: false }).policy.maxAttempts, 1);
  t.throws(() => clientSettings({ endpoints: "a:1", timeoutMs: 0 }), CONFIG);
  t.throws(() => clientSettings({ endpoints: "a:1", retry: { maxAttempts: 0 } }), CONFIG);
});

test("chunk sizes and replicas have their limits", (t) => {
  t.is(chunkBytesOf({}), 64 * MiB);
  t.is(chunkBytesOf({ chunkSize: 65_536 }), 65_536);
  for (const chunkSize of [0, 1, 65_537, 65 * MiB])
    t.throws(() => chunkBytesOf({ chunkSize }), INVALID);
  t.is(replicasOf({}), undefined);
  t.is(replicasOf({ redundancy: { replicas: 2 } }), 2);
  for (const replicas of [0, 1.5, 9])
    t.throws(() => replicasOf({ redundancy: { replicas } }), INVALID);
});

test("a precondition is one or none", (t) => {
  t.deepEqual(preconditionOf({}), { kind: "none" });
  t.deepEqual(preconditionOf({ ifNoneMatch: "*" }), { kind: "absent" });
  t.deepEqual(preconditionOf({ ifMatch: "2f-00000000" }), { kind: "revision", revision: 47 });
  t.throws(() => preconditionOf({ ifMatch: "2f-00000000", ifNoneMatch: "*" }), INVALID);
});
