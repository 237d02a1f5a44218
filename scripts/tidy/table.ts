// What scripts/tidy.ts enforces, as data. To change a rule, change this table and say why.

/** The law of the tree. Folder names are relative to the repository. */
export interface TidyTable {
  /** Package folder → the workspace packages that its sources may import. */
  readonly packageArrows: Readonly<Record<string, readonly string[]>>;
  /** Packages that every test may import: its tools, and the contracts between processes. */
  readonly testPackages: readonly string[];
  /** Package folder → folder of its `src` → folders, and files beside them, that it may import. */
  readonly folderArrows: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  /** Files of `src` that every folder beside them may import: what is declared for all. */
  readonly sharedFiles: readonly string[];
  /** Folders that may ask for the time and for chance. */
  readonly impureFolders: readonly string[];
  readonly limits: TidyLimits;
  /** Names that no file or folder may have: they say nothing. */
  readonly bannedNames: readonly string[];
  /** Beginnings of paths where a banned name is right. */
  readonly bannedNameExceptions: readonly string[];
  /** Beginnings of the paths of generated files: no rule about their shape. */
  readonly generated: readonly string[];
  /** The only files with a default export: their tools demand it. */
  readonly defaultExports: readonly string[];
  /** The page that gives the reason for each third-party package. */
  readonly dependencyPage: string;
}

export interface TidyLimits {
  readonly sourceLines: number;
  readonly testLines: number;
  readonly lineColumns: number;
  readonly functionLines: number;
  /** A scenario on a whole cluster reads as one story. */
  readonly testFunctionLines: number;
  readonly parameters: number;
}

export const TABLE: TidyTable = {
  packageArrows: {
    "packages/base": [],
    "packages/proto": [],
    "packages/erasure": ["base"],
    "packages/node": ["base", "proto"],
    "packages/testkit": ["base"],
    "packages/master": ["base", "proto", "node"],
    "packages/chunkserver": ["base", "proto", "node", "erasure"],
    "packages/client-sdk": ["base", "proto", "node", "erasure"],
    "packages/local-cluster": ["base", "node", "client", "master", "chunkserver"],
    "packages/backup": ["base", "proto", "node", "master"],
    "packages/cli": ["base", "node", "client", "local-cluster", "backup"],
    // Whole clusters in one process: no part of the product, so it may know all of it.
    "packages/simulation": ["base", "proto", "node", "master", "chunkserver", "client", "testkit"],
    bench: ["base", "proto", "node", "erasure", "client", "local-cluster", "testkit"],
    scripts: ["base", "node", "client", "local-cluster", "master", "testkit"],
  },
  testPackages: ["testkit", "proto"],
  folderArrows: {
    "packages/master": {
      raft: [],
      metadata: [],
      fleet: [],
      access: ["metadata"],
      placement: ["metadata", "fleet"],
      healing: ["metadata", "fleet", "placement"],
      tails: [],
      consensus: ["raft"],
      state: ["raft", "metadata", "consensus"],
      duties: ["access", "metadata", "fleet", "placement", "healing", "tails", "consensus"],
      feed: ["metadata", "consensus"],
      integrity: ["raft", "consensus"],
      audit: ["metadata"],
      rpc: [
        ...["raft", "metadata", "fleet", "placement", "healing", "consensus"],
        ...["access", "duties", "feed", "integrity", "audit"],
      ],
    },
    "packages/chunkserver": {
      access: [],
      mutation: [],
      replication: ["mutation"],
      store: ["mutation"],
      transfer: ["mutation", "store"],
      coding: ["mutation", "store", "transfer"],
      tail: ["access", "mutation", "replication", "store"],
      scrub: ["store", "transfer"],
      disks: ["host.ts", "mutation", "store", "tail", "transfer", "scrub"],
      "master-link": ["access", "disks", "mutation", "store", "tail", "transfer", "scrub"],
      rpc: [
        ...["access", "mutation", "replication", "store", "tail", "transfer", "scrub"],
        ...["coding", "disks", "master-link"],
      ],
    },
    "packages/node": {
      rpc: ["frames"],
      frames: ["aligned-memory.ts", "native-crc32c.ts", "system-clock.ts"],
    },
  },
  sharedFiles: ["config.ts", "metrics.ts", "limits.ts"],
  impureFolders: ["packages/node/", "scripts/", "bench/"],
  limits: {
    sourceLines: 500,
    testLines: 900,
    lineColumns: 100,
    functionLines: 70,
    testFunctionLines: 100,
    parameters: 4,
  },
  bannedNames: ["utils", "util", "helpers", "helper", "common", "misc", "types"],
  bannedNameExceptions: ["protos/lumeo/common/"],
  generated: ["packages/proto/gen/", "packages/proto/src/services.ts", "pnpm-lock.yaml"],
  defaultExports: ["ava.config.js"],
  dependencyPage: "docs/dependencies.md",
};
