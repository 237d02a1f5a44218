import type { Duty } from "../duty.js";
import { type ConversionLimits, Converter, type ConverterParts } from "./converter.js";

/** How late what has ended, or was begun by an operator, may be noticed. */
const INTERVAL_MS = 500;

/** Converts chunks as jobs say. Each term of office begins with the jobs of the state. */
export function conversionDuty(parts: ConverterParts, limits: ConversionLimits): Duty {
  let converter: Converter | undefined;
  let term: number | undefined;
  return {
    name: "conversion",
    intervalMs: INTERVAL_MS,
    async work() {
      if (converter === undefined || term !== parts.log.term) {
        converter?.stop();
        term = parts.log.term;
        converter = new Converter(parts, limits);
      }
      return converter.work();
    },
    stop: () => converter?.stop(),
  };
}
