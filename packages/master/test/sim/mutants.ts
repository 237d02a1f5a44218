// Deliberate bugs: the proof that the simulation can see. Each changes a few words of the compiled
// product in a copy of it; the simulation must find every one within a bounded number of seeds.
//
// A mutant whose words are no longer found fails the test: whoever changed the code says here where
// the bug would be now.

import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Lens } from "./options.js";
import type { Parts } from "./parts.js";

interface Patch {
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
        replace: `const done = Uint8Array.of(2, 1);
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
];

const SOURCE = fileURLToPath(new URL("../../src/", import.meta.url));
const FOLDERS = ["raft", "consensus", "metadata", "state"];

/** Runs `use` with the product as this mutant has it, then removes the copy. */
export async function withMutant<T>(mutant: Mutant, use: (parts: Parts) => Promise<T>): Promise<T> {
  // Beside the real code, so that packages are found as it finds them.
  const folder = await mkdtemp(join(SOURCE, "..", "mutant-"));
  try {
    for (const name of FOLDERS) {
      await cp(join(SOURCE, name), join(folder, name), { recursive: true });
    }
    for (const patch of mutant.patches) await apply(patch, folder, mutant.name);
    return await use(await load(folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function apply(patch: Patch, folder: string, mutant: string): Promise<void> {
  const path = join(folder, `${patch.file}.js`);
  const parts = (await readFile(path, "utf8")).split(patch.find);
  if (parts.length !== 2) {
    throw new Error(
      `Mutant "${mutant}" finds its place ${parts.length - 1} times in src/${patch.file}.ts: ` +
        "update it in test/sim/mutants.ts",
    );
  }
  await writeFile(path, parts.join(patch.replace));
}

async function load(folder: string): Promise<Parts> {
  const module = (file: string): Promise<Parts> => import(pathToFileURL(join(folder, file)).href);
  const { RaftCore } = await module("raft/raft.js");
  const { Driver } = await module("consensus/driver.js");
  const { SnapshotStore } = await module("consensus/snapshot-store.js");
  const { MachineState } = await module("state/machine-state.js");
  const { applyEntry } = await module("metadata/state-machine.js");
  return { RaftCore, Driver, SnapshotStore, MachineState, applyEntry };
}
