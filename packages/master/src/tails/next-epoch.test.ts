import { chunkHandle, createAuthority, fenceOf, type ServerId, serverId } from "@lumeofs/base";
import test from "ava";
import {
  type MemberStanding,
  nextEpoch,
  obstacleOf,
  planSalvage,
  salvagedMembers,
  votersAfter,
} from "./next-epoch.js";

const HANDLE = chunkHandle(64);

function servers(count: number): readonly ServerId[] {
  return Array.from({ length: count }, (_, i) => serverId(i + 1));
}

test("of a salvaged tail all survivors are heard, and nobody who was given up is a member", (t) => {
  for (let copies = 2; copies <= 8; copies++) {
    const members = servers(copies);
    const authority = createAuthority(members);
    const survivorsMax = fenceOf(members) - 1;
    for (let count = 1; count <= survivorsMax; count++) {
      const standing = (server: ServerId): MemberStanding => {
        if (server <= count || copies < server) return "good";
        return server === copies ? "lost" : "dead";
      };
      const salvage = planSalvage(HANDLE, authority, standing);
      t.deepEqual(salvage.survivors, members.slice(0, count));
      const voters = votersAfter(salvage);
      t.is(fenceOf(voters), count, `${count} of ${copies}`);
      t.true(count === 1 || voters.includes(serverId(copies)), "who never comes back comes first");
      const decided = { ...authority, lastActive: { ...authority.lastActive, members: voters } };
      t.is(obstacleOf(decided, standing), undefined);
      for (let spares = 0; spares <= copies - count; spares++) {
        const fresh = servers(copies + spares).slice(copies);
        const next = nextEpoch(decided, standing, fresh);
        if (next.kind === "wait") continue;
        const has = salvagedMembers(next, salvage);
        t.is(has[0], next.primary);
        t.deepEqual(
          has.filter((member) => salvage.lost.includes(member)),
          [],
        );
        t.is(has.length, count + spares);
      }
    }
  }
});

test("who has lost all survivors gives the tail up", (t) => {
  const authority = createAuthority(servers(3));
  const salvage = planSalvage(HANDLE, authority, () => "dead");
  t.deepEqual(votersAfter(salvage), []);
});
