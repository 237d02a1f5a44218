// Changing a file somewhere in its middle, or its length: a new content that has the chunks of the
// old one where nothing changed, and new ones where something did. It takes the place of the old
// content in one step, if that is still what the writer began from; versions and snapshots keep the
// old one as with any other commit.

import {
  CHUNK_BYTES_DEFAULT,
  type ChunkHandle,
  crc32cCombine,
  inodeId,
  invariant,
} from "@lumeofs/base";
import { appendToPages, PAGE_CHUNKS, putPage, sealChunks, shareChunks } from "./chunk-table.js";
import {
  COMMAND_CHUNKS_MAX,
  type Command,
  type Refused,
  type Reply,
  refuse,
  type SealedChunk,
} from "./command.js";
import { takeNumber } from "./counters.js";
import { FORK_CHUNKS_MAX, INLINE_CHUNKS_MAX } from "./growth.js";
import type { FileInode } from "./inode-record.js";
import type { Moment } from "./inodes.js";
import { targetOf } from "./namespace.js";
import { fileChunks } from "./queries.js";
import type { State } from "./state.js";
import { getTail } from "./tail-table.js";
import { placeFile } from "./tree.js";

type Edit = Extract<Command, { kind: "editFile" }>;
type Placed = Pick<SealedChunk, "handle" | "lengthBytes" | "crc32c">;

/** Gives a file another content, made of chunks that it has and of new ones. */
export function editFile(state: State, command: Edit, now: Moment): Reply {
  const precondition = { kind: "revision", revision: command.revision } as const;
  const target = targetOf(state, { ...command, precondition, makeParents: false }, now);
  if (target.kind === "refused") return target;
  const { walked } = target;
  if (walked.kind !== "file") return refuse("NOT_FOUND", `${target.what()}: it does not exist`);
  const unfit = refuseEdit(state, walked.inode, command);
  if (unfit !== undefined) return refuse(unfit.code, `${target.what()}: ${unfit.message}`);
  const { replaced, appended, keep } = command;
  const id = inodeId(takeNumber(state, "inode"));
  const fresh = [...replaced.map(({ chunk }) => chunk), ...appended];
  const refused = sealChunks(state, fresh, id);
  if (refused !== undefined) return refused;
  const list: Placed[] = fileChunks(
    state,
    { id: walked.id, inode: walked.inode },
    { first: 0, countMax: keep },
  ).map(({ listed: handle, chunk: { lengthBytes, crc32c } }) => ({ handle, lengthBytes, crc32c }));
  invariant(list.length === keep, "a file has its chunks", { id: walked.id, keep });
  const isReplaced = new Set(replaced.map(({ position }) => position));
  shareChunks(
    state,
    list.filter((_, position) => !isReplaced.has(position)).map(({ handle }) => handle),
  );
  for (const { position, chunk } of replaced) list[position] = chunk;
  list.push(...appended);
  const file: FileInode = {
    ...walked.inode,
    ...measure(list, walked.inode.chunkSizeBytes),
    inline: INLINE_CHUNKS_MAX < list.length ? [] : list.map(({ handle }) => handle),
    content: undefined,
    grownSince: undefined,
    tail: undefined,
    revision: now.index,
    modifiedAt: now.at,
  };
  if (INLINE_CHUNKS_MAX < list.length) putList(state, id, list, file);
  return placeFile(state, target, { id, file }, now) ?? { kind: "inode", inode: id, node: file };
}

function refuseEdit(state: State, file: FileInode, edit: Edit): Refused | undefined {
  const { keep, replaced, appended } = edit;
  if (file.tail !== undefined && getTail(state, file.tail) !== undefined) {
    return refuse("CONFLICT", "something is being appended to it; try again");
  }
  if (FORK_CHUNKS_MAX < file.chunkCount) {
    return refuse("CONFLICT", `it has ${file.chunkCount} chunks, at most ${FORK_CHUNKS_MAX} do`);
  }
  const count = replaced.length + appended.length;
  if (COMMAND_CHUNKS_MAX < count) {
    return refuse("INVALID_ARGUMENT", `${count} chunks come at once, at most 256 do`);
  }
  if (file.chunkCount < keep) {
    const has = `it has ${file.chunkCount}`;
    return refuse("INVALID_ARGUMENT", `cannot keep ${keep} chunks: ${has}`);
  }
  const positions = replaced.map(({ position }) => position);
  if (new Set(positions).size < positions.length || positions.some((at) => keep <= at)) {
    return refuse("INVALID_ARGUMENT", "chunks are replaced that are not kept, or twice");
  }
  const fresh = [...replaced.map(({ chunk }) => chunk), ...appended];
  const wrong = fresh.find(
    (chunk) => chunk.lengthBytes < 1 || CHUNK_BYTES_DEFAULT < chunk.lengthBytes,
  );
  if (wrong === undefined) return undefined;
  return refuse("INVALID_ARGUMENT", `chunk ${wrong.handle} has ${wrong.lengthBytes} bytes`);
}

/** What a list of chunks adds up to. */
function measure(list: readonly Placed[], chunkSizeBytes: number) {
  let [sizeBytes, crc32c, isUneven] = [0, 0, false];
  for (const [i, chunk] of list.entries()) {
    crc32c = i === 0 ? chunk.crc32c : crc32cCombine(crc32c, chunk.crc32c, chunk.lengthBytes);
    isUneven ||= sizeBytes !== i * chunkSizeBytes || chunkSizeBytes < chunk.lengthBytes;
    sizeBytes += chunk.lengthBytes;
  }
  return { sizeBytes, crc32c, isUneven, chunkCount: list.length };
}

/** Pages of an uneven file say where they begin (G2 in growth.ts). */
function putList(
  state: State,
  id: Parameters<typeof putPage>[1],
  list: readonly Placed[],
  { isUneven }: FileInode,
): void {
  const handles: readonly ChunkHandle[] = list.map(({ handle }) => handle);
  if (!isUneven) return appendToPages(state, id, 0, handles);
  let offset = 0;
  for (let first = 0; first < list.length; first += PAGE_CHUNKS) {
    const page = handles.slice(first, first + PAGE_CHUNKS);
    putPage(state, id, first / PAGE_CHUNKS, { handles: page, offset });
    for (const { lengthBytes } of list.slice(first, first + PAGE_CHUNKS)) offset += lengthBytes;
  }
}
