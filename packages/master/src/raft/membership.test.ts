import { LumeoError, type NodeId, nodeId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { logIndex, type Membership } from "./entry.js";
import { isSoleVoter, isVoter, MembershipHistory, membersOf, NOBODY } from "./membership.js";
import { decodeMembership, encodeMembership } from "./membership-codec.js";

const NAMES = ["m1", "m2", "m3", "m4"].map(nodeId);
const [A, B, C] = NAMES as [NodeId, NodeId, NodeId, NodeId];

function voting(...voters: NodeId[]): Membership {
  return { ...NOBODY, voters };
}

test("decodeMembership(encodeMembership(x)) is x", (t) => {
  const lists = fc.record({
    voters: fc.subarray(NAMES),
    votersOutgoing: fc.subarray(NAMES),
    learners: fc.subarray(NAMES),
  });
  fc.assert(
    fc.property(lists, fc.string({ unit: "grapheme" }), fc.nat(20), (ids, host, gone) => {
      const shell = { ...NOBODY, ...ids };
      const addresses = Object.fromEntries(membersOf(shell).map((id) => [id, `${host}:${id}`]));
      // Not everybody's store is known.
      const stores = Object.fromEntries(ids.voters.map((id) => [id, `store of ${id}`]));
      const retired = Array.from({ length: gone }, (_, i) => {
        return { id: nodeId(`old${i}`), store: i % 2 === 0 ? "" : `${host}${i}` };
      });
      const membership = { ...ids, addresses, stores, retired };
      t.deepEqual(decodeMembership(encodeMembership(membership)), membership);
    }),
  );
});

test("decodeMembership() refuses any other bytes with CORRUPT, and quickly", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        decodeMembership(bytes);
      } catch (error) {
        return error instanceof LumeoError && error.code === "CORRUPT";
      }
      return true;
    }),
  );
  const bytes = encodeMembership(voting(A));
  t.throws(() => decodeMembership(bytes.subarray(0, bytes.byteLength - 1)), { code: "CORRUPT" });
  t.throws(() => decodeMembership(new Uint8Array([...bytes, 0])), { code: "CORRUPT" });
});

test("MembershipHistory goes back to what was in force before a truncated entry", (t) => {
  const history = new MembershipHistory(logIndex(3), voting(A));
  history.append(logIndex(5), voting(A, B));
  history.append(logIndex(8), voting(A, B, C));
  history.truncate(logIndex(9));
  t.deepEqual(history.current.voters, [A, B, C]);
  history.truncate(logIndex(6));
  t.deepEqual(history.current.voters, [A, B]);
  history.truncate(logIndex(5));
  t.deepEqual(history.current.voters, [A]);
});

test("MembershipHistory never goes back behind a committed membership", (t) => {
  const history = new MembershipHistory(logIndex(3), voting(A));
  history.append(logIndex(5), voting(A, B));
  history.committed(logIndex(5));
  t.throws(() => history.truncate(logIndex(5)), { message: /committed membership/ });
});

test("isVoter() and isSoleVoter() look at both voter sets", (t) => {
  const joint: Membership = { ...voting(A), votersOutgoing: [B], learners: [C] };
  t.true(isVoter(joint, B));
  t.false(isVoter(joint, C));
  t.false(isSoleVoter(joint, A));
  t.true(isSoleVoter(voting(A), A));
  t.false(isSoleVoter(voting(A), B));
  t.false(isSoleVoter(voting(), A));
});
