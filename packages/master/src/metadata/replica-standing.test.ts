import { CODE_DEFAULT, chunkHandle, epoch, type ServerId, serverId } from "@lumeofs/base";
import test from "ava";
import { codedAs, commitOf, MetadataDriver } from "../../test/metadata-driver.js";
import { encodeChunk, getChunk } from "./chunk-table.js";
import { chunkKey } from "./keys.js";
import { standingOfReplica } from "./replica-standing.js";

const fine = (server: ServerId) => ({ server, isGood: () => true });
const [ONE, NINE] = [serverId(1), serverId(9)];

function standing(m: MetadataDriver, handle: number, of = 1, server = ONE) {
  const replica = { handle: chunkHandle(handle), epoch: epoch(of) };
  return standingOfReplica(m.state, replica, fine(server));
}

test("a replica is granted, then a member's, then released, then garbage", (t) => {
  const m = new MetadataDriver();
  const [handle = chunkHandle(1)] = m.grant(1);
  t.is(standing(m, handle), "granted");
  t.is(standing(m, handle, 2), "newer", "a fresh chunk has the first epoch");
  m.commit("/f");
  const committed = handle + 64; // the first handle of the next grant
  t.is(standing(m, committed), "member");
  t.is(standing(m, committed, 1, NINE), "garbage", "who is no member");
  m.remove("/f");
  t.is(standing(m, committed), "released");
  m.apply({ kind: "forgetChunks", handles: [chunkHandle(committed)] });
  t.is(standing(m, committed), "garbage");
});

test("rule 22: a replica of an earlier epoch is stale, one of a later epoch is proof of a loss", (t) => {
  const m = new MetadataDriver();
  m.commit("/f");
  const handle = chunkHandle(64);
  const chunk = getChunk(m.state, handle);
  if (chunk === undefined) return t.fail("the first grant has other handles");
  m.state.put(chunkKey(handle), encodeChunk({ ...chunk, epoch: epoch(3) }));
  t.is(standing(m, handle, 2), "stale");
  t.is(standing(m, handle, 3), "member");
  t.is(standing(m, handle, 4), "newer");
  t.is(standing(m, handle, 4, NINE), "newer", "whoever has it");
});

test("rule 22: a handle that was never granted is proof of a loss, and never garbage", (t) => {
  const m = new MetadataDriver();
  m.grant(1);
  t.is(standing(m, 64 + 5), "garbage", "a slot that was not granted, of a grant that was");
  t.is(standing(m, 2 * 64), "newer");
  t.is(standing(m, 5), "garbage", "below the first grant");
});

test("a member whose unit has no bytes stores nothing: what it has is garbage", (t) => {
  const m = new MetadataDriver();
  const [handle = chunkHandle(1)] = m.grant(1, 6);
  m.apply(commitOf("/f", [handle], { chunks: [codedAs(CODE_DEFAULT, handle)] }));
  const standings = [1, 2, 3, 4, 5, 6].map((id) => standing(m, handle, 1, serverId(id)));
  t.deepEqual(standings, ["member", "garbage", "garbage", "garbage", "member", "member"]);
  const kept = standingOfReplica(
    m.state,
    { handle, epoch: epoch(1) },
    { server: serverId(2), isGood: (member) => member !== ONE },
  );
  t.is(kept, "kept", "while a member may have lost its own");
});
