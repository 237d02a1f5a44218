// What `clusterStatus()` answers.

import type { ChunkHealth, JobInfo, NodeStanding } from "./healing.js";

/**
 * What part a master has in the group: it votes; it only gets the log; it votes until the change
 * under way is complete; it waits to be taken in; or it was removed.
 */
export type MasterStanding = "voter" | "learner" | "leaving" | "waiting" | "removed";

export interface MasterStatus {
  /** Name, such as "m1". */
  readonly id: string;
  readonly address: string;
  readonly role: "leader" | "follower" | "candidate" | "unreachable";
  readonly term: number;
  /** Name of the master that this one takes for the leader; empty if none. */
  readonly leader: string;
  readonly firstIndex: number;
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly lastApplied: number;
  readonly snapshotIndex: number;
  readonly standing: MasterStanding;
  /** Of the leader's log, so much is on this master's disk; 0 if the leader did not answer. */
  readonly matchIndex: number;
  /** It has everything that is committed, or it is on its way: it may vote. */
  readonly caughtUp: boolean;
  readonly memoryBytes: number;
  /** Hash of the whole state at `lastApplied`; empty unless computed. */
  readonly stateHash: string;
  /** Chunks that the masters keep themselves, and their bytes, as this one has it. */
  readonly inlineChunks: number;
  readonly inlineBytes: number;
}

/** How far a chunkserver is with reading all its replicas again, over and over. */
export interface ScrubStatus {
  /** Rounds over the whole store that are complete. */
  readonly rounds: number;
  /** When the round under way began: milliseconds since 1970, 0 between two rounds. */
  readonly roundBeganAt: number;
  /** The last complete round, 0 before it: what was there when it began has been read since. */
  readonly lastRoundBeganAt: number;
  readonly lastRoundEndedAt: number;
  /** The highest handle that the round under way has read; it goes upwards. */
  readonly position: number;
  /** Replicas and bytes read since the store was formatted. */
  readonly replicasRead: number;
  readonly bytesRead: number;
  /** Replicas found damaged that nobody had found before. */
  readonly found: number;
  /** Slowed down now, because requests are served. */
  readonly yielding: boolean;
  /** The setting; 0 if it is switched off. */
  readonly bytesPerSecond: number;
}

/** One of the disks that a chunkserver keeps its chunks on. */
export interface DiskStatus {
  /** Empty if nobody can tell any more. */
  readonly uuid: string;
  /** As the chunkserver was given it. */
  readonly folder: string;
  /**
   * A lost one has failed or is missing: nothing of it is served. A suspect one does not answer:
   * nothing new is sent there for now.
   */
  readonly state: "serving" | "readOnly" | "suspect" | "lost";
  readonly chunks: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly freeBytes: number;
  /** Replicas known to be damaged. */
  readonly damaged: number;
  /** Milliseconds since 1970, 0 for never: what was there before then has been read again. */
  readonly scrubbedAt: number;
  /** Of a lost one: since when. */
  readonly lostSince: number;
  /** Why it is lost or suspect, for people. */
  readonly why: string;
  /** Chunks that are appended to live on this one. */
  readonly tails: boolean;
}

export interface ChunkserverStatus {
  /** Name, such as "cs1". */
  readonly id: string;
  /** Number of its store. */
  readonly serverId: number;
  /** host:port of its data plane. */
  readonly address: string;
  readonly state: "alive" | "suspect" | "dead";
  readonly chunks: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  /** Replicas known to be damaged. */
  readonly damaged: number;
  readonly lastHeartbeatMsAgo: number;
  readonly readOnly: boolean;
  /** What part it takes: new chunks go to active ones only. */
  readonly standing: NodeStanding;
  /** Away for so long that its copies are made elsewhere. */
  readonly lost: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly scrub: ScrubStatus;
  /** Lost ones included; empty if it was not heard. */
  readonly disks: readonly DiskStatus[];
  /** Handles of chunks that two primaries wrote without knowing of each other: not served here. */
  readonly stopped: readonly number[];
  /** host:port of its control service. */
  readonly controlAddress: string;
  /**
   * Replicas that the masters cannot know of: they have lost what they knew, and delete nothing.
   * Some of the handles are named.
   */
  readonly newerCount: number;
  readonly newer: readonly number[];
}

export interface ClusterStatus {
  readonly clusterId: string;
  /** Name of the leading master; empty while there is none. */
  readonly leader: string;
  readonly term: number;
  readonly masters: readonly MasterStatus[];
  /** What the leader's last look at all chunks has found; undefined before the first one. */
  readonly health: ChunkHealth | undefined;
  /** Jobs that repair, drain or balance now. */
  readonly jobs: readonly JobInfo[];
  /** Empty if the leader did not answer: only it knows them. */
  readonly chunkservers: readonly ChunkserverStatus[];
}
