import type { lumeo } from "@lumeofs/proto";
import type { ScrubReport } from "../fleet/checks.js";
import { decodeNumber } from "./field-wire.js";

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeScrub(wire: lumeo.common.v1.IScrubStatus | null | undefined): ScrubReport {
  return {
    roundCount: decodeNumber(wire?.roundCount, "number of rounds"),
    roundBeganAtMs: decodeNumber(wire?.roundBeganAtMs, "begin of the round"),
    lastRoundBeganAtMs: decodeNumber(wire?.lastRoundBeganAtMs, "begin of the last round"),
    lastRoundEndedAtMs: decodeNumber(wire?.lastRoundEndedAtMs, "end of the last round"),
    position: decodeNumber(wire?.position, "position of the scrub"),
    readCount: decodeNumber(wire?.readCount, "number of copies read"),
    readBytes: decodeNumber(wire?.readBytes, "bytes read"),
    foundCount: decodeNumber(wire?.foundCount, "number of copies found damaged"),
    isYielding: wire?.yielding ?? false,
    bytesPerSecond: decodeNumber(wire?.bytesPerSecond, "speed of the scrub"),
  };
}

/** Empty fields for a server that was not heard. */
export function encodeScrub(report: ScrubReport | undefined): lumeo.common.v1.IScrubStatus {
  if (report === undefined) return {};
  const { isYielding, ...numbers } = report;
  return { ...numbers, yielding: isYielding };
}
