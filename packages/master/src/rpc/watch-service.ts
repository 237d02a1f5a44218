// The change feed for clients: NamespaceService.Watch, at any master.

import { LumeoError } from "@lumeofs/base";
import { type RpcMethod, serveDownload } from "@lumeofs/node/rpc";
import { lumeo, NamespaceService } from "@lumeofs/proto";
import type { ChangeFeed, FeedPage, FeedRequest } from "../feed/change-feed.js";
import type { ChangeKind, FeedChange } from "../metadata/changes.js";
import { parsePath } from "../metadata/path.js";
import { errorOf } from "./wire.js";

const { ChangeKind: Wire, FileKind } = lumeo.master.v1;

const KINDS = {
  create: Wire.CHANGE_KIND_CREATE,
  write: Wire.CHANGE_KIND_WRITE,
  delete: Wire.CHANGE_KIND_DELETE,
  rename: Wire.CHANGE_KIND_RENAME,
  attributes: Wire.CHANGE_KIND_ATTRIBUTES,
} as const satisfies Record<ChangeKind, lumeo.master.v1.ChangeKind>;

const FILE_KINDS = {
  file: FileKind.FILE_KIND_FILE,
  directory: FileKind.FILE_KIND_DIRECTORY,
} as const;

export function watchMethods(feed: ChangeFeed): readonly RpcMethod[] {
  return [
    serveDownload(NamespaceService.watch, async function* (wire, { signal }) {
      const request = decodeWatch(wire);
      for await (const page of feed.follow(request, signal)) yield encodePage(page);
    }),
  ];
}

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeWatch(wire: lumeo.master.v1.IWatchRequest): FeedRequest {
  const prefix = parsePath(wire.prefix ?? "");
  if (prefix.kind === "refused") throw errorOf(prefix);
  const kinds = (wire.kinds ?? []).map(decodeKind);
  return {
    prefix,
    since: wire.fromNow === true ? "now" : (wire.since ?? 0),
    kinds: kinds.length === 0 ? undefined : new Set(kinds),
  };
}

export function encodePage({ changes, revision }: FeedPage): lumeo.master.v1.IWatchResponse {
  return { changes: changes.map(encodeChange), revision };
}

function decodeKind(wire: lumeo.master.v1.ChangeKind): ChangeKind {
  for (const kind of Object.keys(KINDS) as ChangeKind[]) if (KINDS[kind] === wire) return kind;
  throw new LumeoError("INVALID_ARGUMENT", `Cannot watch for changes of kind ${wire}: unknown`);
}

function encodeChange({ revision, sequence, at, change }: FeedChange): lumeo.master.v1.IChange {
  return {
    revision,
    sequence,
    changeKind: KINDS[change.kind],
    fileKind: FILE_KINDS[change.file],
    path: change.path,
    ...(change.kind === "rename" ? { fromPath: change.from } : {}),
    sizeBytes: change.sizeBytes,
    atMs: at,
  };
}
