// What an operator does to a group while everything else goes wrong: adds, promotes, demotes,
// replaces and removes members in no sensible order, and makes leaders hand over.

import { integerBetween, type SeededRandom } from "@lumeofs/base";
import type { World } from "@lumeofs/testkit";
import type { Membership } from "../../src/raft/entry.js";
import { changed, type MemberChange } from "../../src/raft/member-change.js";
import type { Cast } from "./cast.js";
import type { Member } from "./member.js";

const VOTERS_MIN = 2;
const VOTERS_MAX = 5;
const LIVING_MAX = 6;

/** Asks the leader for one random change; the member that it has added for it, if it has. */
export function changeMembership(
  world: World,
  cast: Cast,
  random: SeededRandom,
): Member | undefined {
  const { leader } = cast;
  const membership = leader?.standing?.membership;
  // What a paused leader would do when it goes on could meet another world.
  if (leader === undefined || membership === undefined || leader.isPaused) return undefined;
  const known = cast.all.length;
  const changes = drawChanges(cast, membership, random);
  const added = known < cast.all.length ? cast.all.at(-1) : undefined;
  const after = changed(membership, changes);
  // An operator sees which machines are broken, and does not rely on them. (The atlas of faults.)
  if (changes.length === 0 || !("voters" in after) || !cast.canRelyOn(after)) return added;
  world.record(() => `${leader.name} is asked for ${JSON.stringify(changes)}`);
  leader.deliver(() => {
    // Refused, undone or done: the group has to stay right in every case.
    leader.process?.group.change(changes).catch(() => {});
  });
  return added;
}

/** The leader hands over to somebody, or gives up without a word. */
export function handOver(world: World, cast: Cast, random: SeededRandom): void {
  const { leader } = cast;
  const voters = leader?.standing?.membership.voters ?? [];
  const isGivenUp = random.fraction() < 0.3;
  const to = voters[integerBetween(random, 0, Math.max(0, voters.length - 1))];
  if (leader === undefined) return;
  world.record(() => `${leader.name} is to ${isGivenUp ? "give up" : `hand over to ${to}`}`);
  leader.deliver(() => {
    const group = leader.process?.group;
    const ending = isGivenUp ? group?.giveUp() : group?.transfer(to);
    ending?.catch(() => {});
  });
}

function drawChanges(
  cast: Cast,
  membership: Membership,
  random: SeededRandom,
): readonly MemberChange[] {
  const { voters, learners } = membership;
  const pick = <T>(values: readonly T[]): T | undefined =>
    values[integerBetween(random, 0, Math.max(0, values.length - 1))];
  // Whoever is lost goes first, as an operator would have it, but not always.
  const lost = voters.filter((id) => cast.find(id)?.fate !== "living");
  const leaving = random.fraction() < 0.7 ? (pick(lost) ?? pick(voters)) : pick(voters);
  const learner = pick(learners);
  const draw = random.fraction();
  if (learner !== undefined && draw < 0.6) {
    const promote: MemberChange = { kind: "promote", id: learner };
    if (voters.length < VOTERS_MAX && random.fraction() < 0.5) return [promote];
    return leaving === undefined ? [promote] : [promote, { kind: "remove", id: leaving }];
  }
  if (draw < 0.75) return addOne(cast);
  if (draw < 0.85 && learner !== undefined) return [{ kind: "remove", id: learner }];
  if (leaving === undefined || voters.length <= VOTERS_MIN) return [];
  return [{ kind: random.fraction() < 0.2 ? "demote" : "remove", id: leaving }];
}

function addOne(cast: Cast): readonly MemberChange[] {
  if (LIVING_MAX <= cast.living.length) return [];
  const { name } = cast.add();
  return [{ kind: "addLearner", id: name, address: name, store: "" }];
}
