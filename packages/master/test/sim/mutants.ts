// Deliberate bugs: the proof that the simulation can see. Each changes a few words of the compiled
// product in a copy of it; the simulation must find every one within a bounded number of seeds.
//
// A mutant whose words are no longer found fails the test: whoever changed the code says here where
// the bug would be now.

import type { Lens } from "./options.js";

/** Other words for some words of the compiled product. */
export interface Patch {
  /** Inside of src, without ending. */
  readonly file: string;
  /** Occurs there exactly once. */
  readonly find: string;
  readonly replace: string;
}

export interface Mutant {
  readonly name: string;
  /** The rule that it breaks, and who broke it before where that is known (raft.md §2, §3). */
  readonly breaks: string;
  readonly patches: readonly Patch[];
  /** It must be found within so many seeds. */
  readonly seedsMax: number;
  /** What makes its circumstances likely, if they are rare. */
  readonly lens?: Lens;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "sends before it is durable",
    breaks: "replies of a persist leave after its write",
    patches: [
      {
        file: "consensus/driver",
        find: `case "persist":`,
        replace: `case "persist":
          for (const { to, message } of output.then) this.#ports.links.send(to, message);`,
      },
    ],
    seedsMax: 5,
  },
  {
    name: "counts copies of old terms",
    breaks: "an entry of an earlier term is not committed by counting (Figure 8)",
    patches: [{ file: "raft/quorum", find: "termAt(agreed) === own", replace: "true" }],
    seedsMax: 60,
    lens: "unsteady",
  },
  {
    name: "votes twice",
    breaks: "one vote in a term",
    patches: [
      {
        file: "raft/follower",
        find: "const isFree = member.votedFor === undefined &&",
        replace: "const isFree = true || member.votedFor === undefined &&",
      },
      {
        file: "raft/member",
        find: `this.votedFor === undefined, "a second vote in one term"`,
        replace: `true, "a second vote in one term"`,
      },
    ],
    seedsMax: 60,
  },
  {
    name: "votes for shorter logs",
    breaks: "no vote for a candidate that knows less (§5.4.1)",
    patches: [
      {
        file: "raft/log",
        find: "return ours < lastTerm || (ours === lastTerm && this.#last <= lastIndex);",
        replace: "return true;",
      },
    ],
    seedsMax: 60,
  },
  {
    name: "cuts the log at every append",
    breaks: "only a real conflict truncates (raft.md 3.2 no. 12)",
    patches: [
      {
        file: "raft/follower",
        find: "entries.slice(countEqual(member, entries))",
        replace: "(countEqual(member, entries), entries)",
      },
    ],
    seedsMax: 60,
  },
  {
    name: "forgets whom it voted for",
    breaks: "the vote is durable with its term (raft.md 3.1 no. 1)",
    patches: [
      {
        file: "raft/member",
        find: "this.#isHardStateNew ? this.#hardState : undefined;",
        replace: "this.#isHardStateNew ? { term: this.term, votedFor: undefined } : undefined;",
      },
    ],
    seedsMax: 5,
  },
  {
    name: "serves reads without asking",
    breaks: "a majority confirms the leader before a read (§8)",
    patches: [
      {
        file: "raft/leader",
        find: "if (!isQuorum(member.membership, confirms))",
        replace: "if (!isQuorum(member.membership, confirms) && false)",
      },
    ],
    seedsMax: 100,
    lens: "stale",
  },
  {
    name: "serves reads before its first commit",
    breaks: "a new leader commits an entry of its term before it reads (raft.md 3.3 no. 25)",
    patches: [
      {
        file: "raft/leader",
        find: "if (member.commit < role.opening)",
        replace: "if (member.commit < role.opening && false)",
      },
    ],
    seedsMax: 100,
    lens: "fresh",
  },
  {
    name: "forgets what it has answered",
    breaks: "a repeated request has one effect (raft.md 3.3 no. 29)",
    patches: [
      {
        file: "metadata/sessions",
        find: "return reply === undefined ?",
        replace: "return true ?",
      },
    ],
    seedsMax: 20,
  },
  {
    name: "heartbeats commit too much",
    breaks: "a heartbeat commits only what the follower confirmed (raft.md 3.2 no. 14)",
    patches: [
      {
        file: "raft/leader",
        find: "logIndex(Math.min(progress.match, member.commit))",
        replace: "member.commit",
      },
    ],
    seedsMax: 60,
  },
  {
    name: "leader counts what it has not written",
    breaks: "the leader's own copy counts when it is durable (raft.md 3.2 no. 20)",
    patches: [
      {
        file: "raft/leader",
        find: "id === member.id ? log.durable",
        replace: "id === member.id ? log.last",
      },
    ],
    seedsMax: 20,
  },
  {
    name: "old writes vouch for new entries",
    breaks: "an overwritten entry is durable with its last write (ABA, raft.md 3.2 no. 18)",
    patches: [
      {
        file: "raft/log",
        find: "pending.upTo = logIndex(Math.min(pending.upTo, before));",
        replace: ";",
      },
    ],
    seedsMax: 100,
    lens: "unsteady",
  },
  {
    name: "keeps the old log under a snapshot",
    breaks: "a snapshot replaces a log that does not hold its last entry (raft.md 2 no. 11)",
    patches: [
      {
        file: "consensus/storage-queue",
        find: "await log.reset(job.meta);",
        replace: "",
      },
    ],
    seedsMax: 40,
  },
  {
    name: "compacts what a snapshot has replaced",
    breaks: "a compaction that was overtaken by an installation is dropped",
    patches: [
      {
        file: "consensus/storage-queue",
        find: "if (log.first <= job.upTo) {",
        replace: "if (true) {",
      },
    ],
    seedsMax: 60,
    lens: "snapshots",
  },
  {
    name: "drops a snapshot that waits to be installed",
    breaks: "a snapshot that came twice does not take its file from the installation",
    patches: [
      {
        file: "consensus/driver",
        find: "if (this.#storage.isInstalling)",
        replace: "if (this.#storage.isInstalling && false)",
      },
    ],
    seedsMax: 60,
    lens: "snapshots",
  },
  {
    name: "applies by the clock of the machine",
    breaks: "apply depends on the log alone (raft.md 3.4 no. 42)",
    patches: [
      {
        file: "metadata/state-machine",
        find: "advanceClock(state, proposal.at)",
        replace:
          "advanceClock(state, proposal.at + (globalThis.turns = 1 + (globalThis.turns ?? 0)))",
      },
    ],
    seedsMax: 10,
  },
  {
    name: "calls done what it has lost",
    breaks: "a caller whose leader is gone learns that the outcome is unknown (raft.md 3.3 no. 30)",
    patches: [
      {
        file: "consensus/proposals",
        find: "for (const { waiter } of this.#placed.values())",
        replace: `const done = Uint8Array.of(3, 1);
        for (const { waiter } of this.#placed.values()) waiter.resolve(done);
        for (const { waiter } of this.#placed.values())`,
      },
    ],
    seedsMax: 30,
    lens: "unsteady",
  },
  {
    name: "never tries a lost append again",
    breaks: "lost appends are found out and repeated (raft.md 3.2 no. 21)",
    patches: [
      {
        file: "raft/leader",
        find: `if (isBehind || progress.kind === "probe")`,
        replace: "if (isBehind && false)",
      },
    ],
    seedsMax: 60,
  },
  {
    name: "breaks its loyalty to a leader",
    breaks: "who hears a leader helps nobody to another election (thesis §9.6, raft.md 3.1 no. 8)",
    patches: [
      {
        file: "raft/follower",
        find: "if (isLater && !vote.transfer && hearsLeader(member))",
        replace: "if (false)",
      },
    ],
    seedsMax: 20,
  },
  {
    name: "leads without a majority",
    breaks: "a leader that hears no majority steps back (raft.md 2 no. 6)",
    patches: [
      { file: "raft/leader", find: "if (!takeQuorum(member, role))", replace: "if (false)" },
    ],
    seedsMax: 40,
  },
  {
    name: "sends without a window",
    breaks: "what is in flight is bounded (raft.md 2 no. 10)",
    patches: [
      {
        file: "raft/progress",
        find: "return (this.#inFlight.length < this.#window.inFlightAppendsMax &&",
        replace: "return true || (this.#inFlight.length < this.#window.inFlightAppendsMax &&",
      },
    ],
    seedsMax: 20,
  },
  {
    name: "takes in whatever comes",
    breaks: "what is uncommitted is bounded (raft.md 2 no. 12)",
    patches: [
      {
        file: "raft/admission",
        find: "if (0 < this.#bytes && this.#bytesMax < this.#bytes + bytes)",
        replace: "if (false)",
      },
      {
        file: "consensus/driver",
        find: "proposalBytesMax < this.#proposals.bytes + command.byteLength",
        replace: "false",
      },
    ],
    seedsMax: 60,
    lens: "overload",
  },
  {
    name: "loses a vote between two writes",
    breaks: "writes that are joined leave what all of them would (raft.md 2 no. 2)",
    patches: [
      {
        file: "consensus/storage-queue",
        find: "hardState = next.hardState ?? hardState;",
        replace: "hardState = next.hardState;",
      },
    ],
    seedsMax: 40,
  },
  {
    name: "counts learners for the majority",
    breaks: "a learner receives the log and counts for nothing (raft.md 3.2 no. 24)",
    patches: [
      {
        file: "raft/leader",
        find: "const agreed = agreedIndex(membership, storedBy);",
        replace: `const { voters, learners } = membership;
        const all = { ...membership, voters: [...new Set([...voters, ...learners])] };
        const agreed = agreedIndex(all, (id) =>
          learners.includes(id) ? log.durable : storedBy(id));`,
      },
    ],
    seedsMax: 60,
    lens: "membership",
  },
  {
    name: "asks only the new voters",
    breaks: "a joint membership needs a majority of both voter sets (Raft §6)",
    patches: [
      {
        file: "raft/quorum",
        find: "if (sets.votersOutgoing.length === 0)\n        return incoming;",
        replace: "return incoming;",
      },
    ],
    seedsMax: 60,
    lens: "membership",
  },
  {
    name: "changes a membership that is not committed",
    breaks: "one change at a time (raft.md 2.1, 3.5 no. 43)",
    patches: [
      {
        file: "raft/reconfiguration",
        find: "return member.isMembershipSettled && role.opening <= member.commit;",
        replace: "return true;",
      },
      {
        file: "raft/reconfiguration",
        find: "if (member.commit < role.opening)",
        replace: "if (false)",
      },
    ],
    seedsMax: 60,
    lens: "membership",
  },
  {
    name: "takes a membership only when it is committed",
    breaks: "a membership counts from its append on (Raft §6, raft.md 2.1)",
    patches: [
      {
        file: "raft/member",
        find: "this.#memberships.append(index, decodeMembership(data));",
        replace: `(this.later ??= []).push([index, decodeMembership(data)]);`,
      },
      {
        file: "raft/member",
        find: "this.#memberships.committed(index);",
        replace: `for (const [at, membership] of (this.later ?? [])) {
            if (at <= index && this.#memberships.newest.index < at) {
              this.#memberships.append(at, membership);
            }
          }
          this.later = (this.later ?? []).filter(([at]) => index < at);
          this.#memberships.committed(index);`,
      },
      {
        file: "raft/member",
        find: "this.#memberships.truncate(from);",
        replace: "this.later = (this.later ?? []).filter(([at]) => at < from);",
      },
    ],
    seedsMax: 60,
    lens: "membership",
  },
  {
    name: "counts the votes of strangers",
    breaks: "only voters elect (raft.md 3.5 no. 45)",
    patches: [
      {
        file: "raft/candidate",
        find: "voteResult(member.membership, (id) => role.votes.get(id))",
        replace: `(member.membership.voters.length <
          2 * [...role.votes.values()].filter(Boolean).length
          ? "won"
          : voteResult(member.membership, (id) => role.votes.get(id)))`,
      },
    ],
    seedsMax: 300,
    lens: "membership",
  },
  {
    name: "never ends a handover",
    breaks: "a handover is given up after an election timeout (raft.md 3.5 no. 47)",
    patches: [{ file: "raft/transfer", find: "pending.ticksLeft--;", replace: "" }],
    seedsMax: 60,
    lens: "membership",
  },
  {
    name: "hands over to whoever is behind",
    breaks: "only who has the whole log is told to stand, so that the others follow (raft.md 3.5)",
    patches: [
      {
        file: "raft/follower",
        find: "member.log.isUpToDate(vote.lastIndex, vote.lastTerm);",
        replace: "(vote.transfer || member.log.isUpToDate(vote.lastIndex, vote.lastTerm));",
      },
      {
        file: "raft/transfer",
        find: "if (role.peers.get(pending.to)?.match !== member.log.last)",
        replace: "if (false)",
      },
    ],
    seedsMax: 60,
    lens: "membership",
  },
  {
    name: "serves reads before it has applied",
    breaks: "a read waits until its index is applied (raft.md 2 no. 22)",
    patches: [
      {
        file: "consensus/reads",
        find: "if (applied < ready.index) {",
        replace: "if (false) {",
      },
    ],
    seedsMax: 60,
    lens: "fresh",
  },
  {
    name: "takes its lease into the next term",
    breaks: "a lease belongs to the term in which it was confirmed (raft.md 2.2)",
    patches: [{ file: "consensus/reads", find: "this.#confirmed = undefined;", replace: "" }],
    seedsMax: 200,
    lens: "fresh",
  },
  {
    name: "calls an old state fresh",
    breaks: "a stale read tells how old it may be (raft.md 2 no. 22)",
    patches: [
      {
        file: "consensus/read-gate",
        find: "return { index: replication.status.applied, ageMs, holds: () => true };",
        replace:
          "return { index: replication.status.applied, ageMs: ageMs / 2, holds: () => true };",
      },
    ],
    seedsMax: 60,
    lens: "stale",
  },
  {
    name: "loses the answers in a snapshot",
    breaks: "answers to requests are part of the state (raft.md 3.3 no. 29)",
    patches: [
      {
        file: "state/machine-state",
        find: "await this.#store.install({ index: meta.index, term: meta.term }, pieces);",
        replace: `await this.#store.install({ index: meta.index, term: meta.term }, pieces);
        const [low, high] = [Uint8Array.of(0x41), Uint8Array.of(0x42)];
        for (const [key] of await this.#store.range(low, high, 1e6)) this.#store.delete(key);`,
      },
    ],
    seedsMax: 40,
    lens: "snapshots",
  },
  {
    name: "gives a number twice",
    breaks: "ids are unique",
    patches: [
      {
        file: "metadata/counters",
        find: "write(state, name, last + 1);",
        replace: 'write(state, name, last + (name === "grant" && last % 5 === 4 ? 0 : 1));',
      },
    ],
    seedsMax: 40,
  },
  {
    name: "looks at no fence",
    breaks: "a change under a lost lock is refused",
    patches: [{ file: "metadata/locks", find: "if (fence === undefined)", replace: "if (true)" }],
    seedsMax: 40,
  },
  {
    name: "stands without having asked",
    breaks: "a member that nobody waited for ends no term (thesis §9.6, raft.md 2 no. 6)",
    patches: [
      {
        file: "raft/candidate",
        find: "if (member.mayCampaign)\n        ask(member);",
        replace: "if (member.mayCampaign)\n        stand(member, false);",
      },
    ],
    seedsMax: 20,
  },
  {
    name: "keeps a membership that was cut off",
    breaks: "a membership goes back with its entry (raft.md 3.5 no. 44)",
    patches: [
      {
        file: "raft/member",
        find: "this.#memberships.truncate(from);",
        replace: "",
      },
    ],
    seedsMax: 500,
    lens: "membership",
  },
  {
    name: "leaves the group without a leader for long",
    breaks: "with one machine dead no call takes longer than its budget (L2)",
    patches: [
      {
        file: "raft/member",
        find: "return new ElectionTimer(ticks, this.#random);",
        replace: "return new ElectionTimer(30 * ticks, this.#random);",
      },
    ],
    seedsMax: 20,
  },
  {
    name: "begins its lease with the answers",
    breaks: "a lease begins when its round does (lease.ts, E1)",
    patches: [
      {
        file: "consensus/reads",
        find: "later(this.#confirmed, known.begun)",
        replace: "later(this.#confirmed, momentOf(this.#clock))",
      },
    ],
    seedsMax: 100,
    lens: "lag",
  },
  {
    name: "keeps two small files under one handle",
    breaks: "a handle is given once ever (G1 in grants.ts)",
    patches: [
      {
        file: "metadata/inline-chunks",
        find: `handleIn(grantId(takeNumber(state, "grant")), 0)`,
        replace: "handleIn(grantId(2 ** 20), 0)",
      },
    ],
    seedsMax: 20,
  },
  {
    name: "loses the end of the bytes of small files",
    breaks: "bytes are those of their chunk's record (B1 in inline-table.ts)",
    patches: [
      {
        file: "metadata/inline-table",
        find: "state.put(inlineKey(handle), record);",
        replace: "state.put(inlineKey(handle), record.subarray(0, 2_000));",
      },
    ],
    seedsMax: 20,
  },
  {
    name: "lets every master decide for itself whether bytes are kept",
    breaks: "apply depends on the log alone",
    patches: [
      {
        file: "metadata/inline-chunks",
        find: `if (inline.kind === "refused")`,
        replace: `globalThis.commitsSeen = (globalThis.commitsSeen ?? 0) + 1;
    if (globalThis.commitsSeen % 7 === 0)
        return refuse("INLINE_REFUSED", what);
    if (inline.kind === "refused")`,
      },
    ],
    seedsMax: 20,
  },
];
