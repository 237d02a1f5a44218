// Long files while they are written: their chunks are recorded piece by piece, so that no message
// and no command grows with the file. An upload has the number of the inode that it will become,
// and its pages are already the pages of the file.

import { type InodeId, inodeId, type WallMs, wallMs } from "@lumeofs/base";
import { appendToPages, sealChunks } from "./chunk-table.js";
import { DONE, quoted, type Refused, type Reply, refuse, type SealedChunk } from "./command.js";
import { type Content, extendContent, NO_CONTENT } from "./content.js";
import { takeNumber } from "./counters.js";
import { encodeWhole, readFlag, readText, readWhole, writeFlag, writeText } from "./fields.js";
import { type Moment, putOrphan } from "./inodes.js";
import { uploadKey } from "./keys.js";
import type { State, StateView } from "./state.js";

export interface Upload {
  /** Last used. */
  readonly at: WallMs;
  /** Where it will go; for people, the commit names the path again. */
  readonly path: string;
  readonly content: Content;
}

export function beginUpload(state: State, path: string, now: Moment): Reply {
  const upload = inodeId(takeNumber(state, "inode"));
  putUpload(state, upload, { at: now.at, path, content: NO_CONTENT });
  return { kind: "uploadBegun", upload };
}

export function addChunks(
  state: State,
  command: {
    readonly upload: InodeId;
    readonly first: number;
    readonly chunks: readonly SealedChunk[];
  },
  now: Moment,
): Reply {
  const added = growUpload(state, command.upload, command.chunks, command.first);
  if (added.kind === "refused") return added;
  putUpload(state, command.upload, { ...added.upload, at: now.at });
  return DONE;
}

/** Frees what an upload has written; an upload that is not there is no error. */
export function abortUpload(state: State, id: InodeId): void {
  const upload = getUpload(state, id);
  if (upload === undefined) return;
  state.delete(uploadKey(id));
  const { count } = upload.content;
  if (0 < count) putOrphan(state, id, { kind: "file", chunks: count });
}

/** Aborts uploads not used since `unusedSince`. */
export function expireUploads(
  state: State,
  command: { readonly uploads: readonly InodeId[]; readonly unusedSince: WallMs },
): void {
  for (const id of command.uploads) {
    const upload = getUpload(state, id);
    if (upload !== undefined && upload.at <= command.unusedSince) abortUpload(state, id);
  }
}

/** Ends an upload with its last chunks; its pages then belong to the file. */
export function finishUpload(
  state: State,
  id: InodeId,
  chunks: readonly SealedChunk[],
): Content | Refused {
  const grown = growUpload(state, id, chunks, undefined);
  if (grown.kind === "refused") return grown;
  state.delete(uploadKey(id));
  return grown.upload.content;
}

export function getUpload(view: StateView, id: InodeId): Upload | undefined {
  const bytes = view.get(uploadKey(id));
  return bytes === undefined ? undefined : decodeUpload(bytes);
}

export function encodeUpload({ at, path, content }: Upload): Uint8Array {
  return encodeWhole((writer) => {
    writeText(writer.u53(at), path);
    writer.u53(content.count).u53(content.sizeBytes).u32(content.crc32c).u32(content.chunkBytes);
    writeFlag(writer, content.isClosed);
  });
}

export function decodeUpload(bytes: Uint8Array): Upload {
  return readWhole("upload record", bytes, (r) => ({
    at: wallMs(r.u53()),
    path: readText(r),
    content: {
      kind: "content",
      count: r.u53(),
      sizeBytes: r.u53(),
      crc32c: r.u32(),
      chunkBytes: r.u32(),
      isClosed: readFlag(r),
    },
  }));
}

function growUpload(
  state: State,
  id: InodeId,
  chunks: readonly SealedChunk[],
  first: number | undefined,
): { readonly kind: "grown"; readonly upload: Upload } | Refused {
  const upload = getUpload(state, id);
  if (upload === undefined) {
    return refuse("GRANT_EXPIRED", `Cannot continue upload ${id}: it has ended; begin a new one`);
  }
  const { count } = upload.content;
  if (first !== undefined && first !== count) {
    const what = `Cannot add chunks to upload ${id} of ${quoted(upload.path)}`;
    return refuse("CONFLICT", `${what}: the first has position ${first}, expected ${count}`);
  }
  const content = extendContent(upload.content, chunks);
  if (content.kind === "refused") return content;
  const refused = sealChunks(state, chunks, id);
  if (refused !== undefined) return refused;
  appendToPages(
    state,
    id,
    count,
    chunks.map((chunk) => chunk.handle),
  );
  return { kind: "grown", upload: { ...upload, content } };
}

function putUpload(state: State, id: InodeId, upload: Upload): void {
  state.put(uploadKey(id), encodeUpload(upload));
}
