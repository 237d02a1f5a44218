// stat(): what is known about a file or directory, with where its chunks are if that is wanted.

import type { Call } from "./call.js";
import { CHUNK_PAGE } from "./chunk-map.js";
import { type FileInfo, toFileInfo } from "./file-info.js";
import type { Metadata } from "./metadata.js";
import type { LocatedChunk } from "./operations.js";
import { type StatOptions, versionOf } from "./options.js";
import { directoryPath } from "./path.js";
import { measured } from "./reader.js";
import type { TailReader } from "./tail-reader.js";

export async function statFile(
  parts: { readonly metadata: Metadata; readonly tails: TailReader },
  call: Call,
  path: string,
  options: StatOptions,
): Promise<FileInfo> {
  const { metadata, tails } = parts;
  const version = versionOf(options.version);
  const chunkCountMax = options.chunks === true ? CHUNK_PAGE : 0;
  const ask = { path: directoryPath(path), chunkCountMax, version };
  const chunks: LocatedChunk[] = [];
  for (let revision = 0; ; ) {
    const page = { ...ask, firstChunk: chunks.length, revision };
    const answer = await measured(call, tails, () => metadata.query(call, "stat", page));
    chunks.push(...answer.chunks);
    revision = answer.info.revision;
    const isAll = answer.info.chunkCount <= chunks.length || answer.chunks.length === 0;
    if (chunkCountMax !== 0 && !isAll) continue;
    const wanted = chunkCountMax === 0 ? undefined : chunks;
    return toFileInfo(answer.info, wanted, call.freshness, answer.tail);
  }
}
