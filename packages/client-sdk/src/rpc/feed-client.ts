// The change feed at one master after the other: proto ⇄ the SDK's words.

import { LumeoError, type Random } from "@lumeofs/base";
import { download } from "@lumeofs/node/rpc";
import { lumeo, NamespaceService } from "@lumeofs/proto";
import type { FeedAsk, FeedMessage, FsEvent, FsEventType, OpenFeed } from "../feed.js";
import { decodeKind } from "./inode-wire.js";
import type { MasterPool } from "./master-pool.js";
import { broken, positive } from "./wire-fields.js";

const { ChangeKind } = lumeo.master.v1;

const KINDS = {
  create: ChangeKind.CHANGE_KIND_CREATE,
  write: ChangeKind.CHANGE_KIND_WRITE,
  delete: ChangeKind.CHANGE_KIND_DELETE,
  rename: ChangeKind.CHANGE_KIND_RENAME,
  attributes: ChangeKind.CHANGE_KIND_ATTRIBUTES,
} as const satisfies Record<FsEventType, lumeo.master.v1.ChangeKind>;

/** Opens the feed: at any master first, and at the next one each time that it is opened again. */
export function feedOpener(masters: MasterPool, random: Random): OpenFeed {
  const { endpoints } = masters;
  let turn = Math.floor(random.fraction() * endpoints.length);
  return (ask, signal) => {
    const address = endpoints[turn % endpoints.length] as string;
    turn++;
    return messages(masters, address, ask, signal);
  };
}

async function* messages(
  masters: MasterPool,
  address: string,
  ask: FeedAsk,
  signal: AbortSignal,
): AsyncGenerator<FeedMessage, void, undefined> {
  const request = encodeAsk(ask);
  const channel = masters.channel(address);
  for await (const message of download(channel, NamespaceService.watch, request, { signal })) {
    yield decodeMessage(message);
  }
  throw new LumeoError("CONNECTION_LOST", `${address} ended the watch`);
}

function encodeAsk({ prefix, since, types }: FeedAsk): lumeo.master.v1.IWatchRequest {
  const kinds = types.map((type) => KINDS[type]);
  return since === "now" ? { prefix, fromNow: true, kinds } : { prefix, since, kinds };
}

function decodeMessage({ changes, revision }: lumeo.master.v1.IWatchResponse): FeedMessage {
  return { events: (changes ?? []).map(decodeChange), revision: revision ?? 0 };
}

function decodeChange(change: lumeo.master.v1.IChange): FsEvent {
  const type = decodeType(change.changeKind);
  return {
    type,
    kind: decodeKind(change.fileKind),
    path: change.path ?? "",
    ...(type === "rename" ? { from: change.fromPath ?? "" } : {}),
    size: change.sizeBytes ?? 0,
    revision: positive(change.revision, "revision of a change"),
    sequence: change.sequence ?? 0,
    at: new Date(change.atMs ?? 0),
  };
}

function decodeType(wire: lumeo.master.v1.ChangeKind | null | undefined): FsEventType {
  for (const type of Object.keys(KINDS) as FsEventType[]) if (KINDS[type] === wire) return type;
  throw broken(`a change of kind ${wire}`);
}
