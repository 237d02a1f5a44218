// Requests whose answers were lost, repeated through everything that may happen to a group.

import { sessionId, wallMs } from "@lumeofs/base";
import test from "ava";
import type { Command } from "../src/metadata/command.js";
import { encodeProposal } from "../src/metadata/command-codec.js";
import { decodeReply } from "../src/metadata/reply-codec.js";
import { applyEntry } from "../src/metadata/state-machine.js";
import { DriverGroup } from "./driver-group.js";

const SESSION = sessionId(1);
/** So few that whoever was away for a moment needs a snapshot. */
const LIMITS = { compactEntries: 5, tailEntries: 1 };

const CHANGES: readonly Command[] = [
  { kind: "makeDirectory", path: "/a", parents: false },
  { kind: "rename", source: "/a", target: "/b", overwrite: false, fence: undefined },
  {
    kind: "remove",
    path: "/b",
    recursive: true,
    precondition: { kind: "none" },
    skipTrash: true,
    fence: undefined,
  },
];

test("3.3.29: a repeated change is done once, through new leaders, snapshots and restarts", async (t) => {
  const group = new DriverGroup(3, LIMITS);
  group.apply = applyEntry;
  for (const member of group.all) await group.settled(member.start());
  const propose = async (command: Command, sequence?: number): Promise<string> => {
    const request = sequence && { session: SESSION, sequence, answeredBelow: 1 };
    const proposal = encodeProposal({ at: wallMs(1), request: request || undefined, command });
    const { driver } = await group.leader();
    const result = await group.settled(driver?.propose(proposal) ?? Promise.reject());
    if (result.status === "rejected") throw result.reason;
    return JSON.stringify(decodeReply(result.value));
  };
  await propose({ kind: "initCluster", clusterId: "once" });
  await propose({ kind: "openSession" });
  const first: string[] = [];
  for (const [i, command] of CHANGES.entries()) first.push(await propose(command, i + 1));
  const mustAnswerAgain = async (when: string): Promise<void> => {
    for (const [i, command] of CHANGES.entries()) {
      t.is(await propose(command, i + 1), first[i] ?? "", `${JSON.stringify(command)} ${when}`);
    }
  };
  t.true(
    first.every((reply) => !reply.includes("refused")),
    first.join(),
  );
  await mustAnswerAgain("at once");

  const old = await group.leader();
  old.crash();
  await mustAnswerAgain("after the leader was lost");
  for (let i = 0; i < 20; i++) {
    await propose({ kind: "makeDirectory", path: `/x${i}`, parents: false });
  }
  await group.settled(old.start());
  await group.converge();
  t.true(1 < (old.driver?.status.commit ?? 0) - 20, "it has caught up");
  // Whoever got a snapshot leads, and answers out of it.
  const { driver } = await group.leader();
  await group.settled(driver?.group.transfer(old.id) ?? Promise.reject());
  t.is((await group.leader()).id, old.id);
  await mustAnswerAgain("by a leader that got a snapshot");

  for (const member of group.all) member.crash();
  for (const member of group.all) await group.settled(member.start());
  await mustAnswerAgain("after all were restarted");
  await group.converge();
});
