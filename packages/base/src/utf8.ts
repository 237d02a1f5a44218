// Text as UTF-8, into memory that is there already. Most names are short and ASCII: for these a
// loop is several times faster than the host's encoder, which allocates.

const encoder = new TextEncoder();
/** Up to this length a loop is tried first. */
const LOOP_CHARACTERS_MAX = 48;

/** How many bytes the text has in UTF-8. A lone surrogate counts as the three of U+FFFD. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    bytes += unit < 0x800 ? 1 : 2;
    if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(i + 1))) {
      i += 1; // two units, four bytes
    }
  }
  return bytes;
}

/**
 * Writes text at a place where there is room for it.
 *
 * @returns How many bytes it has.
 */
export function writeUtf8(text: string, bytes: Uint8Array, at: number): number {
  const { length } = text;
  if (length <= LOOP_CHARACTERS_MAX) {
    let i = 0;
    for (; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (0x80 <= unit) break;
      bytes[at + i] = unit;
    }
    if (i === length) return length;
  }
  return encoder.encodeInto(text, bytes.subarray(at)).written;
}

function isHighSurrogate(unit: number): boolean {
  return 0xd800 <= unit && unit < 0xdc00;
}

function isLowSurrogate(unit: number): boolean {
  return 0xdc00 <= unit && unit < 0xe000;
}
