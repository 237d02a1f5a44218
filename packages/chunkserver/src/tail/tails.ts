// Everything of a chunkserver that concerns growing chunks, put together.

import {
  type Clock,
  type Closable,
  type Crc32c,
  type Disk,
  type Logger,
  type LumeoError,
  ResourceStack,
  type Timers,
} from "@lumeofs/base";
import type { ChainLink, FramePool } from "@lumeofs/node/frames";
import type { Gate } from "../access/token-gate.js";
import type { ChunkStore } from "../store/chunk-store.js";
import type { Space } from "../store/space.js";
import { MemberLink } from "./member-link.js";
import type { TailMasters } from "./tail-masters.js";
import { TailPrimaries } from "./tail-primaries.js";
import { TailReports } from "./tail-reports.js";
import { TailScrub, type TailScrubConfig } from "./tail-scrub.js";
import { TailService } from "./tail-service.js";
import { TailStore, type TailStoreOptions } from "./tail-store.js";

export interface TailsPorts {
  readonly disk: Disk;
  readonly owner: Uint8Array;
  /** Of that disk. */
  readonly space: Space;
  /** Where sealed chunks go. */
  readonly store: ChunkStore;
  readonly pool: FramePool;
  readonly gate: Gate;
  readonly masters: TailMasters;
  readonly self: () => ChainLink;
  readonly crc32c: Crc32c;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly idleSealMs: number;
  readonly reportPauseMs: number;
  /** Undefined: nothing is read without need. */
  readonly scrub: TailScrubConfig | undefined;
  readonly onFailure: (error: LumeoError) => void;
  /** As for TailStore. */
  readonly isForgotten?: TailStoreOptions["isForgotten"];
}

/** See the head of this file. */
export class Tails implements Closable {
  readonly #opened: ResourceStack;

  private constructor(
    opened: ResourceStack,
    readonly store: TailStore,
    readonly primaries: TailPrimaries,
    readonly service: TailService,
  ) {
    this.#opened = opened;
  }

  /** Opens the log of tails and begins to report. */
  static async start(ports: TailsPorts): Promise<Tails> {
    await using opening = new ResourceStack();
    const { space, pool, timers, crc32c, masters, clock, logger, idleSealMs } = ports;
    let reports: TailReports | undefined;
    const tails = opening.use(
      await TailStore.open({
        ...ports,
        reserve: (bytes) => space.reserve(bytes),
        onDamage: () => reports?.soon(),
      }),
    );
    space.countBeside(() => tails.bytes);
    const link = new MemberLink({ pool, timers, crc32c });
    const primaries = opening.use(
      new TailPrimaries({ tails, link, masters, clock, timers, logger, idleSealMs }),
    );
    const pauseMs = ports.reportPauseMs;
    reports = opening.use(new TailReports({ tails, primaries, masters, timers, logger, pauseMs }));
    const { scrub } = ports;
    if (scrub !== undefined) opening.use(new TailScrub(scrub, { tails, timers, logger }));
    const service = new TailService({ ...ports, tails, primaries });
    return new Tails(opening.move(), tails, primaries, service);
  }

  async close(): Promise<void> {
    await this.#opened.close();
  }
}
