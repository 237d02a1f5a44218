// Whether the whole cluster fits together: names and chunks in the metadata, chunks and replicas on
// the servers, and, if that is wished, the bytes of every replica. Nothing is changed.
//
// What is checked may change meanwhile. The metadata is audited by a master, at one revision; what
// seems wrong with a replica is looked at again before it is told (replica-audit.ts).

import { crc32cCombine } from "@lumeofs/base";
import { LumeoError, toPublic } from "../error.js";
import type { FileInfo } from "../file-info.js";
import type { Healing } from "../healing.js";
import type { RunCall } from "../metadata-runner.js";
import type { CallOptions } from "../options.js";
import type { Ports } from "../ports.js";
import type { AuditClient } from "../rpc/audit-client.js";
import { type FsckEvent, type FsckFinding, wayOut } from "./finding.js";
import { ReplicaAudit } from "./replica-audit.js";
import { type AuditedChunk, type AuditSource, NAMED_MAX } from "./source.js";
import { auditTails } from "./tail-audit.js";
import type { TailCheckParts } from "./verify-tail.js";

/** What a check looks at. */
export interface FsckOptions extends CallOptions {
  /** Only what is at this path and below. Then nothing is said of what no file has. */
  readonly path?: string;
  /** Also has every replica read from its disk. */
  readonly bytes?: boolean;
  /** How long a replica that nobody needs may take to go before it is called an orphan. */
  readonly patienceMs?: number;
}

export interface FsckParts {
  readonly run: RunCall;
  readonly client: AuditClient;
  readonly healing: Healing;
  readonly ports: Ports;
  readonly tails: TailCheckParts;
  readonly stat: (
    path: string,
    options: CallOptions & { readonly chunks?: boolean },
  ) => Promise<FileInfo>;
  /** All files at a path and below. */
  readonly files: (path: string, options: CallOptions) => AsyncIterable<FileInfo>;
}

const STEP = { idempotent: true, limitMs: () => Infinity } as const;
const CHUNKS_PAGE = 1_000;
/** Findings that get their paths together. */
const NAMED_TOGETHER = 500;
/** Each look for paths walks all names: after so many, findings come without. */
const LOOKS_MAX = 4;

type Events = AsyncGenerator<FsckEvent, void, undefined>;

/** Runs one check, and tells as it goes. */
export async function* fsck(parts: FsckParts, options: FsckOptions): Events {
  const { bytes = false, patienceMs, path } = options;
  const audit = new ReplicaAudit(sourceOf(parts, options), { bytes, patienceMs });
  try {
    if (path === undefined) {
      yield* names(parts, options);
      yield* named(parts, options, audit);
    }
    // First: a file that is being appended to, and stuck, cannot even be looked up.
    yield* auditTails(parts, { call: callOf(options), path, bytes });
    if (path !== undefined) yield* below(parts, options, path, audit);
  } catch (error) {
    throw error instanceof LumeoError ? error : toPublic(error, path, 1);
  }
}

async function* names({ client }: FsckParts, options: FsckOptions): Events {
  const signal = options.signal ?? new AbortController().signal;
  for await (const { findings, ...counts } of client.names(signal)) {
    for (const { fault, path, handle, what } of findings) {
      const about = { path: path === "" ? undefined : path, handle: handle || undefined };
      const more = { server: undefined, what, wayOut: wayOut(fault, handle) };
      yield { kind: "finding", finding: { fault, ...about, ...more } };
    }
    const progress = { phase: "names", ...counts, replicas: 0, bytes: 0 } as const;
    yield { kind: "progress", progress };
  }
}

/** What the audit of the replicas tells, with the paths of the files that it is about. */
async function* named(parts: FsckParts, options: FsckOptions, audit: ReplicaAudit): Events {
  const signal = options.signal ?? new AbortController().signal;
  let waiting: FsckFinding[] = [];
  let looks = 0;
  async function* tell(): Events {
    const contents = waiting.flatMap((finding) => audit.contentOf.get(finding) ?? []);
    const isLooked = 0 < contents.length && looks++ < LOOKS_MAX;
    const paths = isLooked ? await parts.client.places([...new Set(contents)], signal) : NO_PATHS;
    for (const finding of waiting) {
      const path = paths.get(audit.contentOf.get(finding) ?? 0);
      yield { kind: "finding", finding: { ...finding, path } };
    }
    waiting = [];
  }
  for await (const event of audit.run()) {
    if (event.kind !== "finding") yield event;
    else waiting.push(event.finding);
    if (NAMED_TOGETHER <= waiting.length) yield* tell();
  }
  yield* tell();
}

const NO_PATHS: ReadonlyMap<number, string> = new Map();

/** Only files at a path and below, one after the other. */
async function* below(
  parts: FsckParts,
  options: FsckOptions,
  path: string,
  audit: ReplicaAudit,
): Events {
  const source = sourceOf(parts, options);
  let files = 0;
  /** Files that have not been looked at, by their chunks; copies of a file share these. */
  let owners = new Map<number, FileInfo[]>();
  let waiting = 0;
  async function* look(): Events {
    const handles = [...owners.keys()];
    for (let at = 0; at < handles.length; at += NAMED_MAX) {
      const some = handles.slice(at, at + NAMED_MAX);
      const known = await source.named(some);
      for (const handle of some) {
        if (known.has(handle)) continue;
        for (const file of owners.get(handle) ?? []) {
          if (await isStill(parts, file, options)) yield unknownChunk(file, handle);
        }
      }
      yield* withPaths(audit.check([...known.values()]), { owners, files });
    }
    owners = new Map();
    waiting = 0;
  }
  await audit.begin();
  for await (const listed of parts.files(path, options)) {
    const file = await statNow(parts, listed.path, options);
    if (file === undefined) continue;
    files++;
    yield* wrongList(file);
    for (const { handle } of file.chunks ?? []) {
      const some = owners.get(handle) ?? [];
      if (some.length === 0) owners.set(handle, some);
      if (some.at(-1) !== file) some.push(file);
    }
    if (NAMED_MAX <= Math.max(owners.size, ++waiting)) yield* look();
  }
  yield* look();
  yield* audit.end();
}

/** A finding for each file that has the chunk. */
async function* withPaths(
  events: Events,
  about: {
    readonly owners: ReadonlyMap<number, readonly FileInfo[]>;
    readonly files: number;
  },
): Events {
  const { owners, files } = about;
  for await (const event of events) {
    if (event.kind === "finding") {
      const { finding } = event;
      for (const { path } of owners.get(finding.handle ?? 0) ?? []) {
        yield { kind: "finding", finding: { ...finding, path } };
      }
    } else if (event.kind === "progress") {
      yield { kind: "progress", progress: { ...event.progress, files } };
    } else {
      yield event;
    }
  }
}

/** Undefined if it is not there any more. */
async function statNow(
  { stat }: FsckParts,
  path: string,
  options: FsckOptions,
): Promise<FileInfo | undefined> {
  try {
    const file = await stat(path, { ...callOf(options), chunks: true });
    return file.kind === "file" ? file : undefined;
  } catch (error) {
    if (LumeoError.is(error, "LUMEO_NOT_FOUND")) return undefined;
    if (LumeoError.is(error, "LUMEO_NOT_DIRECTORY")) return undefined;
    throw error;
  }
}

async function isStill(parts: FsckParts, file: FileInfo, options: FsckOptions): Promise<boolean> {
  return (await statNow(parts, file.path, options))?.revision === file.revision;
}

/** A file whose chunks do not add up to it. */
function* wrongList(file: FileInfo): Generator<FsckEvent, void, void> {
  let [length, crc32c] = [0, 0];
  for (const chunk of file.chunks ?? []) {
    length += chunk.length;
    crc32c = crc32cCombine(crc32c, Number.parseInt(chunk.crc32c, 16), chunk.length);
  }
  const count = file.chunks?.length ?? 0;
  const said = file.checksum?.value;
  const is = crc32c.toString(16).padStart(8, "0");
  const size = file.size - (file.tail?.length ?? 0); // what is being appended is in no chunk yet
  const wrong = [
    ...(count === (file.chunkCount ?? 0) ? [] : [`it has ${count} chunks, not ${file.chunkCount}`]),
    ...(length === size ? [] : [`its chunks have ${length} bytes, expected ${size}`]),
    ...(said === undefined || said === is ? [] : [`their checksum is ${is}, expected ${said}`]),
  ];
  for (const what of wrong) yield ofFile(file, "chunkList", what, undefined);
}

function unknownChunk(file: FileInfo, handle: number): FsckEvent {
  return ofFile(file, "chunkRecord", "it is not known", handle);
}

function ofFile(
  { path }: FileInfo,
  fault: "chunkList" | "chunkRecord",
  what: string,
  handle: number | undefined,
): FsckEvent {
  const finding = { fault, path, handle, server: undefined, what, wayOut: wayOut(fault, handle) };
  return { kind: "finding", finding };
}

function callOf({ path: _path, bytes: _bytes, patienceMs: _patience, ...call }: FsckOptions) {
  return call;
}

/** Each question is a call of its own, repeated like any other. */
function sourceOf({ run, client, healing, ports }: FsckParts, options: FsckOptions): AuditSource {
  const call = callOf(options);
  const chunks = (window: Parameters<AuditClient["chunks"]>[0]) =>
    run("fsck.chunks", undefined, call, (one) => one.run(STEP, () => client.chunks(window, one)));
  return {
    async servers() {
      const { nodes } = await healing.nodes(call);
      return nodes.map(({ serverId, name, state, lost }) => {
        return { id: serverId, name, isAlive: state === "alive", isLost: lost };
      });
    },
    chunks: (after) => chunks({ after, limit: CHUNKS_PAGE }),
    async named(handles): Promise<ReadonlyMap<number, AuditedChunk>> {
      if (handles.length === 0) return new Map();
      return new Map((await chunks({ handles })).chunks.map((one) => [one.handle, one]));
    },
    // A server that does not answer is the caller's to judge: no patience here.
    replicas: (serverId, after, limit) =>
      run("fsck.replicas", undefined, call, (one) =>
        client.replicas({ serverId, after, limit }, one),
      ),
    held: (serverId, handles) =>
      run("fsck.replicas", undefined, call, (one) => client.held(serverId, handles, one)),
    judge: (server, replicas) =>
      run("fsck.judge", undefined, call, (one) =>
        one.run(STEP, () => client.judge(server, replicas, one)),
      ),
    read: (handles) =>
      run("fsck.read", undefined, call, (one) => one.run(STEP, () => client.read(handles, one))),
    pause: (ms) => run("fsck.pause", undefined, call, (one) => one.pause(ms)),
    nowMs: () => ports.clock.monotonicMs(),
  };
}
