// Bytes that came in several pieces, as if they lay in one row.

/** The pieces that make up `length` bytes from `skip` on: views, nothing is copied. */
export function cutOut(
  pieces: readonly Uint8Array[],
  skip: number,
  length: number,
): readonly Uint8Array[] {
  const found: Uint8Array[] = [];
  let toSkip = skip;
  let rest = length;
  for (const piece of pieces) {
    const part = piece.subarray(toSkip, toSkip + rest);
    toSkip = Math.max(0, toSkip - piece.byteLength);
    rest -= part.byteLength;
    if (0 < part.byteLength) found.push(part);
  }
  return found;
}
