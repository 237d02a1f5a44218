import test from "ava";
import { checkJoined } from "../../test/joined-writes.js";
import { joinPersists } from "./storage-queue.js";

test("joinPersists() leaves the log as its parts do, one behind the other", (t) => {
  t.notThrows(() => checkJoined(joinPersists));
});

test("joinPersists() writes nothing for persists that change nothing", (t) => {
  const nothing = { hardState: undefined, truncateFrom: undefined, entries: [] };
  t.is(joinPersists([nothing, nothing]), undefined);
});
