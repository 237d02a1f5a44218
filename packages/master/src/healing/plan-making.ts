// How the new copy of a move is made, and who may give what it is made of.

import type { ServerId } from "@lumeofs/base";
import { holdsNothing, neededMembers } from "../metadata/member-content.js";
import type { Assessment, CopyHealth, HeldChunk } from "./assess.js";

/**
 * `copy`: its bytes come from one of the sources, the next one takes over where it fails.
 * `rebuild`: it is a unit, and made of other units, of as many as the code has data units.
 * `none`: it is a unit without bytes: nothing has to be made, and nobody is asked.
 */
export type Making = "copy" | "rebuild" | "none";

export interface MakingPlan {
  readonly making: Making;
  readonly sources: readonly ServerId[];
  /** So many of the sources give at the same time. */
  readonly givers: number;
}

export interface Exchange {
  readonly leaving: ServerId | undefined;
  readonly target: ServerId;
}

const CAN_GIVE: ReadonlySet<CopyHealth> = new Set(["good", "leaving"]);
const MAY_GIVE: ReadonlySet<CopyHealth> = new Set(["good", "leaving", "away"]);

/** For a move that is to begin: those that can be read now. */
export function planMaking(chunk: HeldChunk, found: Assessment, move: Exchange): MakingPlan {
  return making(chunk, found, { ...move, from: CAN_GIVE });
}

/** For one that was begun already: also those that are away, or not heard yet. */
export function replanMaking(chunk: HeldChunk, found: Assessment, move: Exchange): MakingPlan {
  return making(chunk, found, { ...move, from: MAY_GIVE });
}

function making(
  chunk: HeldChunk,
  { health }: Assessment,
  { leaving, target, from }: Exchange & { readonly from: ReadonlySet<CopyHealth> },
): MakingPlan {
  const able = [...health].flatMap(([member, found]) =>
    member !== target && from.has(found) ? [member] : [],
  );
  if (chunk.coding === undefined || leaving === undefined) {
    return { making: "copy", sources: able, givers: 1 };
  }
  if (holdsNothing(chunk, leaving)) return { making: "none", sources: [], givers: 0 };
  // The unit itself, where it is whole: fewer bytes, and no work. A damaged one is not `able`.
  if (able.includes(leaving)) return { making: "copy", sources: [leaving], givers: 1 };
  const nowhere = chunk.members.filter((member) => holdsNothing(chunk, member)).length;
  const sources = able.filter((member) => !holdsNothing(chunk, member));
  const givers = Math.max(1, neededMembers(chunk) - nowhere);
  return { making: "rebuild", sources, givers };
}
