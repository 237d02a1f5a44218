// CRC32C (Castagnoli, RFC 3720 appendix B.4): the checksum of every byte that is stored or sent.
// The pure version here is the reference; servers pass in a native one with the same signature.

/** CRC32C of `data`, going on from `initial` (the CRC of what came before; 0 at the start). */
export type Crc32c = (data: Uint8Array, initial?: number) => number;

const POLYNOMIAL = 0x82f63b78; // reflected

const TABLE = new Uint32Array(256).map((_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
  return c >>> 0;
});

export const crc32c: Crc32c = (data, initial = 0) => {
  let crc = ~initial;
  for (let i = 0; i < data.length; i++) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ (data[i] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
};

/**
 * The CRC of two pieces joined, from the CRC of each.
 *
 * Appending n zero bytes to a message multiplies its CRC by x^(8n) modulo the polynomial; the
 * multiplication is a linear map over GF(2), here a product of powers by repeated squaring.
 *
 * @param lengthB  Bytes of the second piece.
 * @see   Mark Adler's crc32_combine of zlib for the idea.
 */
export function crc32cCombine(crcA: number, crcB: number, lengthB: number): number {
  return (multiply(crcA, powerOfX(8 * lengthB)) ^ crcB) >>> 0;
}

const ONE = 0x80000000; // x^0 in reflected order
/** POWERS[k] is x^(2^k): each the square of the one before. */
const POWERS: readonly number[] = powers();

function powers(): number[] {
  const all = [0x40000000]; // x^1
  for (let k = 1; k < 64; k++) all.push(multiply(all[k - 1] as number, all[k - 1] as number));
  return all;
}

function powerOfX(exponent: number): number {
  let result = ONE;
  for (let k = 0, rest = exponent; 0 < rest; k++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(result, POWERS[k] as number);
  }
  return result;
}

/** Product of two polynomials modulo POLYNOMIAL; the highest bit is the power 0. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if (a & bit) product ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}
