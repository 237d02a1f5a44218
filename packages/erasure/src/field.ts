// Arithmetic in GF(2^8): a byte is a polynomial over GF(2), products are taken modulo
// x^8 + x^4 + x^3 + x^2 + 1, and addition is XOR.
//
// F1. 2 (the polynomial x) generates all elements but 0: a product is a sum of exponents.

/** The polynomial of RAID-6 and of most Reed–Solomon codes in storage. */
const POLYNOMIAL = 0x11d;
/** Elements but 0. */
const ORDER = 255;

const POWERS = powers();
const EXPONENTS = exponents();

/** 2 to the power of `exponent`, which may be any integer from 0. */
export function powerOfTwo(exponent: number): number {
  return POWERS[exponent % ORDER] as number;
}

/** Product of two elements. */
export function multiply(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  return powerOfTwo((EXPONENTS[a] as number) + (EXPONENTS[b] as number));
}

/** The element that gives 1 together with `a`, which is not 0. */
export function invert(a: number): number {
  return powerOfTwo(ORDER - (EXPONENTS[a] as number));
}

/** The products of `factor` with every byte, by byte. */
export function productsOf(factor: number): Uint8Array {
  return new Uint8Array(256).map((_, byte) => multiply(factor, byte));
}

function powers(): Uint8Array {
  const all = new Uint8Array(ORDER);
  for (let n = 0, power = 1; n < ORDER; n++) {
    all[n] = power;
    power <<= 1;
    if (0xff < power) power ^= POLYNOMIAL;
  }
  return all;
}

function exponents(): Uint8Array {
  const all = new Uint8Array(256);
  for (let n = 0; n < ORDER; n++) all[POWERS[n] as number] = n;
  return all;
}
