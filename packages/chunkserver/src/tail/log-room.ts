// Room in the log of tails: segments go from the oldest on, and what keeps the oldest one alive is
// written again at the end of the log where that is worth it.

import type { ChunkHandle } from "@lumeofs/base";
import type { SealedTail, TailLog } from "./tail-log.js";
import type { TailReplica } from "./tail-replica.js";

/** Segments are emptied when the log is this much larger than twice what lives in it. */
const SPARE_BYTES = 256 * 2 ** 20;

export interface LogRoomPorts {
  readonly log: TailLog;
  readonly replicas: ReadonlyMap<ChunkHandle, TailReplica>;
  readonly sealed: ReadonlyMap<ChunkHandle, SealedTail>;
  /** Runs work on the disk: its failure is the end of the store. */
  readonly io: <T>(work: () => Promise<T>) => Promise<T>;
  readonly forget: (handle: ChunkHandle) => Promise<void>;
  readonly spareBytes?: number | undefined;
}

/** See the head of this file. */
export class LogRoom {
  readonly #ports: LogRoomPorts;

  constructor(ports: LogRoomPorts) {
    this.#ports = ports;
  }

  /** Gives back what can be given back now. @throws LumeoError STORE_FAILED, CLOSED. */
  async make(): Promise<void> {
    const { io, log } = this.#ports;
    await this.#empty();
    await io(() => log.removeBefore(this.#oldestInUse()));
  }

  #oldestInUse(): number {
    const { replicas, sealed } = this.#ports;
    const tails = [...replicas.values()].map(({ oldestSegment }) => oldestSegment);
    const tables = [...sealed.values()].map(({ place }) => place.segment);
    return Math.min(Infinity, ...[...tails, ...tables].filter((one) => one !== undefined));
  }

  /** Moves what keeps the oldest segment, if the log is too large for what lives in it. */
  async #empty(): Promise<void> {
    const { log, sealed, spareBytes = SPARE_BYTES } = this.#ports;
    const [oldest] = log.oldSegments;
    const replicas = [...this.#ports.replicas.values()];
    const living = replicas.reduce((sum, { state }) => sum + state.history.lengthBytes, 0);
    if (oldest === undefined || log.bytes < spareBytes + 2 * living) return;
    for (const replica of replicas) {
      if (replica.oldestSegment === oldest && !replica.isInDoubt) await replica.move();
    }
    for (const [handle, tail] of sealed) {
      if (tail.place.segment === oldest) await this.#moveTable(handle, tail);
    }
  }

  async #moveTable(handle: ChunkHandle, sealed: SealedTail): Promise<void> {
    const { log, io, forget } = this.#ports;
    const { facts, place, tableAt } = sealed;
    const body = await io(() => log.body(place));
    if (body === undefined) return forget(handle); // it is damaged, and was never asked
    const table = body.subarray(tableAt);
    await io(() => {
      return log.write({ kind: "sealed", handle, facts, table }, [], (to) => {
        sealed.place = to;
      });
    });
  }
}
