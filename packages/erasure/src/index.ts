export { ARENA_BYTES_MAX, type ArenaShape, CellArena, combineFastest } from "./cell-arena.js";
export { type Combine, combinePlain } from "./combine.js";
export { ErasureCodec, type PartialStripe } from "./erasure-codec.js";
export { CELLS_MAX, checkGeometry, DEFAULT_GEOMETRY, type Geometry } from "./geometry.js";
export type { Matrix } from "./matrix.js";
export type { StripeVerdict, StripeVerifier } from "./stripe-verifier.js";
