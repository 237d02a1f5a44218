// What an order to rebuild a unit of a coded chunk says.

import type { Geometry } from "@lumeofs/erasure";
import type { IncomingOrder } from "./incoming-replica.js";
import type { Holder } from "./replica-source.js";

/** A unit that can be had. */
export interface UnitSource {
  readonly unit: number;
  readonly length: number;
  /** Of its whole bytes. */
  readonly crc32c: number;
  /** Undefined for a unit without bytes, which is nowhere. */
  readonly holder: Holder | undefined;
}

export interface RebuildOrder extends IncomingOrder {
  readonly rebuild: {
    readonly geometry: Geometry;
    /** The number of the unit that is rebuilt. */
    readonly unit: number;
    /** Other units, those to read first at the front. */
    readonly sources: readonly UnitSource[];
  };
}
