// Files that are only appended to: several callers add records to the same files, many under way at
// once, and read in between that everything acknowledged so far is there.

import type { Caller } from "./caller.js";
import { encodeRecord, findRecords } from "./records.js";

export interface AppendersPlan {
  /** Folder in which nothing else happens. */
  readonly folder: string;
  readonly bytesMax: number;
  readonly restMsMax: number;
}

/** Where the appenders are: one log after the other, so that none grows for ever. */
export class SharedLogs {
  readonly #folder: string;
  #number = 0;
  #count = 0;
  #nextId = 1;
  /** Records that were acknowledged, by the log that they are in. */
  readonly acknowledged = new Map<string, Set<number>>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** A path, and a number for the record that is to go there. */
  take(): { readonly path: string; readonly id: number } {
    if (RECORDS_PER_LOG <= this.#count++) {
      this.#count = 1;
      this.#number++;
    }
    return { path: `${this.#folder}/log-${this.#number}`, id: this.#nextId++ };
  }
}

const RECORDS_PER_LOG = 400;
const AT_ONCE_MAX = 6;
const READ_CHANCE = 0.08;

/** Works until the soak ends. */
export async function appendRecords(
  caller: Caller,
  logs: SharedLogs,
  plan: AppendersPlan,
): Promise<void> {
  while (!caller.isOver) {
    const count = caller.between(1, AT_ONCE_MAX);
    const paths = await Promise.all(
      Array.from({ length: count }, () => appendOne(caller, logs, plan)),
    );
    const isReading = caller.random.fraction() < READ_CHANCE;
    if (isReading && paths[0] !== undefined) await readLog(caller, logs, paths[0]);
    await caller.rest(plan.restMsMax);
  }
}

async function appendOne(
  caller: Caller,
  logs: SharedLogs,
  { bytesMax }: AppendersPlan,
): Promise<string> {
  const { ledger, client } = caller;
  const { path, id } = logs.take();
  const content = caller.invent(1, bytesMax);
  const bytes = await encodeRecord({ id, content });
  const operation = { kind: "append", path, id, content } as const;
  const append = () => client.append(path, bytes);
  const outcome = await caller.journaled(
    operation,
    () => ledger.call("append", path, append),
    ({ offset }) => offset,
  );
  if (outcome.kind !== "ok") return path;
  if (outcome.value.length !== bytes.byteLength) {
    ledger.anomaly(`append of ${bytes.byteLength} B to ${path} says ${outcome.value.length} B`);
  }
  const known = logs.acknowledged.get(path) ?? new Set();
  logs.acknowledged.set(path, known.add(id));
  return path;
}

/** Everything that was acknowledged before the reading began is there, and nothing is torn. */
async function readLog(caller: Caller, logs: SharedLogs, path: string): Promise<void> {
  const { ledger, client } = caller;
  const before = [...(logs.acknowledged.get(path) ?? [])];
  const isRight = (code: string): boolean => code === "LUMEO_NOT_FOUND" && before.length === 0;
  const read = async (): Promise<Uint8Array> => {
    await using reading = await client.get(path);
    return await reading.bytes();
  };
  const outcome = await ledger.call("read log", path, read, isRight);
  if (outcome.kind !== "ok") return;
  const found = await findRecords(outcome.value);
  const ids = new Set<number>();
  for (const one of found) {
    if (one.kind === "record") ids.add(one.record.id);
    else ledger.anomaly(`${path} is torn at ${one.offset}: ${one.why}`);
  }
  const lost = before.filter((id) => !ids.has(id));
  if (0 < lost.length) ledger.anomaly(`${path} lacks ${lost.length} records, as ${lost[0]}`);
}
