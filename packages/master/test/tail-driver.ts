// Appends in tests, as far as the masters see them: tails are opened, and sealed with a content.

import {
  type ChunkHandle,
  crc32c,
  type Epoch,
  epoch,
  type ServerId,
  serverId,
} from "@lumeofs/base";
import type { Reply, TailCommand } from "../src/metadata/command.js";
import { getTail } from "../src/metadata/tail-table.js";
import type { MetadataDriver } from "./metadata-driver.js";

export type OpenTail = Extract<TailCommand, { kind: "openTail" }>;

export function openTailOf(path: string, more: Partial<OpenTail> = {}): OpenTail {
  return {
    kind: "openTail",
    path,
    create: true,
    makeParents: false,
    replicas: 3,
    members: servers(1, 2, 3),
    ...more,
  };
}

/** The handle of the tail of a path. */
export function openTail(m: MetadataDriver, path: string, more?: Partial<OpenTail>): ChunkHandle {
  const reply = m.apply(openTailOf(path, more));
  if (reply.kind !== "tailOpened") throw new Error(JSON.stringify(reply));
  return reply.handle;
}

/** Seals under the newest epoch, or the one that is given. */
export function sealTail(
  m: MetadataDriver,
  handle: ChunkHandle,
  content: Uint8Array,
  under?: Epoch,
): Reply {
  const newest = getTail(m.state, handle)?.authority.newest.epoch ?? epoch(1);
  return m.apply({
    kind: "sealTail",
    handle,
    epoch: under ?? newest,
    chunkEpoch: under ?? newest,
    lengthBytes: content.byteLength,
    crc32c: crc32c(content),
  });
}

/** Opens a tail, and seals it with a content. */
export function append(m: MetadataDriver, path: string, content: Uint8Array): ChunkHandle {
  const handle = openTail(m, path);
  const reply = sealTail(m, handle, content);
  if (reply.kind !== "done") throw new Error(JSON.stringify(reply));
  return handle;
}

export function servers(...ids: readonly number[]): readonly ServerId[] {
  return ids.map(serverId);
}
