// Whoever judges must be judged: bugs in what tokens are checked by, in what fsck says of replicas
// and in what doctor says of a cluster, each put into a copy of the code. The unit tests of that
// very file must see it.

import type { Patch } from "@lumeofs/testkit";
import test from "ava";
import { COMPILED_CLI, compiled, failingTests } from "./own-tests.js";

interface Judge {
  readonly name: string;
  readonly source: URL;
  /** Its test file. */
  readonly tests: string;
  readonly bugs: readonly (Patch & { readonly name: string })[];
}

const TOKEN = "access/token";
const GATE = "access/token-gate";
const WORD = "access/masters-word";
const AUDIT = "fsck/replica-audit";

const JUDGES: readonly Judge[] = [
  {
    name: "tokens",
    source: compiled("@lumeofs/base"),
    tests: "access/token.test",
    bugs: [
      {
        name: "looks at half of a token's code",
        file: TOKEN,
        find: "for (let i = 0; i < CODE_BYTES; i++) {",
        replace: "for (let i = 0; i < CODE_BYTES / 2; i++) {",
      },
      {
        name: "takes any code for genuine",
        file: TOKEN,
        find: "return difference === 0;",
        replace: "return true;",
      },
      {
        name: "does not look which key a token names",
        file: TOKEN,
        find: "if (keyIdOf(token) !== key.id)",
        replace: "if (keyIdOf(token) === undefined)",
      },
      {
        name: "lets a token open one chunk too many",
        file: TOKEN,
        find: "claims.handleCount <= offset",
        replace: "claims.handleCount < offset",
      },
      {
        name: "does not look below the first chunk of a token",
        file: TOKEN,
        find: "offset < 0 || claims",
        replace: "claims",
      },
      {
        name: "asks for no right",
        file: TOKEN,
        find: "request.rights.some(",
        replace: "[true].some(() => true) || request.rights.some(",
      },
      {
        name: "does not compare epochs",
        file: TOKEN,
        find: "!isForAny && claims.epoch !== request.epoch",
        replace: "false",
      },
      {
        name: "never lets a token expire",
        file: TOKEN,
        find: "now < claims.expiresAt ?",
        replace: "true ?",
      },
    ],
  },
  {
    name: "the gate of a chunkserver",
    source: compiled("@lumeofs/chunkserver"),
    tests: "access/token-gate.test",
    bugs: [
      {
        name: "serves whoever shows no token",
        file: GATE,
        find: "if (token === undefined)\n            throw",
        replace: "if (token === undefined)\n return undefined;\n if (0 > 1)\n throw",
      },
      {
        name: "serves whoever shows a forged token",
        file: GATE,
        find: "key === undefined || !isGenuine(token, key, hmac)",
        replace: "key === undefined",
      },
      {
        name: "does not hear that a token has expired",
        file: GATE,
        find: 'throw refusal("TOKEN_EXPIRED", request, "its token has expired");',
        replace: "return;",
      },
      {
        name: "does not mind a token for other chunks",
        file: GATE,
        find: 'throw refusal("PERMISSION_DENIED", request, "its token is for other chunks");',
        replace: "return;",
      },
      {
        name: "does not mind a token for another epoch",
        file: GATE,
        find: 'throw refusal("PERMISSION_DENIED", request, "its token is for another epoch");',
        replace: "return;",
      },
      {
        name: "remembers tokens of keys that are gone",
        file: GATE,
        find: "this.#young.clear();",
        replace: "",
      },
      {
        name: "remembers all tokens for ever",
        file: GATE,
        find: "if (KNOWN_MAX / 2 <= this.#young.size) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "waits for keys and asks nobody for them",
        file: GATE,
        find: "this.#waiting.size === 1",
        replace: "0 > 1",
      },
      {
        name: "judges expiry by its own clock alone",
        file: WORD,
        find: "time + (now - at) - SKEW_MS_MAX",
        replace: "time - SKEW_MS_MAX",
      },
    ],
  },
  {
    name: "fsck",
    source: compiled("@lumeofs/client"),
    tests: "fsck/replica-audit.test",
    bugs: [
      {
        name: "does not miss a replica",
        file: AUDIT,
        find: "if (seen.get(chunk.handle)?.has(member.id) === true)",
        replace: "if (0 < 1)",
      },
      {
        name: "takes a stale replica for a good one",
        file: AUDIT,
        find: "if (facts.epoch < chunk.epoch) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "takes a replica of a later epoch for a good one",
        file: AUDIT,
        find: "if (chunk.epoch < facts.epoch) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "does not hear that a replica is damaged",
        file: AUDIT,
        find: "if (facts.damaged)",
        replace: "if (0 > 1)",
      },
      {
        name: "does not compare lengths",
        file: AUDIT,
        find: "if (facts.lengthBytes !== member.lengthBytes) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "does not compare checksums",
        file: AUDIT,
        find: "if (facts.crc32c === member.crc32c)",
        replace: "if (0 < 1)",
      },
      {
        name: "calls a unit without bytes missing",
        file: AUDIT,
        find: ".filter(({ isNowhere }) => !isNowhere)",
        replace: "",
      },
      {
        name: "calls missing what was moved while it looked",
        file: AUDIT,
        find: "const now = dutyOf(after.get(handle), server.id);",
        replace: "const now = then;",
      },
      {
        name: "calls missing what was released while it looked",
        file: AUDIT,
        find: "if (chunk === undefined || chunk.isReleased)",
        replace: "if (chunk === undefined)",
      },
      {
        name: "calls an orphan what goes by itself",
        file: "fsck/garbage-wait",
        find: "return since + ROUNDS <= rounds.whole && LEAST_MS + rounds.roundMs <= passedMs;",
        replace: "return 0 < 1;",
      },
      {
        name: "takes whatever belongs to no chunk for explained",
        file: AUDIT,
        find: 'if (standing === "garbage")',
        replace: "if (0 > 1)",
      },
      {
        name: "does not see that the masters have lost what they knew",
        file: AUDIT,
        find: 'if (standing === "newer")',
        replace: "if (0 > 1)",
      },
      {
        name: "takes the word of a server for the bytes on its disk",
        file: AUDIT,
        find: 'if (finding === "bad")',
        replace: "if (0 > 1)",
      },
      {
        name: "takes copies on lost servers for good ones",
        file: AUDIT,
        find: 'yield this.#found("underReplicated"',
        replace: 'if (0 > 1)\n                yield this.#found("underReplicated"',
      },
      {
        name: "says nothing of servers that it could not ask",
        file: AUDIT,
        find: "for (const [subject, { count, why }] of this.#unchecked) {",
        replace: "for (const [subject, { count, why }] of []) {",
      },
    ],
  },
  {
    name: "doctor",
    source: COMPILED_CLI,
    tests: "doctor/judge.test",
    bugs: [
      {
        name: "does not mind that a process is gone",
        file: "doctor/judge",
        find: "if (isRunning)",
        replace: "if (0 < 1)",
      },
      {
        name: "says that it has seen what it could not ask",
        file: "doctor/judge",
        find: 'asked.kind === "failed" ? [`the machine of master',
        replace: "0 > 1 ? [`the machine of master",
      },
      {
        name: "takes the loss of a majority of masters for that of one",
        file: "doctor/judge-masters",
        find: "masters.length <= 2 * silent.length",
        replace: "0 > 1",
      },
      {
        name: "does not see two leaders",
        file: "doctor/judge-masters",
        find: "1 < names.length || 0 < doubters.length",
        replace: "0 < doubters.length",
      },
      {
        name: "does not see that leaders do not stay",
        file: "doctor/judge-masters",
        find: "if (before === after)",
        replace: "if (0 < 1)",
      },
      {
        name: "does not see a master that is far behind",
        file: "doctor/judge-masters",
        find: "missing <= BEHIND_MAX",
        replace: "0 < 1",
      },
      {
        name: "says nothing of a single master",
        file: "doctor/judge-masters",
        find: "voters.length === 1",
        replace: "0 > 1",
      },
      {
        name: "counts servers that take nothing",
        file: "doctor/judge-chunkservers",
        find: 'state === "alive" && !readOnly && standing === "active"',
        replace: "true",
      },
      {
        name: "does not mind a store that has failed",
        file: "doctor/judge-chunkservers",
        find: 'control.kind === "answered" && control.value.state === "failed"',
        replace: "0 > 1",
      },
      {
        name: "does not mind a data plane that nobody reaches",
        file: "doctor/judge-chunkservers",
        find: 'if (data.kind === "failed") {',
        replace: "if (0 > 1) {",
      },
      {
        name: "does not hear that the masters have lost what they knew",
        file: "doctor/judge-chunkservers",
        find: "if (0 < newerCount) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "does not hear of two histories",
        file: "doctor/judge-chunkservers",
        find: "if (0 < stopped.length) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "does not mind lost chunks",
        file: "doctor/judge-chunkservers",
        find: "if (0 < lost) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "does not mind chunks with too few copies",
        file: "doctor/judge-chunkservers",
        find: "if (0 < underReplicated) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "does not mind damaged copies",
        file: "doctor/judge-chunkservers",
        find: "if (0 < damaged) {",
        replace: "if (0 > 1) {",
      },
      {
        name: "takes a job that stands still for one that moves",
        file: "doctor/judge-chunkservers",
        find: "before.doneChunks === after.doneChunks && after.moves === 0",
        replace: "false",
      },
      {
        name: "does not mind that copies are never read again",
        file: "doctor/judge-chunkservers",
        find: "if (scrub.bytesPerSecond === 0) {",
        replace: "if (0 > 1) {",
      },
    ],
  },
];

for (const { name, source, tests, bugs } of JUDGES) {
  test.serial(`the tests of ${name} pass where there is no bug`, async (t) => {
    t.deepEqual(await failingTests(source, tests, []), []);
  });
  for (const { name: bug, ...patch } of bugs) {
    test.serial(`the tests see it when ${name} ${bug}`, async (t) => {
      const failing = await failingTests(source, tests, [patch]);
      t.true(0 < failing.length);
    });
  }
}
