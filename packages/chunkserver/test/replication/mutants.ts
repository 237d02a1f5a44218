// Deliberate bugs: what becomes of the chunk protocol if one of its rules is left out. The search
// must find a loss for each, else it would not find one in the product either.
//
// The first eleven are the deletions for which the rules were proven necessary; the others are
// those of docs/design/0019-chunk-protocol.md that were added here.

import type { Patch } from "@lumeofs/testkit";
import { PAIR } from "./model/configurations.js";
import { type ModelSettings, SMALLEST } from "./model/settings.js";

export interface Mutant {
  readonly name: string;
  /** Where a loss is likely within few states. */
  readonly settings: ModelSettings;
  readonly patches: readonly Patch[];
  /** The random simulation finds it too, within so many seeds; undefined: it may not. */
  readonly seedsMax?: number;
}

const REPLICA = "replication/replica";
const REPLACING: ModelSettings = { ...SMALLEST, servers: 4, replaces: true };

/**
 * Where a replica would notice the bug, because it is told to replace what it knows to be
 * committed, that second line of defence is taken away too.
 */
const UNGUARDED: Patch = {
  file: REPLICA,
  find: "invariant(state.commitSeq <= keepTo,",
  replace: "invariant(true,",
};

export const MUTANTS: readonly Mutant[] = [
  {
    name: "a fence promises nothing",
    seedsMax: 5,
    settings: SMALLEST,
    patches: [
      {
        file: REPLICA,
        find: "return promise(state, epoch, testimony(state, epoch));",
        replace: `return message.kind === "claim"
          ? promise(state, epoch, testimony(state, epoch))
          : answer(testimony(state, epoch));`,
      },
      {
        file: REPLICA,
        find: "return promise(state, epoch, recordsBehind(state, epoch, message.after));",
        replace: "return answer(recordsBehind(state, epoch, message.after));",
      },
    ],
  },
  {
    name: "one answer to a fence is enough",
    seedsMax: 30,
    settings: SMALLEST,
    patches: [
      {
        file: "replication/activation",
        find: "if (heard < fenceOf(witnesses(grant)))",
        replace: "if (heard < 1)",
      },
    ],
  },
  {
    name: "a new primary trusts its own history",
    seedsMax: 30,
    settings: SMALLEST,
    patches: [
      {
        file: "replication/activation",
        find: "bestDonors(testimonies, grant.primary)[0]",
        replace: "grant.primary",
      },
    ],
  },
  {
    name: "histories are chosen by length",
    settings: {
      ...REPLACING,
      epochs: 3,
      writes: 2,
      story: { primaries: [1, 2, 1], reach: [[1], [2, 3], [1, 2, 4]], writes: [[1, 2], [1], []] },
    },
    patches: [
      {
        file: "replication/append-record",
        find: "return a.epoch - b.epoch || a.seq - b.seq;",
        replace: "return a.seq - b.seq;",
      },
    ],
  },
  {
    name: "replicas do not compare epochs",
    seedsMax: 5,
    settings: SMALLEST,
    patches: [
      {
        file: REPLICA,
        find: ": epoch < state.promised;",
        replace: `: message.kind !== "append" && epoch < state.promised;`,
      },
      {
        file: REPLICA,
        find: "if (state.promised === epoch)",
        replace: "if (epoch <= state.promised)",
      },
      {
        file: REPLICA,
        find: `kind: "log", promised: epoch, keepTo,`,
        replace: `kind: "log", promised: Math.max(state.promised, epoch), keepTo,`,
      },
    ],
  },
  {
    name: "an append is acknowledged without raising the promise",
    seedsMax: 5,
    settings: {
      ...SMALLEST,
      epochs: 3,
      story: {
        primaries: [1, 2, 3],
        reach: [
          [1, 3],
          [1, 2, 3],
          [1, 3],
        ],
        writes: [[1], [1], []],
      },
    },
    patches: [
      UNGUARDED,
      {
        file: REPLICA,
        find: `kind: "log", promised: epoch, keepTo,`,
        replace: `kind: "log", promised: state.promised, keepTo,`,
      },
    ],
  },
  {
    name: "one durable copy is enough",
    seedsMax: 5,
    settings: SMALLEST,
    patches: [
      {
        file: "replication/progress",
        find: "matched[majorityOf(members) - 1]",
        replace: "matched[0]",
      },
    ],
  },
  {
    name: "one durable copy of two is enough",
    settings: PAIR,
    patches: [
      {
        file: "replication/progress",
        find: "matched[majorityOf(members) - 1]",
        replace: "matched[0]",
      },
    ],
  },
  {
    name: "there is no barrier, and records of earlier epochs are counted",
    settings: {
      ...SMALLEST,
      epochs: 4,
      writes: 2,
      story: {
        primaries: [1, 2, 1, 2],
        reach: [[1], [2, 3], [1, 3], [2, 3]],
        writes: [[1], [2], [1], []],
      },
    },
    patches: [
      {
        file: "replication/leading",
        find: `const history = adopted.append(ownRecord(grant, adopted, { kind: "barrier" }));`,
        replace: "const history = adopted;",
      },
    ],
  },
  {
    name: "the majority is one of the new members",
    seedsMax: 20,
    settings: REPLACING,
    patches: [
      {
        file: "replication/activation",
        find: "return grant.previous.members;",
        replace: "return grant.members;",
      },
    ],
  },
  {
    name: "writes are acknowledged before the epoch is recorded as active",
    settings: {
      ...REPLACING,
      epochs: 3,
      story: { primaries: [1, 2, 3], reach: [[], [1, 2, 4], [1, 2, 3]], writes: [[], [1], []] },
    },
    patches: [
      {
        file: "replication/leading",
        find: `return stage === "active" || stage === "sealed";`,
        replace: `return stage !== "establishing";`,
      },
    ],
  },
  {
    name: "a wiped disk comes back under the same identity",
    settings: { ...SMALLEST, wipes: 1, keepsIdentity: true, recalls: true },
    patches: [],
  },
  {
    name: "a removed copy forgets its promise",
    seedsMax: 5,
    settings: { ...REPLACING, removes: true, recalls: true, story: { primaries: [1, 3] } },
    patches: [
      {
        file: REPLICA,
        find: "return { ...emptyReplica(), promised: change.promised };",
        replace: "return emptyReplica();",
      },
    ],
  },
  {
    name: "a primary goes on with its epoch after a restart",
    seedsMax: 10,
    settings: { ...SMALLEST, writes: 2, crashes: 1 },
    patches: [
      {
        file: REPLICA,
        find: `message.kind === "claim" ? epoch <= state.promised`,
        replace: `message.kind === "claim" ? epoch < state.promised`,
      },
    ],
  },
  {
    name: "damaged is taken for empty",
    settings: { ...SMALLEST, damages: 1, recalls: true },
    patches: [
      {
        file: REPLICA,
        find: "return damagedIn === 0 || damagedIn < history.last.epoch;",
        replace: "return true;",
      },
    ],
  },
  {
    name: "a damaged copy testifies again as soon as it holds anything",
    settings: {
      ...SMALLEST,
      writes: 2,
      damages: 1,
      recalls: true,
      story: {
        primaries: [1, 2],
        reach: [
          [1, 2],
          [2, 3],
        ],
        writes: [[1, 2], []],
      },
    },
    patches: [
      {
        file: REPLICA,
        find: "return damagedIn === 0 || damagedIn < history.last.epoch;",
        replace: "return damagedIn === 0 || 0 < history.lastSeq;",
      },
    ],
  },
];
