// Operations on what was: trash, versions, snapshots, and copies out of them.
//
// What a name led to in the past takes a walk through history, which apply never does. So the
// leader looks it up and proposes what it found; apply refuses that if it is gone by then.

import { LumeoError } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { MetadataLog } from "../duties/metadata-log.js";
import type { Command, Refused, Reply, RequestId } from "../metadata/command.js";
import { nameOf } from "../metadata/keys.js";
import {
  listAt,
  snapshotsPage,
  statAt,
  trashPage,
  versionsPage,
} from "../metadata/past-queries.js";
import { parseReadPath } from "../metadata/path.js";
import { bytesOfListed, entryPage, PAGE_BYTES_MAX } from "../metadata/queries.js";
import { decodeReply } from "../metadata/reply-codec.js";
import { admit } from "../metadata/sessions.js";
import type { StateReader } from "../metadata/state.js";
import { encodeInode, encodeKind, encodeUsage } from "./inode-wire.js";
import { encodeListing, type PackedListing, packEntries, packListing } from "./listing-wire.js";
import type { Operation } from "./operation-wire.js";
import type { Answer } from "./operations.js";
import { errorOf } from "./wire.js";

type OperationOf<Kind extends Operation["kind"]> = Extract<Operation, { kind: Kind }>;

/** Entries of a directory, of now or of a snapshot. */
export async function list(
  state: StateReader,
  operation: OperationOf<"list">,
): Promise<Pick<Answer, "listing">> {
  const path = parseReadPath(operation.path);
  if (path.kind === "refused") throw errorOf(path);
  if (operation.isPacked && path.kind === "path")
    return { listing: await listNow(state, operation) };
  let page = await listAt(state, operation);
  // Where all of a page vanished while it was read, the caller would not know how to go on.
  while (page.kind === "page" && page.entries.length === 0 && page.hasMore) {
    page = await listAt(state, { ...operation, after: page.last });
  }
  if (page.kind === "refused") throw errorOf(page);
  return { listing: operation.isPacked ? packListing(page) : encodeListing(page) };
}

/** The same of now, packed: nearly all listings are. */
async function listNow(state: StateReader, operation: OperationOf<"list">): Promise<PackedListing> {
  for (let { after } = operation; ; ) {
    const page = await entryPage(state, { ...operation, after });
    if (page.kind === "refused") throw errorOf(page);
    const listing = packEntries(state, page);
    const last = page.pairs.at(-1);
    if (0 < listing.packed.rows.byteLength || !page.hasMore || last === undefined) return listing;
    after = nameOf(last[0]); // all of the page has vanished
  }
}

/** What is in the trash, oldest first. */
export async function listTrash(
  state: StateReader,
  operation: OperationOf<"listTrash">,
): Promise<Pick<Answer, "trash">> {
  const { found, hasMore } = await trashPage(state, operation);
  const items = found.map((item): lumeo.master.v1.ITrashItem => {
    return {
      id: item.id,
      path: item.path,
      kind: encodeKind(item.kind),
      removedAtMs: item.at,
      expiresAtMs: item.expiresAt,
      usage: encodeUsage(item.usage),
    };
  });
  return { trash: { items, more: hasMore } };
}

/** Earlier contents of a file, newest first. */
export async function listVersions(
  state: StateReader,
  operation: OperationOf<"listVersions">,
): Promise<Pick<Answer, "versions">> {
  const page = await versionsPage(state, operation);
  if (page.kind === "refused") throw errorOf(page);
  const { path } = operation;
  const versions: lumeo.master.v1.IFileInfo[] = [];
  let bytes = 0;
  for (const { id, inode } of page.found) {
    if (PAGE_BYTES_MAX <= bytes) return { versions: { versions, more: true } };
    versions.push(encodeInode(path, id, inode));
    bytes += bytesOfListed({ path, inode });
  }
  return { versions: { versions, more: page.hasMore } };
}

/** Snapshots of a directory, by name. */
export async function listSnapshots(
  state: StateReader,
  operation: OperationOf<"listSnapshots">,
): Promise<Pick<Answer, "snapshots">> {
  const page = await snapshotsPage(state, operation);
  if (page.kind === "refused") throw errorOf(page);
  const { path } = operation;
  const snapshots = page.found.map(({ name, revision, at }) => {
    return { path, name, revision, createdAtMs: at };
  });
  return { snapshots: { snapshots, more: page.hasMore } };
}

/** Makes a file that shares the content of another, of an earlier version, or of a snapshot. */
export async function copy(
  log: MetadataLog,
  { wish, request }: OperationOf<"copy">,
): Promise<Pick<Answer, "file">> {
  const { version, ...plain } = wish;
  const source = parseReadPath(plain.source);
  if (source.kind === "refused") throw errorOf(source);
  let command: Command = { ...plain, sourceInode: undefined };
  if (version !== 0 || source.kind === "snapshotPath") {
    const state = await log.read();
    const asked = { path: plain.source, version: version === 0 ? undefined : version };
    const found = await statAt(state, asked);
    if (found.kind === "refused") return copied(plain.target, answered(log, request, found));
    command = { ...plain, sourceInode: found.id };
  }
  return copied(plain.target, await log.change(command, request));
}

/** Frees an earlier content of a file. */
export async function removeVersion(
  log: MetadataLog,
  { path, version, request }: OperationOf<"removeVersion">,
): Promise<Pick<Answer, "done">> {
  const state = await log.read();
  const page = await versionsPage(state, { path, before: version + 1, countMax: 1 });
  const [found] = page.kind === "page" ? page.found : [];
  if (page.kind === "refused" || found?.version !== version) {
    const why = `Cannot remove version ${version} of ${JSON.stringify(path)}: there is none`;
    const missing: Refused = { kind: "refused", code: "NOT_FOUND", message: why };
    return done(answered(log, request, page.kind === "refused" ? page : missing));
  }
  const { ended } = found;
  return done(await log.change({ kind: "removeVersion", path, version, ended }, request));
}

/**
 * The first answer to a request that was answered before: then what it asked for may be gone
 * because it has taken effect.
 */
function answered(log: MetadataLog, request: RequestId, otherwise: Refused): Reply {
  const admission = admit(log.local, request);
  return admission.kind === "answered" ? decodeReply(admission.reply) : otherwise;
}

function copied(target: string, reply: Reply): Pick<Answer, "file"> {
  if (reply.kind === "refused") throw errorOf(reply);
  if (reply.kind !== "inode") throw unexpected("copy", reply);
  return { file: encodeInode(target, reply.inode, reply.node) };
}

function done(reply: Reply): Pick<Answer, "done"> {
  if (reply.kind === "refused") throw errorOf(reply);
  if (reply.kind !== "done") throw unexpected("removeVersion", reply);
  return { done: {} };
}

function unexpected(command: string, reply: Reply): LumeoError {
  return new LumeoError("INTERNAL", `Command ${command} was answered by ${reply.kind}`);
}
