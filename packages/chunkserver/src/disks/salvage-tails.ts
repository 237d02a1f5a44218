// Carries the log of growing chunks from a disk that has failed to another one, while it can still
// be read: mostly something else of the disk has failed, and then no promise is lost.
//
// Y1. All or nothing: what cannot be shown to be the whole log is not used. So the disk has to be
//     the one that it was, before and after, to know every chunk that was known in memory, and to
//     have the last record that was told to be durable: a disk may forget, and a log without its
//     end looks like a torn one.
// Y2. What was being written when the disk failed was never answered: it may be there or not.
// Y3. A chunk that was in doubt, or is damaged, is so there as well.

import {
  type ChunkHandle,
  type Crc32c,
  type Disk,
  expectLumeoError,
  type Logger,
  LumeoError,
  type WalPlace,
} from "@lumeofs/base";
import { Volume } from "../store/volume.js";
import type { HeldTail } from "../tail/held-tail.js";
import { type SealedTail, TailLog } from "../tail/tail-log.js";
import { TailReplica } from "../tail/tail-replica.js";
import { readOnly } from "./read-only-disk.js";

/** A disk, and the store that is on it. */
export interface TailPlace {
  readonly disk: Disk;
  readonly volume: Volume;
}

export interface SalvagePorts {
  readonly crc32c: Crc32c;
  readonly logger: Logger;
  /** What memory knows of the old log, if anything does. */
  readonly known: readonly ChunkHandle[];
  /** The last record of the old log that was told to be durable, if there is one. */
  readonly lastDurable: WalPlace | undefined;
}

/**
 * Writes what the log of the one disk holds into that of the other, which is empty.
 *
 * @returns Whether all of it is there now, durably; else the other log is to be emptied.
 * @throws  LumeoError if the disk that is written to fails.
 */
export async function salvageTails(
  from: TailPlace,
  to: TailPlace,
  ports: SalvagePorts,
): Promise<boolean> {
  const { crc32c, logger } = ports;
  const old = await orUndefined(() => readOld(from, ports), logger);
  if (old === undefined) return false;
  const { disk, volume } = to;
  const { log: fresh } = await TailLog.open({ disk, owner: volume.owner, crc32c, logger });
  try {
    const { tails, sealed } = old.content;
    for (const held of tails.values()) {
      await fresh.know(held.handle);
      if (!(await carry(held, { old: old.log, fresh }, ports))) return false;
    }
    for (const [handle, one] of sealed) {
      await fresh.know(handle);
      if (!(await carryTable(handle, one, { old: old.log, fresh }, logger))) return false;
    }
    return await isStillThere(from, ports); // Y1
  } finally {
    await fresh.close();
    await old.log.close().catch(() => undefined); // it was only read
  }
}

async function readOld(from: TailPlace, { crc32c, logger, known, lastDurable }: SalvagePorts) {
  if (!(await isThere(from, crc32c))) return undefined;
  const { disk, volume } = from;
  const opened = await TailLog.open({
    ...{ disk: readOnly(disk), owner: volume.owner, crc32c, logger },
  });
  const { tails, sealed } = opened.content;
  const hasEnd = lastDurable === undefined || (await opened.log.body(lastDurable)) !== undefined;
  if (hasEnd && known.every((handle) => tails.has(handle) || sealed.has(handle))) return opened;
  await opened.log.close();
  return undefined;
}

/** Y1. A folder that is gone, or another one at its place, looks like an empty log. */
async function isThere({ disk, volume }: TailPlace, crc32c: Crc32c): Promise<boolean> {
  return (await Volume.find(readOnly(disk), crc32c))?.uuid === volume.uuid;
}

async function isStillThere(from: TailPlace, { crc32c, logger }: SalvagePorts): Promise<boolean> {
  return (await orUndefined(() => isThere(from, crc32c), logger)) === true;
}

interface Logs {
  readonly old: TailLog;
  readonly fresh: TailLog;
}

async function carry(held: HeldTail, { old, fresh }: Logs, ports: SalvagePorts): Promise<boolean> {
  if (held.isInDoubt) return true; // a name without a record is in doubt (Y3)
  const { crc32c, logger } = ports;
  let failedToRead = false;
  const replica = new TailReplica(held, {
    log: {
      write: (record, data, durable) => fresh.write(record, data, durable),
      body: async (place) => {
        try {
          return await old.body(place);
        } catch (error) {
          failedToRead = true;
          throw error;
        }
      },
    },
    ...{ crc32c, logger, io: (work) => work(), damaged: () => undefined, follower: undefined },
    reserve: () => Promise.reject(new LumeoError("NO_SPACE", "Nothing is taken while it moves")),
  });
  try {
    await replica.move();
    return true;
  } catch (thrown) {
    const error = expectLumeoError(thrown);
    // What is damaged has said so in the new log, which leaves the chunk in doubt there (Y3).
    if (error.code === "CHECKSUM") return true;
    if (failedToRead) return false;
    throw error;
  }
}

async function carryTable(
  handle: ChunkHandle,
  { facts, place, tableAt }: SealedTail,
  { old, fresh }: Logs,
  logger: Logger,
): Promise<boolean> {
  const read = await orUndefined(async () => ({ body: await old.body(place) }), logger);
  if (read === undefined) return false;
  const { body } = read;
  if (body === undefined) return fresh.unknow(handle).then(() => true); // it cannot be asked
  const table = body.subarray(tableAt);
  await fresh.write({ kind: "sealed", handle, facts, table }, [], () => undefined);
  return true;
}

/** Undefined if the old disk refuses. */
async function orUndefined<T>(read: () => Promise<T>, logger: Logger): Promise<T | undefined> {
  try {
    return await read();
  } catch (thrown) {
    const error = expectLumeoError(thrown);
    logger.warn("log of growing chunks cannot be read any more", { code: error.code, error });
    return undefined;
  }
}
