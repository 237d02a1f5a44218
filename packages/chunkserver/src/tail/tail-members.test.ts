import { epoch, type MonotonicMs, monotonicMs, serverId } from "@lumeofs/base";
import test from "ava";
import type { ReplicaMessage } from "../replication/message.js";
import type { HeldBytes } from "./record-source.js";
import { TailMembers } from "./tail-members.js";

const MEMBER = serverId(2);
const HELD: HeldBytes = { bytes: new Map(), release: () => undefined };
const FENCE: ReplicaMessage = { kind: "fence", epoch: epoch(1) };
const at = (ms: number): MonotonicMs => monotonicMs(ms);

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a member owes answers while something has not left that is for it", async (t) => {
  const holds: (() => void)[] = [];
  const answers: (() => void)[] = [];
  const members = new TailMembers([MEMBER], () => ({
    hold: () => new Promise((resolve) => holds.push(() => resolve(HELD))),
    say: () => new Promise((resolve) => answers.push(resolve)),
    failed: (error) => t.fail(error.message),
  }));
  for (let i = 0; i < 2; i++) members.send(MEMBER, FENCE, at(0));
  await settle();
  holds[0]?.();
  await settle();
  t.is(holds.length, 2, "the bytes of the second message are not here yet");
  members.heard(MEMBER, at(500));
  answers[0]?.();
  await settle();
  t.false(members.isSilent(MEMBER, at(1_499)));
  t.true(members.isSilent(MEMBER, at(1_500)));
  holds[1]?.();
  await settle();
  members.heard(MEMBER, at(2_000));
  answers[1]?.();
  await settle();
  t.false(members.isSilent(MEMBER, at(9_000)), "nothing is owed any more");
});
