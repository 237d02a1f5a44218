// Which segment of the log to empty next, so that dead records do not fill the disk.
//
// A segment comes back when no living record is in it and no older segment needs its tombstones
// (catalog.ts, C3). So what is emptied is always the oldest living part of a group: a segment with
// all the older ones that it buries, and those that they bury. The group that gives most for what
// has to be moved goes first.
//
// P1. While dead bytes are more than a third of the log (and more than a segment), some group has
//     at least that share of dead bytes: at most two bytes are moved for one that comes back.
// P2. Groups with a segment that cannot be emptied are left alone.

export interface SegmentFacts {
  readonly number: number;
  /** Of its records, dead or alive. */
  readonly bytes: number;
  readonly liveBytes: number;
  /** Older segments, some of which may be gone. */
  readonly buries: readonly number[];
}

export interface PlanLimits {
  /** So many dead bytes are left where they are. */
  readonly deadBytesMin: number;
  /** Segments that cannot be emptied (P2). */
  readonly stuck: ReadonlySet<number>;
}

/** Dead bytes are worth moving the living when they are more than one in so many. */
const DEAD_ONE_IN = 3;

/** @param segments  Those that are not written to any more. */
export function nextToEmpty(
  segments: readonly SegmentFacts[],
  { deadBytesMin, stuck }: PlanLimits,
): number | undefined {
  const all = sum(segments);
  const dead = all.bytes - all.liveBytes;
  if (dead <= deadBytesMin || dead * DEAD_ONE_IN <= all.bytes) return undefined;
  const byNumber = new Map(segments.map((segment) => [segment.number, segment]));
  let best: { readonly oldest: number; readonly share: number } | undefined;
  for (const segment of segments) {
    const group = groupOf(segment, byNumber);
    if (group.some(({ number }) => stuck.has(number))) continue;
    const living = group.filter(({ liveBytes }) => 0 < liveBytes);
    if (living.length === 0) continue; // it comes back by itself
    const { bytes, liveBytes } = sum(group);
    const share = (bytes - liveBytes) / bytes;
    if (best !== undefined && share <= best.share) continue;
    best = { oldest: Math.min(...living.map(({ number }) => number)), share };
  }
  return best !== undefined && 1 < best.share * DEAD_ONE_IN ? best.oldest : undefined;
}

/** The segment, what it buries, and so on. */
function groupOf(
  segment: SegmentFacts,
  byNumber: ReadonlyMap<number, SegmentFacts>,
): readonly SegmentFacts[] {
  const group = new Set<SegmentFacts>([segment]);
  for (const member of group) {
    for (const number of member.buries) {
      const buried = byNumber.get(number);
      if (buried !== undefined) group.add(buried);
    }
  }
  return [...group];
}

function sum(segments: readonly SegmentFacts[]): {
  readonly bytes: number;
  readonly liveBytes: number;
} {
  return {
    bytes: segments.reduce((total, segment) => total + segment.bytes, 0),
    liveBytes: segments.reduce((total, segment) => total + segment.liveBytes, 0),
  };
}
