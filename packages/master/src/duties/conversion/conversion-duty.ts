import type { Duty } from "../duty.js";
import { termDuty } from "../term-duty.js";
import { type ConversionLimits, Converter, type ConverterParts } from "./converter.js";

/** Converts chunks as jobs say. Each term of office begins with the jobs of the state. */
export function conversionDuty(parts: ConverterParts, limits: ConversionLimits): Duty {
  const termOf = () => parts.log.term;
  return termDuty("conversion", termOf, () => new Converter(parts, limits));
}
