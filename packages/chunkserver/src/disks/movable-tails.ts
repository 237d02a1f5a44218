// Growing chunks of a server with several disks: they live on one of them, and begin anew on
// another one when that is lost.
//
// W1. The log is carried over, if it can still be read (salvage-tails.ts). Otherwise it is begun
//     anew, empty, and the roster says so before anything is promised in it: until the masters have
//     said how far handles were granted by then, and below that for ever, a growing chunk of which
//     nothing is here may have been promised something in the log that is lost. It is in doubt
//     (tail/held-tail.ts, H1).
// W2. A disk that was away may have an old log: it stays until the log comes to this disk again,
//     and is emptied then.

import { type Closable, type Disk, expectLumeoError, LumeoError } from "@lumeofs/base";
import type { Exchange, ReceivedFrame } from "@lumeofs/node/frames";
import type { TailPrimaries } from "../tail/tail-primaries.js";
import type { TailService } from "../tail/tail-service.js";
import type { TailStore } from "../tail/tail-store.js";
import { Tails, type TailsPorts } from "../tail/tails.js";
import type { DiskSet } from "./disk-set.js";
import { salvageTails } from "./salvage-tails.js";
import type { ServerDisk } from "./server-disk.js";

const TAILS_FOLDER = "tails";
const KNOWN_FOLDER = "tails/known";

export interface MovableTailsPorts
  extends Omit<TailsPorts, "disk" | "space" | "owner" | "onFailure" | "isForgotten"> {
  readonly disks: DiskSet;
}

interface Current {
  readonly tails: Tails;
  readonly disk: ServerDisk;
}

/** See the head of this file. */
export class MovableTails implements Closable {
  readonly #ports: MovableTailsPorts;
  #current: Current;
  #moving: Promise<void> | undefined;
  #isClosed = false;

  private constructor(ports: MovableTailsPorts, current: Current) {
    this.#ports = ports;
    this.#current = current;
    ports.disks.onLoss((disk) => {
      if (disk === this.#current.disk) this.#begin();
    });
    // It may have been lost while the tails were being opened.
    if (!ports.disks.serving.includes(current.disk)) this.#begin();
  }

  /** Opens the log of tails where the roster says, or begins it anew. */
  static async start(ports: MovableTailsPorts): Promise<MovableTails> {
    const { disks } = ports;
    const at = disks.serving.find(({ uuid }) => uuid === disks.roster.tailsOn);
    if (at !== undefined) {
      try {
        return new MovableTails(ports, { tails: await openOn(ports, at), disk: at });
      } catch (error) {
        if (disks.serving.every((one) => one === at)) throw error;
        refuseUnlessLost(at)(error);
      }
    }
    return new MovableTails(ports, await settleOn(ports, undefined));
  }

  get store(): TailStore {
    return this.#current.tails.store;
  }

  get primaries(): TailPrimaries {
    return this.#current.tails.primaries;
  }

  /** The disk that they live on. */
  get disk(): ServerDisk {
    return this.#current.disk;
  }

  /** As TailService. @throws also UNAVAILABLE while the log is begun anew on another disk. */
  serve(first: ReceivedFrame, message: Parameters<TailService["serve"]>[1], exchange: Exchange) {
    if (this.#moving !== undefined) {
      throw new LumeoError("UNAVAILABLE", "Cannot serve growing chunks: their disk is lost; wait");
    }
    return this.#current.tails.service.serve(first, message, exchange);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#moving;
    await this.#current.tails.close();
  }

  #begin(): void {
    this.#moving ??= this.#move().finally(() => {
      this.#moving = undefined;
    });
  }

  async #move(): Promise<void> {
    const { disks, logger } = this.#ports;
    try {
      while (!this.#isClosed && !disks.serving.includes(this.#current.disk)) {
        if (disks.serving.length === 0) return; // the process has been told to end
        const { tails } = this.#current;
        await tails.close().catch(() => undefined); // its failure is known
        this.#current = await settleOn(this.#ports, this.#current);
      }
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      logger.error("growing chunks are not served any more", { code: error.code, error });
    }
  }
}

/** Has the log on the disk with the most room (W1, W2). */
async function settleOn(ports: MovableTailsPorts, from: Current | undefined): Promise<Current> {
  const { disks, logger } = ports;
  for (;;) {
    const [disk] = [...disks.serving].sort((a, b) => {
      return b.store.status().freeBytes - a.store.status().freeBytes;
    });
    if (disk === undefined) {
      throw new LumeoError("STORE_FAILED", "Cannot keep growing chunks: all disks have failed");
    }
    try {
      await emptyTails(disk);
      const isWhole = from !== undefined && (await salvage(ports, from, disk));
      if (!isWhole) await emptyTails(disk);
      const floor = isWhole ? {} : ({ tailFloor: "unknown" } as const);
      await disks.update(() => ({ tailsOn: disk.uuid, ...floor }));
      const what = isWhole ? "moved to another disk" : "begin anew on another disk";
      logger.warn(`growing chunks ${what}`, { path: disk.folder });
      return { tails: await openOn(ports, disk), disk };
    } catch (error) {
      refuseUnlessLost(disk)(error);
    }
  }
}

function salvage(
  { crc32c, logger }: MovableTailsPorts,
  from: Current,
  to: ServerDisk,
): Promise<boolean> {
  const { store } = from.tails;
  if (to.store.space.freeBytes < 2 * store.bytes) return Promise.resolve(false);
  const known = store.page(0, Number.MAX_SAFE_INTEGER).map(({ handle }) => handle);
  const { lastDurable } = store;
  return salvageTails(from.disk, to, { crc32c, logger, known, lastDurable });
}

function openOn(ports: MovableTailsPorts, disk: ServerDisk): Promise<Tails> {
  const { disks } = ports;
  return Tails.start({
    ...ports,
    ...{ disk: disk.disk, owner: disk.volume.owner, space: disk.store.space },
    onFailure: (error) => disk.fail(error),
    isForgotten: (handle) => {
      const { tailFloor } = disks.roster;
      return tailFloor === "unknown" || handle <= tailFloor;
    },
  });
}

/** Removes what a log of tails has left on a disk. */
async function emptyTails({ disk }: ServerDisk): Promise<void> {
  await emptyFolder(disk, KNOWN_FOLDER);
  await emptyFolder(disk, TAILS_FOLDER);
}

async function emptyFolder(disk: Disk, folder: string): Promise<void> {
  const names = (await disk.list(folder)).filter((name) => `${folder}/${name}` !== KNOWN_FOLDER);
  for (const name of names) await disk.remove(`${folder}/${name}`);
  if (0 < names.length) await disk.syncFolder(folder);
}

/** What a disk refuses is its end; other errors are passed on. */
function refuseUnlessLost(disk: ServerDisk): (error: unknown) => void {
  return (thrown) => disk.fail(expectLumeoError(thrown));
}
