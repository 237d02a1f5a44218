import {
  type Clock,
  type Closable,
  type Disk,
  type Logger,
  type Random,
  ResourceStack,
  type Timers,
} from "@lumeofs/base";
import type { LogIndex } from "../raft/entry.js";
import { founders } from "../raft/membership.js";
import { BALLAST_BYTES_DEFAULT, type ConsensusConfig, RESERVE_BYTES_DEFAULT } from "./config.js";
import { Driver } from "./driver.js";
import type { MemberFigures } from "./figures.js";
import type { GroupControl } from "./group.js";
import type { OpenLevel } from "./level-database.js";
import { openLog } from "./open-log.js";
import type { PeerLinks } from "./peer-link.js";
import type { ReplicatedState } from "./replicated-state.js";
import type { Freshness, Replication, ReplicationStatus, RoleStatus } from "./replication.js";
import { SnapshotStore } from "./snapshot-store.js";
import { SpaceGuard } from "./space-guard.js";

/** What a member needs; all of it stays the caller's, who closes it after the member. */
export interface ConsensusPorts {
  /** The member's folder. */
  readonly disk: Disk;
  readonly state: ReplicatedState;
  readonly links: PeerLinks;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** The member cannot go on: called once; the process should end with a failure. */
  readonly onFatal: (error: unknown) => void;
  readonly openDatabase?: OpenLevel;
}

/**
 * One member of the replicated group, on its own disk: the log on LevelDB, snapshots as files, and
 * the driver of the Raft core.
 */
export class Consensus implements Replication, Closable {
  readonly #driver: Driver;
  readonly #space: SpaceGuard;
  readonly #open: ResourceStack;
  readonly #logger: Logger;
  /** Drawn when this member's log was made. */
  readonly store: string;

  private constructor(
    parts: { readonly driver: Driver; readonly space: SpaceGuard; readonly store: string },
    open: ResourceStack,
    logger: Logger,
  ) {
    this.#driver = parts.driver;
    this.#space = parts.space;
    this.store = parts.store;
    this.#open = open;
    this.#logger = logger;
  }

  /**
   * Opens the log and takes part from now on.
   *
   * @throws CORRUPT       The log is damaged, or does not fit the state; the message says more.
   * @throws STORE_FAILED  The log does not open, for example because another process uses it.
   */
  static async start(config: ConsensusConfig, ports: ConsensusPorts): Promise<Consensus> {
    await using opening = new ResourceStack();
    const onFatal = once(ports.onFatal);
    const log = opening.use(
      await openLog({
        ...ports,
        folder: config.folder,
        node: config.id,
        founders: founders(config.founders),
        logStore: config.logStore,
      }),
    );
    const snapshots = await SnapshotStore.open(ports.disk);
    const { store } = log;
    const driver = opening.use(
      await Driver.start({ ...config, store }, { ...ports, onFatal, log, snapshots }),
    );
    const space = opening.use(guardedSpace(config, { ...ports, onFatal }, driver));
    await space.start(ports.timers);
    return new Consensus({ driver, space, store }, opening.move(), ports.logger);
  }

  /** As `Replication` promises; also NO_SPACE, refused, while this member's disk is nearly full. */
  propose(command: Uint8Array): Promise<Uint8Array> {
    const refusal = this.#space.refusal();
    if (refusal === undefined) return this.#driver.propose(command);
    const { role, leader } = this.status;
    // Where nobody leads, the full disk may be the reason: it is the better answer.
    if (role === "leader" || leader === undefined) return Promise.reject(refusal);
    return this.#driver.propose(command);
  }

  read(): Promise<LogIndex> {
    return this.#driver.read();
  }

  /** Leads no longer if another voter can: at most an election timeout from now. */
  async handOver(): Promise<void> {
    const { group } = this.#driver;
    const hasOthers = 1 < group.memberships.current.voters.length;
    if (this.status.role !== "leader" || !hasOthers) return;
    await group.transfer().catch((error: unknown) => {
      this.#logger.warn("Stopping without having handed over the leadership", { error });
    });
  }

  /** What this member can tell about its work. */
  get figures(): MemberFigures {
    return this.#driver.figures;
  }

  /** Free bytes of the disk, as of the last look, and whether they are too few to write. */
  get space(): { readonly freeBytes: number; readonly isCritical: boolean } {
    return this.#space;
  }

  /** Who takes part, who leads, and how to change both. */
  get group(): GroupControl {
    return this.#driver.group;
  }

  get freshness(): Freshness {
    return this.#driver.freshness;
  }

  get status(): ReplicationStatus {
    return this.#driver.status;
  }

  onRole(listener: (role: RoleStatus) => void): () => void {
    return this.#driver.onRole(listener);
  }

  close(): Promise<void> {
    return this.#open.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A full disk takes the leadership and the writing, but reads go on if nobody else can lead. */
function guardedSpace(config: ConsensusConfig, ports: ConsensusPorts, driver: Driver): SpaceGuard {
  const { disk, logger, onFatal } = ports;
  const { reserveBytes = RESERVE_BYTES_DEFAULT, ballastBytes = BALLAST_BYTES_DEFAULT } = config;
  return new SpaceGuard(
    disk,
    { reserveBytes, ballastBytes },
    {
      critical: () => {
        logger.error("The disk is nearly full: this member writes nothing until there is room");
        driver.suspendWriting();
        if (driver.status.role !== "leader") return;
        driver.group.transfer().catch((error: unknown) => {
          logger.warn("Nobody else can lead: only reads are served", { error });
        });
      },
      eased: () => {
        logger.info("There is room on the disk again");
        driver.resumeWriting();
      },
      failed: onFatal,
    },
  );
}

function once(call: (error: unknown) => void): (error: unknown) => void {
  let wasCalled = false;
  return (error) => {
    if (wasCalled) return;
    wasCalled = true;
    call(error);
  };
}
