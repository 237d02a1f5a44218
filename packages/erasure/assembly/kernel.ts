// The kernel of the erasure code, in AssemblyScript: sums of multiples of cells in WebAssembly
// SIMD. scripts/gen-kernel.ts compiles it into src/kernel/kernel-code.ts, which is committed.
//
// A byte times a factor is looked up by nibbles: 16 products of the low one and 16 of the high one
// are a vector each, so that one swizzle looks up 16 bytes at once. Doubling needs no table.
//
// The caller fills the lowest memory as laid out here, then calls combine().
//
// K1. Cells are worked off in blocks of BLOCK bytes, all targets of a block before the next block:
//     all blocks together stay in the first-level cache while targets are summed up in memory.
// K2. Nothing outside the targets' bytes is written but the notes at KINDS, DATA_COUNTS and GAPS.

/** A byte for each target and source: factors[t * sources + s]. */
const FACTORS: u32 = 0;
/** Addresses of the sources, four bytes each. */
const SOURCES: u32 = 512;
/** Addresses of the targets, four bytes each. */
const TARGETS: u32 = 640;
/** A byte for each target: how its row is worked off. */
const KINDS: u32 = 768;
/** A byte for each target that is a solution: how many of the sources are data cells. */
const DATA_COUNTS: u32 = 800;
/** 32 bytes for each such target: doublings of the weighted sum after each data cell. */
const GAPS: u32 = 9216;
/** 32 bytes for each factor: products of the low nibbles, products of the high nibbles. */
const TABLES: u32 = 1024;

const BLOCK: u32 = 4096;
/** Bytes that the passes take at a time; what remains at the end of cells goes byte by byte. */
const STEP: u32 = 64;
/** Data cells of the widest code, and so the exponents of their weights. */
const EXPONENTS_MAX: i32 = 32;

/** The row is multiplied out by tables, alone. */
const GENERAL: u8 = 0;
/** The row is all ones. */
const SUM: u8 = 1;
/** The row is all ones and the next one is 1, 2, 4, 8, …: both come of one pass. */
const SUM_AND_DOUBLING: u8 = 2;
/** The next row differs from this one by ones alone: its products are the same. */
const TWINS: u8 = 3;
/** The row is multiplied out together with the next one. */
const PAIR: u8 = 4;
/** The row solves the two equations of the first two parity cells: see isSolution(). */
const SOLUTION: u8 = 5;
/** The same, and the next row is this one plus all sources but the last. */
const SOLUTION_TWINS: u8 = 6;

// What combine() is at: the counts of the call, and the part of the cells that is worked off now.
let targets: i32 = 0;
let sources: i32 = 0;
let begin: u32 = 0;
let end: u32 = 0;

/** Makes target t the sum of factors[t][s] times source s, over `bytes` bytes. */
export function combine(targetCount: i32, sourceCount: i32, bytes: u32): void {
  targets = targetCount;
  sources = sourceCount;
  for (let t = 0; t < targets; t++) store<u8>(KINDS + t, kindOf(t));
  const whole = bytes & ~(STEP - 1);
  for (begin = 0; begin < whole; begin += BLOCK) {
    end = min(begin + BLOCK, whole);
    for (let t = 0; t < targets; t++) {
      const kind = load<u8>(KINDS + t);
      if (kind === SUM_AND_DOUBLING) sumAndDoubling(t++);
      else if (kind === SUM) sum(t);
      else if (kind === TWINS) multiples(t++, true);
      else if (kind === PAIR) pair(t++);
      else if (kind === SOLUTION_TWINS) solve(t++, true);
      else if (kind === SOLUTION) solve(t, false);
      else multiples(t, false);
    }
  }
  begin = whole;
  end = bytes;
  for (let t = 0; t < targets; t++) byByte(t);
}

function kindOf(t: i32): u8 {
  const isLast = t + 1 === targets;
  if (isSum(t)) return !isLast && isDoubling(t + 1) ? SUM_AND_DOUBLING : SUM;
  if (isSolution(t)) return !isLast && isOtherSolution(t + 1) ? SOLUTION_TWINS : SOLUTION;
  if (isLast || isSum(t + 1)) return GENERAL;
  return areTwins(t) ? TWINS : PAIR;
}

/**
 * Whether the row has the form of a lost data cell: with the sum p and the weighted sum q of the
 * data cells d that are there,
 *
 *   A · (P + p) + B · (Q + q)    where p = Σ d_s and q = Σ 2^(e_s) · d_s, e_s ascending
 *
 * The last source is Q; the one before it is P, or a data cell too, and A is 0. Doubling the data
 * and multiplying two sums is less work than to multiply every source.
 */
function isSolution(t: i32): bool {
  if (sources < 3) return false;
  return hasForm(t, sources - 2, factor(t, sources - 2)) || hasForm(t, sources - 1, 0);
}

function hasForm(t: i32, dataCount: i32, a: u32): bool {
  let product = factor(t, sources - 1);
  let exponent = 0;
  for (let s = 0; s < dataCount; s++) {
    const wanted = factor(t, s) ^ a;
    let gap = 0;
    for (; product !== wanted; gap++) {
      if (++exponent === EXPONENTS_MAX) return false;
      product = product & 0x80 ? (product << 1) ^ 0x11d : product << 1;
    }
    store<u8>(GAPS + (t << 5) + s, gap);
  }
  store<u8>(DATA_COUNTS + t, dataCount);
  return true;
}

function isOtherSolution(t: i32): bool {
  for (let s = 0; s < sources; s++) {
    const expected: u32 = s === sources - 1 ? 0 : 1;
    if ((factor(t, s) ^ factor(t - 1, s)) !== expected) return false;
  }
  return true;
}

function areTwins(t: i32): bool {
  for (let s = 0; s < sources; s++) {
    if (1 < (factor(t, s) ^ factor(t + 1, s))) return false;
  }
  return true;
}

function isSum(t: i32): bool {
  for (let s = 0; s < sources; s++) if (factor(t, s) !== 1) return false;
  return true;
}

function isDoubling(t: i32): bool {
  let power: u32 = 1;
  for (let s = 0; s < sources; s++) {
    if (factor(t, s) !== power) return false;
    power = power & 0x80 ? (power << 1) ^ 0x11d : power << 1;
  }
  return true;
}

function factor(t: i32, s: i32): u32 {
  return load<u8>(FACTORS + t * sources + s);
}

function source(s: i32): u32 {
  return load<u32>(SOURCES + (s << 2));
}

function target(t: i32): u32 {
  return load<u32>(TARGETS + (t << 2));
}

/** Horner's rule: from the last source to the first, the sum so far is doubled. */
function sumAndDoubling(t: i32): void {
  const sumTarget = target(t);
  const doublingTarget = target(t + 1);
  const first = SOURCES + ((sources - 1) << 2);
  for (let at = begin; at < end; at += STEP) {
    let from: u32 = load<u32>(first) + at;
    let p0 = v128.load(from);
    let p1 = v128.load(from, 16);
    let p2 = v128.load(from, 32);
    let p3 = v128.load(from, 48);
    let q0 = p0;
    let q1 = p1;
    let q2 = p2;
    let q3 = p3;
    for (let pointer = first - 4; SOURCES <= pointer; pointer -= 4) {
      from = load<u32>(pointer) + at;
      const d0 = v128.load(from);
      const d1 = v128.load(from, 16);
      const d2 = v128.load(from, 32);
      const d3 = v128.load(from, 48);
      p0 = v128.xor(p0, d0);
      p1 = v128.xor(p1, d1);
      p2 = v128.xor(p2, d2);
      p3 = v128.xor(p3, d3);
      q0 = v128.xor(doubled(q0), d0);
      q1 = v128.xor(doubled(q1), d1);
      q2 = v128.xor(doubled(q2), d2);
      q3 = v128.xor(doubled(q3), d3);
    }
    v128.store(sumTarget + at, p0);
    v128.store(sumTarget + at, p1, 16);
    v128.store(sumTarget + at, p2, 32);
    v128.store(sumTarget + at, p3, 48);
    v128.store(doublingTarget + at, q0);
    v128.store(doublingTarget + at, q1, 16);
    v128.store(doublingTarget + at, q2, 32);
    v128.store(doublingTarget + at, q3, 48);
  }
}

/** A lost data cell, and the other one too if `twins`. */
function solve(t: i32, twins: bool): void {
  const dataCount: i32 = load<u8>(DATA_COUNTS + t);
  const hasP = dataCount + 2 === sources;
  const to = target(t);
  const toTwin = twins ? target(t + 1) : to;
  const gaps = GAPS + (t << 5);
  const tableA = TABLES + ((hasP ? factor(t, sources - 2) : 0) << 5);
  const tableB = TABLES + (factor(t, sources - 1) << 5);
  const lowA = v128.load(tableA);
  const highA = v128.load(tableA, 16);
  const lowB = v128.load(tableB);
  const highB = v128.load(tableB, 16);
  for (let at = begin; at < end; at += 32) {
    let from: u32 = 0;
    let p0 = i8x16.splat(0);
    let q0 = i8x16.splat(0);
    let p1 = i8x16.splat(0);
    let q1 = i8x16.splat(0);
    for (let s = dataCount - 1; 0 <= s; s--) {
      from = source(s) + at;
      const d0 = v128.load(from);
      p0 = v128.xor(p0, d0);
      q0 = v128.xor(q0, d0);
      const d1 = v128.load(from, 16);
      p1 = v128.xor(p1, d1);
      q1 = v128.xor(q1, d1);
      for (let gap = load<u8>(gaps + s); 0 < gap; gap--) {
        q0 = doubled(q0);
        q1 = doubled(q1);
      }
    }
    if (hasP) {
      from = source(dataCount) + at;
      p0 = v128.xor(p0, v128.load(from));
      p1 = v128.xor(p1, v128.load(from, 16));
    }
    from = source(sources - 1) + at;
    q0 = v128.xor(product(lowA, highA, p0), product(lowB, highB, v128.xor(q0, v128.load(from))));
    q1 = v128.xor(
      product(lowA, highA, p1),
      product(lowB, highB, v128.xor(q1, v128.load(from, 16))),
    );
    v128.store(to + at, q0);
    v128.store(to + at, q1, 16);
    if (!twins) continue;
    v128.store(toTwin + at, v128.xor(p0, q0));
    v128.store(toTwin + at, v128.xor(p1, q1), 16);
  }
}

/** The plain XOR of all sources. */
function sum(t: i32): void {
  const into = target(t);
  const last = SOURCES + (sources << 2);
  for (let at = begin; at < end; at += STEP) {
    let from: u32 = load<u32>(SOURCES) + at;
    let p0 = v128.load(from);
    let p1 = v128.load(from, 16);
    let p2 = v128.load(from, 32);
    let p3 = v128.load(from, 48);
    for (let pointer = SOURCES + 4; pointer < last; pointer += 4) {
      from = load<u32>(pointer) + at;
      p0 = v128.xor(p0, v128.load(from));
      p1 = v128.xor(p1, v128.load(from, 16));
      p2 = v128.xor(p2, v128.load(from, 32));
      p3 = v128.xor(p3, v128.load(from, 48));
    }
    v128.store(into + at, p0);
    v128.store(into + at, p1, 16);
    v128.store(into + at, p2, 32);
    v128.store(into + at, p3, 48);
  }
}

/** Two targets at once, two sources at a time: every look-up index serves twice. */
function pair(t: i32): void {
  let s = 0;
  for (; s + 1 < sources; s += 2) twoByTwo(t, s);
  if (s === sources) return;
  oneByOne(t, s);
  oneByOne(t + 1, s);
}

/** Of what targets hold, nothing is kept when the first source is added. */
function keptFrom(s: i32): v128 {
  return i8x16.splat(s === 0 ? 0 : -1);
}

/** Adds the products of sources s and s + 1 to two targets. */
function twoByTwo(t: i32, s: i32): void {
  const keep = keptFrom(s);
  const a = source(s);
  const b = source(s + 1);
  const to0 = target(t);
  const to1 = target(t + 1);
  const a0 = TABLES + (factor(t, s) << 5);
  const b0 = TABLES + (factor(t, s + 1) << 5);
  const a1 = TABLES + (factor(t + 1, s) << 5);
  const b1 = TABLES + (factor(t + 1, s + 1) << 5);
  const lowA0 = v128.load(a0);
  const highA0 = v128.load(a0, 16);
  const lowB0 = v128.load(b0);
  const highB0 = v128.load(b0, 16);
  const lowA1 = v128.load(a1);
  const highA1 = v128.load(a1, 16);
  const lowB1 = v128.load(b1);
  const highB1 = v128.load(b1, 16);
  const mask = i8x16.splat(15);
  for (let at = begin; at < end; at += 16) {
    const bytesA = v128.load(a + at);
    const lA = v128.and(bytesA, mask);
    const hA = v128.and(i16x8.shr_u(bytesA, 4), mask);
    let sum0 = v128.and(v128.load(to0 + at), keep);
    let sum1 = v128.and(v128.load(to1 + at), keep);
    sum0 = v128.xor(sum0, v128.xor(i8x16.swizzle(lowA0, lA), i8x16.swizzle(highA0, hA)));
    sum1 = v128.xor(sum1, v128.xor(i8x16.swizzle(lowA1, lA), i8x16.swizzle(highA1, hA)));
    const bytesB = v128.load(b + at);
    const lB = v128.and(bytesB, mask);
    const hB = v128.and(i16x8.shr_u(bytesB, 4), mask);
    sum0 = v128.xor(sum0, v128.xor(i8x16.swizzle(lowB0, lB), i8x16.swizzle(highB0, hB)));
    sum1 = v128.xor(sum1, v128.xor(i8x16.swizzle(lowB1, lB), i8x16.swizzle(highB1, hB)));
    v128.store(to0 + at, sum0);
    v128.store(to1 + at, sum1);
  }
}

/** One target, and its twin too if `twins`: four sources at a time as far as there are enough. */
function multiples(t: i32, twins: bool): void {
  let s = 0;
  for (; s + 3 < sources; s += 4) oneByFour(t, s, twins);
  for (; s < sources; s++) {
    oneByOne(t, s);
    if (twins) oneByOne(t + 1, s);
  }
}

/**
 * Adds the products of sources s to s + 3 to a target. The twin gets the same, and the sources
 * themselves where the rows differ.
 */
function oneByFour(t: i32, s: i32, twins: bool): void {
  const keep = keptFrom(s);
  const a = source(s);
  const b = source(s + 1);
  const c = source(s + 2);
  const d = source(s + 3);
  const to = target(t);
  const toTwin = twins ? target(t + 1) : to;
  const tableA = TABLES + (factor(t, s) << 5);
  const tableB = TABLES + (factor(t, s + 1) << 5);
  const tableC = TABLES + (factor(t, s + 2) << 5);
  const tableD = TABLES + (factor(t, s + 3) << 5);
  const lowA = v128.load(tableA);
  const highA = v128.load(tableA, 16);
  const lowB = v128.load(tableB);
  const highB = v128.load(tableB, 16);
  const lowC = v128.load(tableC);
  const highC = v128.load(tableC, 16);
  const lowD = v128.load(tableD);
  const highD = v128.load(tableD, 16);
  const addA = twins ? difference(t, s) : i8x16.splat(0);
  const addB = twins ? difference(t, s + 1) : i8x16.splat(0);
  const addC = twins ? difference(t, s + 2) : i8x16.splat(0);
  const addD = twins ? difference(t, s + 3) : i8x16.splat(0);
  for (let at = begin; at < end; at += 16) {
    const bytesA = v128.load(a + at);
    const bytesB = v128.load(b + at);
    const bytesC = v128.load(c + at);
    const bytesD = v128.load(d + at);
    const ab = v128.xor(product(lowA, highA, bytesA), product(lowB, highB, bytesB));
    const cd = v128.xor(product(lowC, highC, bytesC), product(lowD, highD, bytesD));
    const all = v128.xor(ab, cd);
    v128.store(to + at, v128.xor(v128.and(v128.load(to + at), keep), all));
    if (!twins) continue;
    const addAB = v128.xor(v128.and(bytesA, addA), v128.and(bytesB, addB));
    const addCD = v128.xor(v128.and(bytesC, addC), v128.and(bytesD, addD));
    const twin = v128.xor(all, v128.xor(addAB, addCD));
    v128.store(toTwin + at, v128.xor(v128.and(v128.load(toTwin + at), keep), twin));
  }
}

function difference(t: i32, s: i32): v128 {
  return i8x16.splat(factor(t, s) === factor(t + 1, s) ? 0 : -1);
}

/** Adds the product of one source to a target. */
function oneByOne(t: i32, s: i32): void {
  const keep = keptFrom(s);
  const from = source(s);
  const to = target(t);
  const table = TABLES + (factor(t, s) << 5);
  const low = v128.load(table);
  const high = v128.load(table, 16);
  for (let at = begin; at < end; at += 16) {
    const kept = v128.and(v128.load(to + at), keep);
    v128.store(to + at, v128.xor(kept, product(low, high, v128.load(from + at))));
  }
}

/** The end of cells whose length is no multiple of STEP. */
function byByte(t: i32): void {
  const to = target(t);
  for (let at = begin; at < end; at++) {
    let total: u32 = 0;
    for (let s = 0; s < sources; s++) {
      const byte: u32 = load<u8>(source(s) + at);
      const table = TABLES + (factor(t, s) << 5);
      total ^= load<u8>(table + (byte & 15)) ^ load<u8>(table + (byte >> 4), 16);
    }
    store<u8>(to + at, total);
  }
}

/** Every byte times 2: shifted, and reduced where the highest bit was set. */
function doubled(v: v128): v128 {
  const carries = i8x16.lt_s(v, i8x16.splat(0));
  return v128.xor(i8x16.add(v, v), v128.and(carries, i8x16.splat(0x1d)));
}

/** Every byte times the factor of the tables. */
function product(low: v128, high: v128, bytes: v128): v128 {
  const mask = i8x16.splat(15);
  const lowNibbles = v128.and(bytes, mask);
  const highNibbles = v128.and(i16x8.shr_u(bytes, 4), mask);
  return v128.xor(i8x16.swizzle(low, lowNibbles), i8x16.swizzle(high, highNibbles));
}
