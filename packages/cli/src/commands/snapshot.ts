// Directories as they once were.

import type { FileInfo, SnapshotInfo } from "@lumeofs/client";
import type { Client } from "../client.js";
import type { Context } from "../context.js";
import { forEach } from "../each.js";
import { entryName } from "../entry-view.js";
import { EXIT, type ExitStatus, exitStatusOfMany } from "../exit-status.js";
import { nameBelow, parseRemotePath } from "../remote-path.js";
import { transfer } from "../transfer.js";
import { copyJobs } from "./cp.js";
import { findRemote } from "./mv.js";

/** Keeps a directory with all that is below as it is now. */
export async function snapshotCreate(
  context: Context,
  text: string,
  name: string,
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const client = await context.client();
  const snapshot = await client.snapshots.create(path, name, context.call);
  context.output.result(`Kept as ${snapshot.path}`, snapshotJson(snapshot));
  return EXIT.ok;
}

/** Shows the snapshots of a directory. */
export async function snapshotList(context: Context, text: string): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const client = await context.client();
  for await (const snapshot of client.snapshots.list(path, context.call)) {
    const time = snapshot.createdAt.toISOString().replace("T", " ").slice(0, 19);
    await context.output.line(`${time}  ${snapshot.path}`, snapshotJson(snapshot));
  }
  return EXIT.ok;
}

/** Gives snapshots up. */
export async function snapshotRemove(
  context: Context,
  text: string,
  names: readonly string[],
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const { output, call } = context;
  const client = await context.client();
  return forEach(context, names, async (name) => {
    await client.snapshots.remove(path, name, call);
    if (output.json) output.result("", { directory: path, name, removed: true });
  });
}

/** Copies a snapshot to a place where nothing is; the content is shared, no bytes move. */
export async function snapshotRestore(
  context: Context,
  text: string,
  name: string,
  target: string,
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const to = parseRemotePath(target).path;
  const { output, signal, settings, call } = context;
  const client = await context.client();
  if ((await findRemote(client, to, call)) !== "nothing") {
    output.error(Object.assign(new Error(`Cannot restore to "${to}": it is there`), EXISTS));
    return EXIT.conflict;
  }
  const source = snapshotPath(path, name);
  const jobs = copyJobs(context, client, { source, to }, { recursive: true, clobber: false });
  const tally = await transfer(jobs, {
    concurrency: settings.concurrency,
    signal,
    onFailure: (error, action) => output.error(error, action),
  });
  return exitStatusOfMany(tally);
}

const EXISTS = { code: "LUMEO_EXISTS" };

/** What differs between two snapshots, or one and now: exit code 0 if nothing, 1 if something. */
export async function snapshotDiff(
  context: Context,
  text: string,
  names: { readonly from: string; readonly to: string | undefined },
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const client = await context.client();
  const before = entriesBelow(context, client, snapshotPath(path, names.from));
  const to = names.to === undefined ? path : snapshotPath(path, names.to);
  const after = entriesBelow(context, client, to);
  let differences = 0;
  for await (const { name, sign, entry } of merged(before, after)) {
    differences++;
    const line = `${sign} ${entryName(entry, name)}`;
    await context.output.line(line, { change: CHANGES[sign], name, kind: entry.kind });
  }
  return differences === 0 ? EXIT.ok : EXIT.failed;
}

const CHANGES = { "+": "added", "-": "removed", "~": "changed" } as const;

interface Named {
  readonly name: string;
  readonly entry: FileInfo;
}

/** Everything below, each directory right before what is in it. */
async function* entriesBelow(
  context: Context,
  client: Client,
  root: string,
): AsyncGenerator<Named> {
  for await (const entry of client.list(root, { ...context.call, recursive: true })) {
    yield { name: nameBelow(root, entry.path), entry };
  }
}

/** Two listings side by side, in their common order. */
async function* merged(
  before: AsyncGenerator<Named>,
  after: AsyncGenerator<Named>,
): AsyncGenerator<Named & { readonly sign: keyof typeof CHANGES }> {
  let left = await next(before);
  let right = await next(after);
  while (left !== undefined || right !== undefined) {
    const order = compareNames(left, right);
    if (order === 0 && left !== undefined && right !== undefined) {
      if (isChanged(left.entry, right.entry)) yield { ...right, sign: "~" };
      left = await next(before);
      right = await next(after);
    } else if (order < 0 && left !== undefined) {
      yield { ...left, sign: "-" };
      left = await next(before);
    } else if (right !== undefined) {
      yield { ...right, sign: "+" };
      right = await next(after);
    }
  }
}

async function next(entries: AsyncGenerator<Named>): Promise<Named | undefined> {
  const { done, value } = await entries.next();
  return done === true ? undefined : value;
}

/** The order of a recursive listing: name by name, by their UTF-8 bytes. */
function compareNames(left: Named | undefined, right: Named | undefined): number {
  if (left === undefined) return 1;
  if (right === undefined) return -1;
  const [a, b] = [left.name.split("/"), right.name.split("/")];
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = Buffer.compare(Buffer.from(a[i] ?? ""), Buffer.from(b[i] ?? ""));
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function isChanged(before: FileInfo, after: FileInfo): boolean {
  if (before.kind !== after.kind) return true;
  return before.kind === "file" && before.etag !== after.etag;
}

function snapshotPath(directory: string, name: string): string {
  return `${directory === "/" ? "" : directory}/.snapshot/${name}`;
}

function snapshotJson({ createdAt, ...snapshot }: SnapshotInfo): object {
  return { ...snapshot, createdAt: createdAt.toISOString() };
}
