// Every replica of files, read to the last byte.

import type { FileInfo, VerifiedChunk, VerifiedReplica } from "@lumeofs/client";
import type { Client } from "../client.js";
import type { Context } from "../context.js";
import { codeOf, EXIT, type ExitStatus, exitStatusOf, stopsTheRest } from "../exit-status.js";
import { formatBytes, formatDuration, formatRate, plural, printable } from "../format.js";
import { startStatus } from "../progress.js";
import { parseRemotePath } from "../remote-path.js";

export interface VerifyCommandOptions {
  readonly recursive?: boolean;
}

interface Tally {
  files: number;
  chunks: number;
  replicas: number;
  bytes: number;
  bad: number;
  unknown: number;
  unfit: number;
  /** Paths that could not be looked at. */
  failed: number;
  /** Of a path that is not there, or is a directory without -r. */
  wrong: ExitStatus | undefined;
  current: string;
}

/** A file is there twice in a tree that changes: its new content is another file. */
const RESTARTS_MAX = 3;

/** Exit code 0 if all replicas are intact, 1 if some are not, 2 if some could not be read. */
export async function verify(
  context: Context,
  paths: readonly string[],
  { recursive = false }: VerifyCommandOptions,
): Promise<ExitStatus> {
  const { output, clock } = context;
  const parsed = paths.map((path) => parseRemotePath(path).path);
  const client = await context.client();
  const tally = newTally();
  const began = clock.monotonicMs();
  const elapsedMs = (): number => clock.monotonicMs() - began;
  const stopStatus = startStatus(context, () => viewOf(tally, elapsedMs()));
  for (const path of parsed) {
    try {
      for await (const file of filesAt(client, path, context, recursive)) {
        tally.current = file;
        await verifyFile(context, client, tally, file);
      }
    } catch (error) {
      if (context.signal.aborted) throw error;
      const status = exitStatusOf(codeOf(error));
      output.error(error);
      tally.failed++;
      tally.wrong ??= status;
      if (stopsTheRest(status)) break;
    }
  }
  stopStatus();
  await summarize(context, tally, elapsedMs());
  if (0 < tally.bad + tally.unfit) return EXIT.failed;
  if (tally.files === 0 && tally.failed === 1) return tally.wrong ?? EXIT.incomplete;
  return 0 < tally.unknown + tally.failed ? EXIT.incomplete : EXIT.ok;
}

function newTally(): Tally {
  const counts = { files: 0, chunks: 0, replicas: 0, bytes: 0, bad: 0, unknown: 0, failed: 0 };
  return { ...counts, unfit: 0, wrong: undefined, current: "" };
}

async function* filesAt(
  client: Client,
  path: string,
  { call, signal }: Context,
  isRecursive: boolean,
): AsyncGenerator<string, void, undefined> {
  const found: FileInfo = await client.stat(path, call);
  // A directory without -r is refused by whoever verifies it.
  if (found.kind === "file" || !isRecursive) {
    yield path;
    return;
  }
  for await (const entry of client.list(path, { signal, recursive: true })) {
    if (entry.kind === "file") yield entry.path;
  }
}

async function verifyFile(
  context: Context,
  client: Client,
  tally: Tally,
  path: string,
): Promise<void> {
  const onProgress = (bytes: number): void => {
    tally.bytes += bytes;
  };
  for (let restarts = 0; ; restarts++) {
    try {
      const options = { signal: context.signal, onProgress };
      for await (const chunk of client.audits.verify(path, options)) {
        await tellChunk(context, tally, chunk);
      }
      tally.files++;
      return;
    } catch (error) {
      const code = codeOf(error);
      // Removed while the tree is walked: there is nothing left to verify.
      if (code === "LUMEO_NOT_FOUND" && 0 < tally.files) return;
      if (code !== "LUMEO_CONFLICT" || RESTARTS_MAX <= restarts) throw error;
    }
  }
}

async function tellChunk({ output }: Context, tally: Tally, chunk: VerifiedChunk): Promise<void> {
  const { path, index, handle, replicas, isGrowing } = chunk;
  tally.chunks++;
  tally.replicas += replicas.length;
  const faulty = replicas.filter(({ finding }) => finding !== "intact");
  tally.bad += replicas.filter(({ finding }) => finding === "bad").length;
  tally.unknown += replicas.filter(({ finding }) => finding === "unknown").length;
  tally.unfit += replicas.filter(({ finding }) => finding === "unfit").length;
  if (output.json) return output.line("", chunk);
  for (const replica of faulty) {
    const title = output.bold(`${TITLES[replica.finding]}:`);
    const number = `number ${index}${isGrowing ? ", growing" : ""}`;
    const where = `${printable(path)}, chunk ${handle} (${number}), on ${replica.server}`;
    await output.line(`${title} ${where}: ${printable(whyOf(replica))}`, {});
  }
}

const TITLES: Readonly<Record<VerifiedReplica["finding"], string>> = {
  intact: "intact",
  bad: "damaged",
  unknown: "not read",
  unfit: "does not fit",
};

function whyOf({ why }: VerifiedReplica): string {
  return why === "" ? "nothing is known" : why;
}

function viewOf({ files, bytes, bad, current }: Tally, elapsedMs: number) {
  const found = bad === 0 ? "" : `, ${bad} damaged`;
  const speed = `${formatBytes(bytes)}, ${formatRate(bytes, elapsedMs)}`;
  const text = `verified: ${plural(files, "file")}, ${speed}${found}; ${printable(current)}`;
  return { text, value: { files, bytes, bad, path: current, elapsedMs: Math.round(elapsedMs) } };
}

async function summarize({ output }: Context, tally: Tally, tookMs: number): Promise<void> {
  const { files, chunks, replicas, bytes, bad, unknown, unfit, failed } = tally;
  const elapsedMs = Math.round(tookMs);
  const summary = { files, chunks, replicas, bytes, bad, unknown, unfit, failed, elapsedMs };
  if (output.json) return output.line("", { summary });
  if (output.quiet) return;
  const faults = [
    ...(bad === 0 ? [] : [`${plural(bad, "replica")} damaged (being made again: lumeo job ls)`]),
    ...(unfit === 0 ? [] : [`${plural(unfit, "parity unit")} that would give nothing back`]),
    ...(unknown === 0 ? [] : [`${plural(unknown, "replica")} could not be read`]),
    ...(failed === 0 ? [] : [`${plural(failed, "path")} could not be looked at`]),
  ];
  const found = faults.length === 0 ? "all intact" : faults.join(", ");
  const looked = [plural(files, "file"), plural(chunks, "chunk"), plural(replicas, "replica")].join(
    ", ",
  );
  const speed = `${formatBytes(bytes)} in ${formatDuration(tookMs)}, ${formatRate(bytes, tookMs)}`;
  await output.line(`${output.bold(found)}: ${looked}, ${speed}`, {});
}
