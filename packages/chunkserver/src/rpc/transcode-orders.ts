// Orders to convert a chunk, between the wire and the part that obeys them.

import { type Code, type Epoch, faultOfCode, unitCount, unitLength } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { DataSource } from "../coding/chunk-data.js";
import type { TranscodeOrder, TranscodeResult } from "../coding/transcode.js";
import type { UnitSource } from "../transfer/rebuild-order.js";
import type { SealedChunk } from "../transfer/replica-source.js";
import {
  decodeChunk,
  decodeEpoch,
  decodeHandle,
  decodeHolder,
  decodeToken,
  encodeFault,
  invalid,
} from "./replica-orders.js";

/** Copies that a chunk may have: docs/formats/data-plane.md. */
const COPIES_MAX = 7;

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeTranscode(wire: lumeo.chunkserver.v1.ITranscodeRequest): TranscodeOrder {
  const code = wire.targetCode ? decodeCode(wire.targetCode) : undefined;
  const servers = (wire.targets ?? []).map(decodeHolder);
  const expected = code === undefined ? undefined : unitCount(code);
  const isFit =
    expected === undefined
      ? 0 < servers.length && servers.length <= COPIES_MAX
      : servers.length === expected;
  if (!isFit) throw invalid(`it names ${servers.length} targets, expected ${expected ?? "1 to 7"}`);
  const bytesPerSecondMax = wire.bytesPerSecondMax ?? 0;
  const chunk = { ...decodeChunk(wire.source), token: decodeToken(wire.sourceToken) };
  return {
    source: decodeSource(wire, chunk, bytesPerSecondMax),
    target: {
      handle: decodeHandle(wire.targetHandle ?? 0),
      epoch: decodeEpoch(wire.targetEpoch ?? 0),
      token: decodeToken(wire.targetToken),
      code,
      servers,
    },
    bytesPerSecondMax,
  };
}

export function encodeTranscoded(result: TranscodeResult): lumeo.chunkserver.v1.ITranscodeResponse {
  const faults = result.faults.map(encodeFault);
  if (result.kind === "noSource") return { done: false, why: result.why, faults };
  return { done: true, unitCrcs: [...result.unitCrcs], faults };
}

function decodeSource(
  { source, holders: wires }: lumeo.chunkserver.v1.ITranscodeRequest,
  chunk: SealedChunk,
  bytesPerSecondMax: number,
): DataSource {
  const holders = (wires ?? []).map(({ holder }) => (holder ? decodeHolder(holder) : undefined));
  const { coding } = source ?? {};
  if (coding === null || coding === undefined) {
    const known = holders.filter((holder) => holder !== undefined);
    if (COPIES_MAX < holders.length) throw invalid(`it names ${holders.length} copies`);
    return { kind: "copies", chunk, holders: known };
  }
  const code = decodeCode(coding.code ?? {});
  const unitCrcs = coding.unitCrcs ?? [];
  const units = unitCount(code);
  if (holders.length !== units || unitCrcs.length !== units) {
    throw invalid(`it names ${holders.length} holders of ${units} units`);
  }
  const sources = holders.flatMap((holder, unit): UnitSource[] => {
    const length = unitLength(code, chunk.length, unit);
    const one = { unit, length, crc32c: unitCrcs[unit] ?? 0 };
    if (length === 0) return [{ ...one, holder: undefined }];
    return holder === undefined ? [] : [{ ...one, holder }];
  });
  return { kind: "units", chunk, code, coded: codedOf(chunk, code, sources, bytesPerSecondMax) };
}

function codedOf(
  { handle, epoch, token }: SealedChunk & { readonly epoch: Epoch },
  code: Code,
  units: readonly UnitSource[],
  bytesPerSecondMax: number,
) {
  const geometry = { dataCells: code.data, parityCells: code.parity };
  return { handle, epoch, token, geometry, units, bytesPerSecondMax };
}

function decodeCode(wire: lumeo.common.v1.ICode): Code {
  const { data = 0, parity = 0, cellBytes = 0 } = wire;
  const code = { data: data ?? 0, parity: parity ?? 0, cellBytes: cellBytes ?? 0 };
  const fault = faultOfCode(code);
  if (fault === undefined) return code;
  throw invalid(`there is no such code: ${fault}`);
}
