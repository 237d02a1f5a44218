// Deliberate bugs in the path of data and in its healing: each breaks what the simulation must see.

import type { Patch } from "@lumeofs/testkit";
import { MACHINE_MUTANTS } from "./machine-mutants.js";
import type { Lens } from "./options.js";

/** A bug, as words that take the place of others in the compiled product. */
export interface Mutant {
  readonly name: string;
  readonly patches: Readonly<
    Partial<Record<"master" | "chunkserver" | "client", readonly Patch[]>>
  >;
  /** It must be found by then. */
  readonly seedsMax: number;
  /** What makes its circumstances likely, if they are rare. */
  readonly lens?: Lens;
}

const SEEDS_MAX = 30;

export const MUTANTS: readonly Mutant[] = [
  {
    name: "a small chunk is acknowledged before its log is synced",
    patches: {
      chunkserver: [
        {
          file: "store/disk-chunk-store",
          find: "await this.#io(() => this.#wal.append(body, durable));",
          replace: "this.#io(() => this.#wal.append(body, durable)).catch(() => {});",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
  },
  {
    name: "a large chunk is recorded before its file is synced",
    patches: {
      chunkserver: [
        {
          file: "store/disk-chunk-store",
          find: "await this.#io(() => writer.sync());",
          replace: "",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "restarts",
  },
  {
    name: "a primary does not care whether the next server has the chunk",
    patches: {
      chunkserver: [
        {
          file: "transfer/write-service",
          find: "        throw others.reason;\n    if (own.status",
          replace: "        void 0;\n    if (own.status",
        },
        {
          file: "transfer/write-service",
          find: "const { value } = others;",
          replace: "const value = others.value ?? message.chain.map((link) => link.server);",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
  },
  {
    name: "chunks that go to all replicas at once are stored when one of them says so",
    patches: {
      client: [
        {
          file: "rpc/joint-writes",
          find: "await Promise.all(row.replicas.map(storeAt));",
          replace: "await Promise.any(row.replicas.map(storeAt));",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
  },
  {
    name: "a chunk is committed with one member less than was promised",
    patches: {
      master: [
        {
          file: "metadata/grants",
          find: 'return { kind: "consumed", members: grant.members };',
          replace: 'return { kind: "consumed", members: grant.members.slice(1) };',
        },
      ],
    },
    seedsMax: SEEDS_MAX,
  },
  {
    name: "a move that failed counts as made",
    patches: {
      master: [
        {
          file: "duties/healing/move-runner",
          find: 'debug("move failed", fields);\n            return failed(order, [], message);',
          replace: 'debug("move failed", fields);\n            return endOf(order, "moved", []);',
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "moves",
  },
  {
    name: "members change when a move begins, not when it has ended",
    patches: {
      master: [
        {
          file: "metadata/moves",
          find: "countMove(state, move.job, { moves: 1 });",
          replace:
            "countMove(state, move.job, { moves: 1 });\n" +
            "        putMembers(state, handle, membersAfter(chunk, move));",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
  },
  {
    name: "a copy is told before it is durable, and nobody reads it again",
    patches: {
      chunkserver: [
        {
          file: "transfer/incoming-replica",
          find: "await this.#ports.store.putSmall({ handle, version }, content, pieces);",
          replace:
            "this.#ports.store.putSmall({ handle, version }, content, pieces).catch(() => {});",
        },
        {
          file: "transfer/incoming-replica",
          find: "await large.finish(content);",
          replace: "large.finish(content).catch(() => {});",
        },
      ],
      master: [
        {
          file: "duties/healing/move-runner",
          find: "return this.#audit(order, badOf(copy.faults), signal);",
          replace: 'return endOf(order, "moved", badOf(copy.faults));',
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "moves",
  },
  {
    name: "a fresh chunk in an inventory is taken for garbage",
    patches: {
      master: [
        {
          file: "metadata/replica-standing",
          find: 'return FRESH_EPOCH < epoch ? "newer" : "granted";\n    const tail',
          replace: 'return FRESH_EPOCH < epoch ? "newer" : "garbage";\n    const tail',
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "inventories",
  },
  {
    name: "the target of a move is taken for garbage",
    patches: {
      master: [
        {
          file: "metadata/replica-standing",
          find: 'return "moveTarget";',
          replace: 'return "garbage";',
        },
      ],
      chunkserver: [
        {
          file: "master-link/master-link",
          find: "named.has(handle) && !copies.touched.has(handle)",
          replace: "named.has(handle)",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "inventories",
  },
  {
    name: "a content goes with the first of the files that have it",
    patches: {
      master: [
        {
          file: "metadata/references",
          find: "if (lower(state, contentReferencesKey(content)))\n        return;",
          replace: "lower(state, contentReferencesKey(content));",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "sharing",
  },
  {
    name: "a chunk goes with the first of the contents that have it",
    patches: {
      master: [
        {
          file: "metadata/chunk-table",
          find: "if (0 < chunk.sharers) {",
          replace: "if (chunk.sharers < 0) {",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "sharing",
  },
  {
    name: "chunks are forgotten that a file still has",
    patches: {
      master: [
        {
          file: "duties/forget-duty",
          find: "await releasedChunks(state, at, PAGE)",
          // With every chunk the one before it, which mostly belongs to another file.
          replace:
            "(await releasedChunks(state, at, PAGE))" +
            ".map((handle) => handle - (handle % 64 > 0))",
        },
        {
          file: "metadata/chunk-table",
          find:
            "if (record?.releasedAt === undefined)\n            continue;\n" +
            "        state.delete(releasedKey(record.releasedAt, handle));",
          replace:
            "if (record?.releasedAt !== undefined)\n" +
            "            state.delete(releasedKey(record.releasedAt, handle));",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
  },
  {
    name: "a job is done as soon as nothing moves",
    patches: {
      master: [
        {
          file: "healing/keep-jobs",
          find: "const isAllDone = left.chunks === 0 && job.moves === 0;",
          replace: "const isAllDone = job.moves === 0;",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
  },
  {
    name: "servers ignore the checksums of what they read",
    patches: {
      chunkserver: [
        {
          file: "store/chunk-reader",
          find: "if (bad === undefined)",
          replace: "if (0 < 1)",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "rot",
  },
  {
    name: "servers ignore the checksums of small chunks that arrive",
    patches: {
      chunkserver: [
        {
          file: "transfer/write-service",
          find: "if (bad !== undefined || crcOfBlocks(crcs, length) !== message.crc32c) {",
          replace: "if (crcOfBlocks(crcs, length) !== message.crc32c) {",
        },
        { file: "transfer/write-many", find: "if (crc32c(bytes) !== sum)", replace: "if (false)" },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "noise",
  },
  {
    name: "clients ignore the checksums of what they read",
    patches: {
      client: [
        {
          file: "rpc/chunkserver-pool",
          find: "if (bad !== undefined) {",
          replace: "if (0 > 1) {",
        },
        {
          file: "rpc/joint-read",
          find: "if (length !== chunk.lengthBytes || crc32c(bytes) !== chunk.crc32c)",
          replace: "if (length !== chunk.lengthBytes)",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "noise",
  },
  {
    name: "a repeated request has a new number",
    patches: {
      client: [
        {
          file: "metadata",
          find: "const request = { session: session.id, sequence, answeredBelow };",
          // Each attempt but the first one takes the next number, which nobody ends.
          replace:
            "on.tries = (on.tries ?? 0) + 1;\n" +
            "        const request = { session: session.id, answeredBelow,\n" +
            "            sequence: on.tries === 1 ? sequence : session.ledger.begin() };",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "muted",
  },
  {
    name: "a chunk that cannot be had from one server is said to be lost",
    patches: {
      client: [
        {
          file: "span-reader",
          find: "if (!again.every(isBad))\n                throw worst(again);",
          replace: "",
        },
        {
          file: "span-reader",
          find: "if (!failures.every(isBad))\n                throw worst(failures);",
          replace: "",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "blackouts",
  },
  {
    name: "a restarted server does not read what its log says behind the index",
    patches: {
      chunkserver: [
        {
          file: "store/recovery",
          find: "            replayRecord(catalog, item);",
          replace: "            catalog.advance(item.after);",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "restarts",
  },
  {
    name: "a restarted server takes chunk files for nobody's",
    patches: {
      chunkserver: [
        {
          file: "store/recovery",
          find: "if (isNamed)",
          replace: "if (isNamed && name.fileId % 2 === 0)",
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "restarts",
  },
  {
    name: "reads are served without asking the majority",
    patches: {
      master: [
        {
          file: "consensus/read-gate",
          find: 'return this.#linearizable();\n            case "lease":',
          replace: 'return this.#stale();\n            case "lease":',
        },
      ],
    },
    seedsMax: SEEDS_MAX,
    lens: "schism",
  },
  ...MACHINE_MUTANTS,
];
