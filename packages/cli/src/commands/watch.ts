import { FS_EVENT_TYPES, type FsEvent, type FsEventType } from "@lumeofs/client";
import { parseCount, UsageError } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { printable } from "../format.js";
import { Interrupted } from "../interruption.js";
import { parseRemotePath } from "../remote-path.js";

export interface WatchOptions {
  readonly since?: string;
  readonly events?: string;
  readonly limit?: string;
}

const TYPE_WIDTH = Math.max(...FS_EVENT_TYPES.map((type) => type.length));

/** Prints what changes at a path and below, one event a line, until it is interrupted. */
export async function watch(
  context: Context,
  text: string,
  options: WatchOptions,
): Promise<ExitStatus> {
  const { output, signal } = context;
  const { path } = parseRemotePath(text);
  const since = parseSince(options.since ?? "now");
  const types = options.events === undefined ? FS_EVENT_TYPES : parseTypes(options.events);
  const limit = parseCount(
    options.limit ?? String(Number.MAX_SAFE_INTEGER),
    1,
    Number.MAX_SAFE_INTEGER,
  );
  const client = await context.client();
  // Once it runs it waits for masters as long as it takes; a wrong address is to be said at once.
  await client.clusterStatus(context.call);
  await using changes = client.watch(path, { since, types, signal });
  try {
    const begin = await changes.ready();
    output.note(`Watching ${printable(path)} after revision ${begin}`);
    let count = 0;
    for await (const event of changes) {
      await output.line(eventLine(event), eventJson(event));
      if (++count === limit) break;
    }
    return EXIT.ok;
  } catch (error) {
    if (!(signal.reason instanceof Interrupted) || changes.revision === undefined) throw error;
    const again = `lumeo watch ${path} --since ${changes.revision}`;
    output.note(`Stopped; "${printable(again)}" goes on behind what was printed`);
    return signal.reason.status;
  }
}

function eventLine(event: FsEvent): string {
  const { at, type, path, from } = event;
  const mark = event.kind === "dir" ? "/" : "";
  const name = `${printable(path)}${mark}`;
  const names = from === undefined ? name : `${printable(from)}${mark} -> ${name}`;
  const time = at.toISOString().replace("T", " ").slice(0, 19);
  return `${time}  ${String(event.revision)}  ${type.padEnd(TYPE_WIDTH)}  ${names}`;
}

function eventJson(event: FsEvent): object {
  const { revision, sequence, type, kind, path, from, size, at } = event;
  const origin = from === undefined ? {} : { from };
  return { revision, sequence, type, kind, path, ...origin, size, at: at.toISOString() };
}

function parseSince(text: string): number | "now" {
  return text === "now" ? "now" : parseCount(text, 0, Number.MAX_SAFE_INTEGER);
}

function parseTypes(text: string): readonly FsEventType[] {
  return text.split(",").map((name) => {
    const type = FS_EVENT_TYPES.find((one) => one === name.trim());
    if (type !== undefined) return type;
    throw new UsageError(`"${name}" is not an event: ${FS_EVENT_TYPES.join(", ")}`);
  });
}
