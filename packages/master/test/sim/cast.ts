// The machines of a simulated life: those that found the group, and those that come later.
//
// The atlas of faults: machines may be lost for good, and entries may rot on their disks, but only
// as long as every membership that may be in force keeps a majority of machines that are whole.
// Otherwise the group could not recover, and its failure would mean nothing.

import { type NodeId, nodeId } from "@lumeofs/base";
import type { Membership } from "../../src/raft/entry.js";
import { NOBODY } from "../../src/raft/membership.js";
import type { Checker } from "./checker.js";
import { isMajority } from "./majorities.js";
import type { Member } from "./member.js";

export type MakeMember = (name: NodeId, founders: Membership) => Member;

export class Cast {
  readonly #members: Member[];
  readonly #make: MakeMember;
  readonly #checker: Checker;

  constructor(count: number, checker: Checker, make: MakeMember) {
    this.#make = make;
    this.#checker = checker;
    const names = Array.from({ length: count }, (_, i) => nodeId(`m${i + 1}`));
    const addresses = Object.fromEntries(names.map((name) => [name, name]));
    const founders: Membership = { ...NOBODY, voters: names, addresses };
    this.#members = names.map((name) => make(name, founders));
  }

  /** Everybody there ever was. */
  get all(): readonly Member[] {
    return this.#members;
  }

  /** Who is neither lost nor removed; a machine that is down for a while is among them. */
  get living(): readonly Member[] {
    return this.#members.filter((member) => member.fate === "living");
  }

  find(name: string): Member | undefined {
    return this.#members.find((member) => member.name === name);
  }

  /** Whoever leads the latest term, as far as the members say. */
  get leader(): Member | undefined {
    const leading = this.living.filter((member) => member.standing?.role === "leader");
    leading.sort((a, b) => (b.standing?.term ?? 0) - (a.standing?.term ?? 0));
    return leading[0];
  }

  /** A new machine with a name that nobody had before. */
  add(): Member {
    const member = this.#make(nodeId(`m${this.#members.length + 1}`), NOBODY);
    this.#members.push(member);
    return member;
  }

  /** Whether the group would survive the loss of this member too, besides these others. */
  mayLose(member: Member, given: ReadonlySet<Member> = new Set()): boolean {
    const without = new Set([member, ...given]);
    return this.#memberships().every((membership) => this.canRelyOn(membership, without));
  }

  /** Whether whole machines are a majority of this membership, not counting some. */
  canRelyOn(membership: Membership, without: ReadonlySet<Member> = new Set()): boolean {
    return isMajority(membership, (id) => {
      const member = this.find(id);
      if (member === undefined || without.has(member)) return false;
      return member.fate === "living" && !member.isRotten;
    });
  }

  /** Every membership that is or may come into force. */
  #memberships(): readonly Membership[] {
    const found = new Set<Membership>();
    for (const { log, standing } of this.living) {
      for (const membership of log.membershipsSince(this.#checker.commit)) found.add(membership);
      if (standing !== undefined) found.add(standing.membership);
    }
    return [...found].filter(({ voters }) => 0 < voters.length);
  }
}
