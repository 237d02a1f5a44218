import test from "ava";
import { lastWords } from "./last-words.js";

const ENDED = { code: 10, signal: null };

test("lastWords() takes the last error of the log", (t) => {
  const log = [
    '{"level":"error","message":"older","error":"not this"}',
    '{"level":"error","message":"start failed","error":"Cannot open chunk 7"}',
    '{"level":"info","message":"bye"}',
    "plain text",
  ];
  t.is(lastWords(ENDED, log), "exit status 10: start failed: Cannot open chunk 7");
});

test("lastWords() falls back to the last line, to nothing, and to the signal", (t) => {
  t.is(lastWords(ENDED, ["[1, 2", "out of memory"]), "exit status 10: out of memory");
  t.is(lastWords(ENDED, []), "exit status 10");
  t.is(lastWords({ code: null, signal: "SIGKILL" }, ['{"level":"error"}']), "SIGKILL");
});
