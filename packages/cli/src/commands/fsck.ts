// A check of the whole cluster, or of a part of the tree.

import type { FsckFinding, FsckProgress } from "@lumeofs/client";
import { parseLifetime } from "../args.js";
import type { Context } from "../context.js";
import { codeOf, EXIT, type ExitStatus, exitStatusOf } from "../exit-status.js";
import { formatBytes, formatCount, formatDuration, plural, printable } from "../format.js";
import { startStatus } from "../progress.js";
import { parseRemotePath } from "../remote-path.js";

export interface FsckCommandOptions {
  readonly bytes?: boolean;
  readonly patience?: string;
}

const FAULTS: Readonly<Record<FsckFinding["fault"], string>> = {
  dangling: "leads nowhere",
  referenceCount: "wrong count",
  chunkList: "wrong chunks",
  chunkRecord: "wrong chunk",
  unreferenced: "unreferenced chunk",
  directory: "wrong directory",
  inlineBytes: "damaged inline chunk",
  missing: "missing replica",
  stale: "stale replica",
  corrupt: "damaged replica",
  wrongLength: "wrong length",
  wrongChecksum: "wrong checksum",
  underReplicated: "too few replicas",
  orphan: "orphaned replica",
  stuck: "growing chunk is stuck",
  growingDamaged: "damaged growing chunk",
  newer: "METADATA LOST",
};

/** What a check has counted. */
interface Tally {
  problems: number;
  unchecked: number;
  progress: FsckProgress;
  /** The most that was seen of each number: phases count on their own. */
  readonly seen: {
    records: number;
    files: number;
    chunks: number;
    replicas: number;
    bytes: number;
  };
  readonly waysOut: Map<string, string>;
}

/** Exit code 0 if all is well, 1 if problems were found, 2 if not everything could be checked. */
export async function fsck(
  context: Context,
  path: string | undefined,
  options: FsckCommandOptions,
): Promise<ExitStatus> {
  const { output, clock } = context;
  const patienceMs = options.patience === undefined ? undefined : parseLifetime(options.patience);
  const where = path === undefined ? {} : { path: parseRemotePath(path).path };
  const client = await context.client();
  const tally = newTally();
  const began = clock.monotonicMs();
  const stopStatus = startStatus(context, () => viewOf(tally));
  try {
    const patience = patienceMs === undefined ? {} : { patienceMs };
    const bytes = options.bytes ?? false;
    const events = client.audits.fsck({ signal: context.signal, ...where, ...patience, bytes });
    for await (const event of events) {
      if (event.kind === "progress") noteProgress(tally, event.progress);
      else if (event.kind === "unchecked") await tellUnchecked(context, tally, event);
      else if (event.kind === "note") await tellNote(context, event);
      else await tellFinding(context, tally, event.finding);
    }
  } catch (error) {
    stopStatus();
    if (exitStatusOf(codeOf(error)) !== EXIT.unavailable) throw error;
    output.error(error);
    tally.unchecked++;
  }
  stopStatus();
  await summarize(context, tally, clock.monotonicMs() - began);
  if (0 < tally.problems) return EXIT.failed;
  return 0 < tally.unchecked ? EXIT.incomplete : EXIT.ok;
}

function newTally(): Tally {
  const seen = { records: 0, files: 0, chunks: 0, replicas: 0, bytes: 0 };
  const progress = { phase: "names", ...seen } as const;
  return { problems: 0, unchecked: 0, progress, seen, waysOut: new Map() };
}

function noteProgress(tally: Tally, progress: FsckProgress): void {
  tally.progress = progress;
  for (const key of ["records", "files", "chunks", "replicas", "bytes"] as const) {
    tally.seen[key] = Math.max(tally.seen[key], progress[key]);
  }
}

function viewOf({ progress, problems }: Tally) {
  const { phase, records, files, chunks, replicas, bytes } = progress;
  const parts: Readonly<Record<FsckProgress["phase"], string>> = {
    names: `names: ${plural(records, "record")}, ${plural(files, "file")}`,
    replicas: `replicas: ${plural(chunks, "chunk")}, ${plural(replicas, "replica")}`,
    waiting: "replicas that nobody needs: waiting for them to go",
  };
  const read = 0 < bytes ? `, ${formatBytes(bytes)} of chunks read` : "";
  const found = problems === 0 ? "" : `, ${plural(problems, "problem")}`;
  return { text: `${parts[phase]}${read}${found}`, value: { ...progress, problems } };
}

async function tellFinding({ output }: Context, tally: Tally, finding: FsckFinding): Promise<void> {
  tally.problems++;
  const { fault, path, handle, server, what, wayOut } = finding;
  // Of one kind of fault, the first way out stands for all.
  if (!tally.waysOut.has(fault)) tally.waysOut.set(fault, wayOut);
  const about = [
    ...(path === undefined ? [] : [printable(path)]),
    ...(handle === undefined ? [] : [`chunk ${handle}`]),
    ...(server === undefined ? [] : [`on ${server}`]),
  ].join(", ");
  const title = output.bold(`${FAULTS[fault]}:`);
  await output.line(`${title} ${about === "" ? "" : `${about}: `}${printable(what)}`, { finding });
}

async function tellUnchecked(
  { output }: Context,
  tally: Tally,
  { subject, why }: { readonly subject: string; readonly why: string },
): Promise<void> {
  tally.unchecked++;
  await output.line(`${output.bold("not checked:")} ${subject}: ${printable(why)}`, {
    unchecked: { subject, why },
  });
}

/** Counts for nothing. */
async function tellNote(
  { output }: Context,
  { subject, what }: { readonly subject: string; readonly what: string },
): Promise<void> {
  if (output.quiet && !output.json) return;
  await output.line(`${output.bold("note:")} ${subject}: ${printable(what)}`, {
    note: { subject, what },
  });
}

async function summarize({ output }: Context, tally: Tally, tookMs: number): Promise<void> {
  const { problems, unchecked, seen, waysOut } = tally;
  if (output.quiet && !output.json) return;
  const looked = [
    ...(0 < seen.records ? [`${formatCount(seen.records)} records`] : []),
    plural(seen.files, "file"),
    plural(seen.chunks, "chunk"),
    ...(0 < seen.replicas ? [plural(seen.replicas, "replica")] : []),
    ...(0 < seen.bytes ? [`all copies of ${formatBytes(seen.bytes)} read`] : []),
  ].join(", ");
  const found = verdictOf(tally);
  const left = problems === 0 || unchecked === 0 ? "" : ", not everything could be checked";
  const ways = [...waysOut].map(
    ([fault, way]) => `${FAULTS[fault as keyof typeof FAULTS]}: ${way}`,
  );
  const text = [
    `${output.bold(found)}${left}: ${looked} in ${formatDuration(tookMs)}`,
    ...ways.map((way) => `  ${way}`),
  ].join("\n");
  const elapsedMs = Math.round(tookMs);
  await output.line(text, { summary: { problems, unchecked, ...seen, elapsedMs } });
}

/** Nobody shall read "no problems" where hardly anything was looked at. */
function verdictOf({ problems, unchecked }: Tally): string {
  if (0 < problems) return plural(problems, "problem");
  return unchecked === 0 ? "no problems" : "not everything could be checked";
}
