// Reply ⇄ bytes: docs/formats/command.md. Replies are kept in the state for repeated requests, so
// their format is as lasting as that of commands.

import {
  assertNever,
  type ByteReader,
  type ByteWriter,
  chunkHandle,
  grantId,
  inodeId,
  isErrorCode,
  serverId,
  sessionId,
  wallMs,
} from "@lumeofs/base";
import type { Reply } from "./command.js";
import {
  corrupt,
  encodeValue,
  readId,
  readIds,
  readText,
  readWhole,
  writeList,
  writeNumber,
  writeText,
} from "./fields.js";
import { readInode, writeInode } from "./inode-record.js";
import { jobId } from "./jobs.js";

const KIND = {
  done: 1,
  sessionOpened: 2,
  allocated: 3,
  uploadBegun: 4,
  file: 5,
  registered: 6,
  refused: 7,
  inode: 8,
  snapshotCreated: 9,
  locked: 10,
  jobCreated: 11,
  movesBegun: 12,
  tailOpened: 13,
} as const satisfies Record<Reply["kind"], number>;

/** Version 3: the inodes in replies have got the fields of codes. */
const REPLY_VERSION = 3;

export function encodeReply(reply: Reply): Uint8Array {
  return encodeValue(reply, writeReply, REPLY_VERSION);
}

function writeReply(writer: ByteWriter, reply: Reply): void {
  const w = writer.u8(KIND[reply.kind]);
  switch (reply.kind) {
    case "done":
      break;
    case "sessionOpened":
      w.u53(reply.session);
      break;
    case "allocated":
      writeList(w, reply.grants, writeNumber);
      break;
    case "uploadBegun":
      w.u53(reply.upload);
      break;
    case "file":
      w.u53(reply.inode).u53(reply.revision).u53(reply.sizeBytes);
      w.u53(reply.createdAt).u53(reply.modifiedAt).u53(reply.chunkCount).u53(reply.expiresAt);
      break;
    case "inode":
      writeInode(w.u53(reply.inode), reply.node);
      break;
    case "snapshotCreated":
      w.u53(reply.revision).u53(reply.at);
      break;
    case "locked":
      writeText(w.u53(reply.token).u53(reply.expiresAt), reply.holder);
      break;
    case "jobCreated":
      w.u53(reply.job);
      break;
    case "movesBegun":
      writeList(w, reply.handles, writeNumber);
      break;
    case "tailOpened":
      w.u53(reply.handle);
      break;
    case "registered":
      w.u53(reply.server);
      writeText(w, reply.clusterId);
      break;
    case "refused":
      writeText(w, reply.code);
      writeText(w, reply.message);
      break;
    default:
      assertNever(reply);
  }
}

/** @throws LumeoError CORRUPT if these bytes are no reply. */
export function decodeReply(bytes: Uint8Array): Reply {
  return readWhole("reply", bytes, readReply, REPLY_VERSION);
}

function readReply(r: ByteReader): Reply {
  const kind = r.u8();
  switch (kind) {
    case KIND.done:
      return { kind: "done" };
    case KIND.sessionOpened:
      return { kind: "sessionOpened", session: readId(r, sessionId) };
    case KIND.allocated:
      return { kind: "allocated", grants: readIds(r, grantId) };
    case KIND.uploadBegun:
      return { kind: "uploadBegun", upload: readId(r, inodeId) };
    case KIND.file:
      return {
        kind: "file",
        inode: readId(r, inodeId),
        revision: r.u53(),
        sizeBytes: r.u53(),
        createdAt: wallMs(r.u53()),
        modifiedAt: wallMs(r.u53()),
        chunkCount: r.u53(),
        expiresAt: wallMs(r.u53()),
      };
    case KIND.inode:
      return { kind: "inode", inode: readId(r, inodeId), node: readInode(r) };
    case KIND.snapshotCreated:
      return { kind: "snapshotCreated", revision: r.u53(), at: wallMs(r.u53()) };
    case KIND.locked: {
      const token = r.u53();
      const expiresAt = wallMs(r.u53());
      return { kind: "locked", holder: readText(r), token, expiresAt };
    }
    case KIND.jobCreated:
      return { kind: "jobCreated", job: readId(r, jobId) };
    case KIND.movesBegun:
      return { kind: "movesBegun", handles: readIds(r, chunkHandle) };
    case KIND.tailOpened:
      return { kind: "tailOpened", handle: readId(r, chunkHandle) };
    case KIND.registered:
      return { kind: "registered", server: readId(r, serverId), clusterId: readText(r) };
    case KIND.refused: {
      const code = readText(r);
      if (!isErrorCode(code)) throw corrupt("reply", `its code is ${code}`);
      return { kind: "refused", code, message: readText(r) };
    }
    default:
      throw corrupt("reply", `its kind is ${kind}`);
  }
}
