// Founds one master of a new group from a backup: its folder, as if it had installed a snapshot.
//
// G1. All founding masters are made from the same backup: an empty one among them could be elected
//     by others that are empty too, and the group would begin without the backup.
// G2. The states are equal to the last byte: nothing in them comes from this process or its clock.
// G3. The log is made last: a folder that was not finished does not start.

import { LumeoError, type NodeId, type Random, type Timers, type WallMs } from "@lumeofs/base";
import { FileDisk, SystemRandom, SystemTimers } from "@lumeofs/node";
import type { LevelPair, LevelScan } from "./consensus/level-database.js";
import { openLog } from "./consensus/open-log.js";
import { firstRevision, type RestorationTerms, restoredState } from "./metadata/restoration.js";
import { logIndex, term } from "./raft/entry.js";
import { founders } from "./raft/membership.js";
import { encodeImage } from "./state/image-codec.js";
import { openLevelState } from "./state/level-state.js";

/** One of the masters that the new group begins with. */
export interface FoundingMember {
  readonly id: NodeId;
  /** Its folder: made here, and empty before. */
  readonly folder: string;
  /** All of them, this one included, with host:port. */
  readonly members: Readonly<Record<NodeId, string>>;
}

/** All pairs of a backup of everything, in key order; ends with an error if they are not whole. */
export interface BackedUpState extends Pick<RestorationTerms, "revision" | "restoredBefore"> {
  readonly pairs: AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
  /** Until when chunks are kept that the old group made after the backup. */
  readonly keepLostUntil: WallMs;
}

/** Every restored group begins in its first term. */
const FIRST_TERM = term(1);

interface Host {
  readonly timers: Timers;
  readonly random: Random;
}

/**
 * Makes the folder of one founding master.
 *
 * @returns The revision that the new group begins with.
 * @throws  EXISTS if the folder is not empty; CORRUPT if the backup is damaged.
 */
export async function restoreMember(
  member: FoundingMember,
  backup: BackedUpState,
  host: Host = systemHost(),
): Promise<number> {
  const { id, folder } = member;
  const disk = await FileDisk.open(folder);
  if (0 < (await disk.list("")).length) {
    throw new LumeoError("EXISTS", `Cannot restore into "${folder}": it is not empty`);
  }
  const mark = { index: logIndex(firstRevision(backup)), term: FIRST_TERM };
  const { revision, restoredBefore, keepLostUntil: keepUntil } = backup;
  const state = await openLevelState({ folder, disk, timers: host.timers });
  try {
    const pairs = restoredState(backup.pairs, { revision, keepUntil, restoredBefore });
    await state.install(mark, encodeImage(mark, scanOf(pairs)));
  } finally {
    await state.close();
  }
  const membership = founders(member.members);
  const { random } = host;
  const log = await openLog({ folder, disk, node: id, founders: membership, random });
  try {
    await log.reset({ ...mark, membership }); // G3
  } finally {
    await log.close();
  }
  await disk.syncFolder("");
  return mark.index;
}

/** Pairs that come one by one, as a walk over a database gives them. */
function scanOf(pairs: AsyncIterable<LevelPair>): LevelScan {
  const iterator = pairs[Symbol.asyncIterator]();
  return {
    async next(countMax) {
      const page: LevelPair[] = [];
      while (page.length < countMax) {
        const { done, value } = await iterator.next();
        if (done === true) break;
        page.push(value);
      }
      return page;
    },
    async close() {
      await iterator.return?.();
    },
  };
}

function systemHost(): Host {
  return { timers: new SystemTimers(), random: new SystemRandom() };
}
