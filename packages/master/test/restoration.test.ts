// What becomes of a state that a new group is founded with.

import { chunkHandle, wallMs } from "@lumeofs/base";
import test from "ava";
import { changeFloor } from "../src/metadata/changes.js";
import { isGarbage } from "../src/metadata/chunk-table.js";
import { getInlineBytes, inlineTotals } from "../src/metadata/inline-table.js";
import { stat } from "../src/metadata/queries.js";
import {
  BACKUP_RANGES,
  firstRevision,
  REVISION_GAP,
  restoredState,
} from "../src/metadata/restoration.js";
import { MemoryState } from "./memory-state.js";
import { inlineOf, MetadataDriver } from "./metadata-driver.js";
import { audit } from "./state-audit.js";

type Pair = readonly [Uint8Array, Uint8Array];
const ALL = 1_000_000;

async function* backedUp(state: MemoryState): AsyncGenerator<Pair, void, undefined> {
  for (const { from, to } of BACKUP_RANGES) yield* await state.range(from, to, ALL);
}

async function restore(
  m: MetadataDriver,
  keepUntil: number,
  restoredBefore = 0,
): Promise<MetadataDriver> {
  const state = new MemoryState();
  const terms = { revision: m.index, keepUntil: wallMs(keepUntil), restoredBefore };
  let last: Uint8Array = new Uint8Array(0);
  for await (const [key, value] of restoredState(backedUp(m.state), terms)) {
    if (Buffer.compare(last, key) !== -1) throw new Error("keys are out of order");
    last = key;
    state.put(key, value);
  }
  const restored = new MetadataDriver(state);
  restored.index = firstRevision(terms);
  restored.now = m.now;
  return restored;
}

test("no number that the old group may have given is given again", async (t) => {
  const old = new MetadataDriver();
  old.commit("/f");
  const revision = old.index;
  const restored = await restore(old, old.now + 1_000);
  const lostHandles = old.grants(500);
  const lostSession = old.apply({ kind: "openSession" });
  const handles = restored.grants(64);
  t.true((lostHandles.at(-1) as number) < (handles[0] as number));
  const session = restored.apply({ kind: "openSession" });
  t.notDeepEqual(session, lostSession);
  t.is(changeFloor(restored.state), revision + REVISION_GAP);
});

test("a group founded from a backup that was restored before gives no number of the one before", async (t) => {
  const old = new MetadataDriver();
  old.commit("/f");
  const first = await restore(old, old.now + 1_000);
  const second = await restore(old, old.now + 1_000, 1);
  const taken = first.grants(500);
  t.true((taken.at(-1) as number) < (second.grants(64)[0] as number));
  t.false(isGarbage(second.state, taken[0] as ReturnType<typeof chunkHandle>));
  const session = first.apply({ kind: "openSession" });
  t.notDeepEqual(second.apply({ kind: "openSession" }), session);
  t.true(first.index < changeFloor(second.state), "so are mandates: they are revisions");
  const last = await restore(old, old.now + 1_000, 99);
  last.commit("/g");
  t.true(second.index < last.index);
});

test("chunks of the lost time stay until the given time, all other garbage goes", async (t) => {
  const old = new MetadataDriver();
  const [taken = chunkHandle(64)] = old.grant(1);
  const until = old.now + 1_000;
  const restored = await restore(old, until);
  const [lost] = old.grant(1);
  const ofNobody = chunkHandle(taken - 1);
  t.false(isGarbage(restored.state, lost as typeof taken));
  t.true(isGarbage(restored.state, ofNobody));
  restored.now = until + 1;
  restored.makeDirectory("/tick");
  t.true(isGarbage(restored.state, lost as typeof taken));
});

test("the files are there as they were, and a second restoration goes on behind the first", async (t) => {
  const old = new MetadataDriver();
  old.commit("/d/f", 3, { makeParents: true });
  const first = await restore(old, old.now);
  t.is(first.rename("/d/f", "/d/g").kind, "done");
  const second = await restore(first, first.now);
  t.is(second.remove("/d/g").kind, "done");
  t.true(changeFloor(first.state) < changeFloor(second.state));
});

test("small files come with their bytes, which later ones never take the place of", async (t) => {
  const old = new MetadataDriver();
  const bytes = Uint8Array.from({ length: 900 }, (_, i) => i & 0xff);
  old.apply(inlineOf("/small", bytes));
  const restored = await restore(old, old.now + 1_000);
  t.deepEqual(bytesOf(restored, "/small"), bytes);
  restored.apply(inlineOf("/later", bytes.subarray(0, 70)));
  t.deepEqual(inlineTotals(restored.state), { chunks: 2, bytes: 970 });
  t.deepEqual(bytesOf(restored, "/small"), bytes);
  t.deepEqual(await audit(restored.state), []);
});

function bytesOf({ state }: MetadataDriver, path: string): Uint8Array | undefined {
  const found = stat(state, path);
  const [handle] = found.kind === "found" && found.inode.kind === "file" ? found.inode.inline : [];
  return handle === undefined ? undefined : getInlineBytes(state, handle);
}
