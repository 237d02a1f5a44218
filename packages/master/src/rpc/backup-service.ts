// The metadata at one revision as a stream, for backups: BackupService.Export, at any master.
//
// E1. All records are of one revision, in key order, each key once; the totals come last, so that
//     a stream that broke off is never taken for a whole one.
// E2. A caller that takes nothing for STALL_MS_MAX is left: a frozen state keeps space on the disk.

import { Budget, type Clock, type Closable, KiB, LumeoError, type Timers } from "@lumeofs/base";
import { PairSum } from "@lumeofs/node";
import { type RpcMethod, serveDownload } from "@lumeofs/node/rpc";
import { BackupService, lumeo } from "@lumeofs/proto";
import { SnapshotPace } from "../consensus/snapshot-pace.js";
import { getClusterId } from "../metadata/cluster.js";
import { BACKUP_RANGES } from "../metadata/restoration.js";
import type { StateReader } from "../metadata/state.js";
import { walkTree } from "../metadata/tree-walk.js";
import { encodeFile } from "./inode-wire.js";

const { Mode } = lumeo.backup.v1;

/** Exports of one master at once. */
const EXPORTS_MAX = 2;
/** A message is closed when it has reached this size. */
const MESSAGE_BYTES = 256 * KiB;
const PAGE = 1_000;
const STALL_MS_MAX = 60_000;

type Pair = readonly [key: Uint8Array, value: Uint8Array];
type Message = lumeo.master.v1.IExportResponse;

/** The state at one place in the log, whatever happens meanwhile. */
export interface FrozenView extends StateReader, Closable {
  readonly index: number;
}

export interface BackupServiceParts {
  /** The state with everything that was acknowledged before. To be closed. */
  readonly freeze: () => Promise<FrozenView>;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly bytesPerSecondMax: number;
}

export function backupMethods(parts: BackupServiceParts): readonly RpcMethod[] {
  const places = new Budget(EXPORTS_MAX);
  return [
    serveDownload(BackupService.export, async function* (request, { signal }) {
      const place = places.tryTake(1);
      if (place === undefined) throw tooMany();
      try {
        yield* exportState(parts, request, signal);
      } finally {
        place.release();
      }
    }),
  ];
}

async function* exportState(
  parts: BackupServiceParts,
  request: lumeo.master.v1.IExportRequest,
  signal: AbortSignal,
): AsyncGenerator<Message, void, undefined> {
  const mode = decodeMode(request.mode);
  const wanted = request.bytesPerSecond || parts.bytesPerSecondMax;
  const pace = new SnapshotPace(Math.min(wanted, parts.bytesPerSecondMax), parts.timers);
  const state = await parts.freeze();
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= state.close();
    return closing;
  };
  try {
    yield { origin: originOf(parts, state, mode) };
    const sum = new PairSum();
    const pairs = mode === Mode.MODE_FULL ? fullPairs(state) : indexPairs(state);
    for await (const records of messages(pairs, sum)) {
      signal.throwIfAborted();
      const alarm = parts.timers.after(STALL_MS_MAX, () => void close());
      yield { records: { records } };
      alarm.cancel();
      if (closing !== undefined) throw stalled();
      await pace.pay(records.reduce((bytes, one) => bytes + bytesOf(one), 0));
    }
    yield { totals: sum.totals() };
  } finally {
    await close();
  }
}

/** Everything that a group of masters is rebuilt from. */
async function* fullPairs(state: StateReader): AsyncGenerator<Pair, void, undefined> {
  for (const { from, to } of BACKUP_RANGES) {
    let next = from;
    for (;;) {
      const page = await state.range(next, to, PAGE);
      yield* page;
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) break;
      next = new Uint8Array([...last[0], 0]);
    }
  }
}

/** What is where: a record for each name, by path. */
async function* indexPairs(state: StateReader): AsyncGenerator<Pair, void, undefined> {
  for await (const entry of walkTree(state)) {
    const info = lumeo.master.v1.FileInfo.encode(encodeFile(entry.path, entry)).finish();
    yield [pathKey(entry.path), info];
  }
}

/** Sorts as the walk goes: a zero byte for each "/", which no name has. */
function pathKey(path: string): Uint8Array {
  const key = new TextEncoder().encode(path === "/" ? "" : path);
  return key.map((byte) => (byte === SLASH ? 0 : byte));
}

const SLASH = 0x2f;

async function* messages(
  pairs: AsyncIterable<Pair>,
  sum: PairSum,
): AsyncGenerator<lumeo.backup.v1.IRecord[], void, undefined> {
  let records: lumeo.backup.v1.IRecord[] = [];
  let bytes = 0;
  for await (const [key, value] of pairs) {
    sum.add(key, value);
    records.push({ key, value });
    bytes += key.byteLength + value.byteLength;
    if (bytes < MESSAGE_BYTES) continue;
    yield records;
    [records, bytes] = [[], 0];
  }
  if (0 < records.length) yield records;
}

function originOf(
  { clock }: BackupServiceParts,
  state: FrozenView,
  mode: lumeo.backup.v1.Mode,
): lumeo.backup.v1.IOrigin {
  const clusterId = getClusterId(state);
  if (clusterId === undefined) {
    throw new LumeoError("UNAVAILABLE", "The cluster is being set up: try again in a moment");
  }
  return { clusterId, mode, revision: state.index, atMs: clock.wallMs() };
}

function decodeMode(mode: lumeo.backup.v1.Mode | null | undefined): lumeo.backup.v1.Mode {
  if (mode === Mode.MODE_FULL || mode === Mode.MODE_INDEX) return mode;
  throw new LumeoError("INVALID_ARGUMENT", `Cannot export in mode ${mode}: index or full`);
}

function bytesOf({ key, value }: lumeo.backup.v1.IRecord): number {
  return (key?.byteLength ?? 0) + (value?.byteLength ?? 0);
}

function stalled(): LumeoError {
  const why = `nothing was taken within ${STALL_MS_MAX} ms`;
  return new LumeoError("TIMEOUT", `Cannot go on exporting: ${why}`);
}

function tooMany(): LumeoError {
  const why = `${EXPORTS_MAX} exports run at this master already`;
  return new LumeoError("OVERLOADED", `Cannot export: ${why}; ask another one`);
}
