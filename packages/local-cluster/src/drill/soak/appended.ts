// Whether a file that was appended to is what the journal says:
//
// R1. Every acknowledged record is there, whole, exactly once, and where its answer said.
// R2. One that nobody knows the outcome of is there at most once; one that was refused never.
// R3. A record whose append began after another's was acknowledged stands behind it.
// R4. Nothing else is there: no gap, no piece of a record.

import type { Finding } from "./audit.js";
import type { ExpectedRecord } from "./expectations.js";
import { type FoundRecord, findRecords } from "./records.js";

/** @returns Everything that is wrong with the file. */
export async function compareRecords(
  path: string,
  file: Uint8Array,
  expected: readonly ExpectedRecord[],
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const offsets = new Map<number, number>();
  const byId = new Map(expected.map((one) => [one.record.id, one]));
  for (const found of await findRecords(file)) {
    const wrong = judge(found, byId, offsets);
    if (wrong !== undefined) findings.push({ ...wrong, text: `${path}: ${wrong.text}` });
    if (found.kind === "record") offsets.set(found.record.id, found.offset);
  }
  for (const { record, end, offset } of expected) {
    const at = offsets.get(record.id);
    if (end !== "ok" || (at !== undefined && (offset ?? at) === at)) continue;
    const text =
      at === undefined
        ? `${path}: record ${record.id} was acknowledged and is not there`
        : `${path}: record ${record.id} is at ${at}, its answer said ${offset}`;
    findings.push({ kind: "lost", text });
  }
  return [...findings, ...disorder(path, expected, offsets)];
}

function judge(
  found: FoundRecord,
  expected: ReadonlyMap<number, ExpectedRecord>,
  offsets: ReadonlyMap<number, number>,
): Finding | undefined {
  if (found.kind === "torn") return { kind: "torn", text: `at ${found.offset}: ${found.why}` };
  const { id, content } = found.record;
  const known = expected.get(id);
  const { seed, size } = known?.record.content ?? {};
  if (known === undefined || seed !== content.seed || size !== content.size) {
    return { kind: "torn", text: `record ${id} at ${found.offset} was never appended there` };
  }
  if (known.end === "refused") {
    return { kind: "resurrected", text: `record ${id} is there, but was refused` };
  }
  if (!offsets.has(id)) return undefined;
  return { kind: "doubled", text: `record ${id} is at ${offsets.get(id)} and ${found.offset}` };
}

/** R3: along the times of their beginnings, none stands before one that was over by then. */
function disorder(
  path: string,
  expected: readonly ExpectedRecord[],
  offsets: ReadonlyMap<number, number>,
): readonly Finding[] {
  const there = expected.filter(({ record }) => offsets.has(record.id));
  const overs = there.filter(({ end }) => end === "ok").sort((a, b) => a.over - b.over);
  const begins = [...there].sort((a, b) => a.began - b.began);
  const findings: Finding[] = [];
  let behind = -1;
  let next = 0;
  for (const { record, began } of begins) {
    for (let over = overs[next]; over !== undefined && over.over < began; over = overs[++next]) {
      behind = Math.max(behind, offsets.get(over.record.id) ?? -1);
    }
    const offset = offsets.get(record.id) ?? 0;
    if (behind <= offset) continue;
    const text = `${path}: record ${record.id} at ${offset} was appended after that at ${behind}`;
    findings.push({ kind: "disorder", text });
  }
  return findings;
}
