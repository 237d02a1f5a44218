import test from "ava";
import fc from "fast-check";
import { invert, multiply, powerOfTwo, productsOf } from "./field.js";

const byte = fc.nat(255);

/** Multiplication as it is defined: shifted sums, reduced bit by bit. */
function multiplyByDefinition(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit++) if (b & (1 << bit)) product ^= a << bit;
  for (let bit = 14; 8 <= bit; bit--) if (product & (1 << bit)) product ^= 0x11d << (bit - 8);
  return product;
}

test("products are those of polynomials modulo 0x11d, for every pair of bytes", (t) => {
  for (let a = 0; a < 256; a++) {
    const products = productsOf(a);
    for (let b = 0; b < 256; b++) {
      const expected = multiplyByDefinition(a, b);
      if (multiply(a, b) !== expected || products[b] !== expected) t.fail(`${a} times ${b}`);
    }
  }
  t.pass();
});

test("every element but 0 has an inverse and is a power of two", (t) => {
  const seen = new Set<number>();
  for (let n = 0; n < 255; n++) {
    const a = powerOfTwo(n);
    seen.add(a);
    t.is(multiply(a, invert(a)), 1);
  }
  t.is(seen.size, 255);
  t.is(powerOfTwo(255), 1);
});

test("multiplication distributes over addition", (t) => {
  fc.assert(
    fc.property(byte, byte, byte, (a, b, c) => {
      return multiply(a, b ^ c) === (multiply(a, b) ^ multiply(a, c));
    }),
  );
  t.pass();
});
