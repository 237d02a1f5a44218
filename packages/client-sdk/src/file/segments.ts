// Which chunks a file of another length, with other bytes in it, is made of. Pure arithmetic.

/** A chunk of a file as it is. */
export interface BaseChunk {
  /** In the file. */
  readonly offset: number;
  readonly lengthBytes: number;
}

/** A chunk of the file as it is to be. */
export interface Segment {
  readonly start: number;
  readonly end: number;
  /** Its bytes are those of the chunk that has the same position now. */
  readonly isSame: boolean;
}

/**
 * The chunks of a file of `sizeBytes`: those that it has, the last one cut or filled up, and more
 * behind them.
 *
 * @param isChanged  Whether bytes of a range are others than they were.
 */
export function segmentsOf(
  base: readonly BaseChunk[],
  wish: { readonly sizeBytes: number; readonly chunkBytes: number },
  isChanged: (start: number, end: number) => boolean,
): readonly Segment[] {
  const { sizeBytes, chunkBytes } = wish;
  const segments: Segment[] = [];
  for (const [i, { offset: start, lengthBytes }] of base.entries()) {
    if (sizeBytes <= start) break;
    const isLast = i === base.length - 1;
    const most = isLast ? Math.max(lengthBytes, chunkBytes) : lengthBytes;
    const end = Math.min(start + most, sizeBytes);
    const isSame = end === start + lengthBytes && !isChanged(start, end);
    segments.push({ start, end, isSame });
  }
  for (let start = segments.at(-1)?.end ?? 0; start < sizeBytes; start += chunkBytes) {
    segments.push({ start, end: Math.min(start + chunkBytes, sizeBytes), isSame: false });
  }
  return segments;
}
