import test from "ava";
import { readTap } from "./tap.js";

const OUTPUT = `TAP version 13
ok 1 - raft › log › Log.append() keeps order
a line that a test has printed
not ok 2 - raft › log › Log.truncate() cuts
  ---
    name: AssertionError
    message: Difference
  ...
ok 3 - raft › quorum
---tty-stream-chunk-separator
not ok 4 - member.test.js exited with a non-zero exit code: 1

1..4
# tests 4
# pass 2
# fail 2
`;

test("readTap() counts results and keeps what failed, with its explanation", (t) => {
  const { passed, failed, failures } = readTap(OUTPUT);
  t.is(passed, 2);
  t.is(failed, 2);
  t.regex(failures[0] ?? "", /^not ok 2.*cuts\n {2}---\n {4}name: AssertionError/);
  t.is(failures[1], "not ok 4 - member.test.js exited with a non-zero exit code: 1");
});

test("readTap() finds nothing in an empty stream", (t) => {
  t.deepEqual(readTap(""), { passed: 0, failed: 0, failures: [] });
});
