import test from "ava";
import { readiness } from "./readiness.js";

const ALIVE = { id: "cs1", state: "alive" };
const DEAD = { id: "cs2", state: "dead" };

test("readiness() needs a leader that knows enough living chunkservers", (t) => {
  t.deepEqual(readiness({ leader: "m1", chunkservers: [ALIVE] }, { chunkserversMin: 1 }), {
    kind: "ready",
  });
});

test("readiness() says what is missing", (t) => {
  const missing = (status: Parameters<typeof readiness>[0]): string => {
    const state = readiness(status, { chunkserversMin: 2 });
    return state.kind === "waiting" ? state.missing : "nothing";
  };
  t.is(missing(undefined), "no master answers");
  t.is(missing({ leader: "", chunkservers: [ALIVE] }), "no master leads");
  t.is(missing({ leader: "m1", chunkservers: [ALIVE, DEAD] }), "1 of 2 chunkservers are alive");
});
