// Drives the state machine in tests: proposes commands as a leader would, one log index each.

import {
  ByteWriter,
  type ChunkHandle,
  type Code,
  chunkHandle,
  crc32c,
  epoch,
  handleIn,
  type InodeId,
  MiB,
  serverId,
  unitCount,
  wallMs,
} from "@lumeofs/base";
import type { Command, Reply, RequestId, SealedChunk } from "../src/metadata/command.js";
import { encodeProposal } from "../src/metadata/command-codec.js";
import { NO_POLICY, type Policy } from "../src/metadata/directory-record.js";
import { INLINE_BYTES_MAX, writeInlineRecord } from "../src/metadata/inline-table.js";
import { decodeReply } from "../src/metadata/reply-codec.js";
import { applyEntry } from "../src/metadata/state-machine.js";
import { MemoryState } from "./memory-state.js";

type Registration = Extract<Command, { kind: "registerServer" }>;

export class MetadataDriver {
  readonly state: MemoryState;
  index = 0;
  now = 1_000_000;

  readonly #apply: typeof applyEntry;

  constructor(state = new MemoryState(), apply = applyEntry) {
    this.state = state;
    this.#apply = apply;
    this.apply({ kind: "initCluster", clusterId: "test-cluster" });
  }

  apply(command: Command, request?: RequestId): Reply {
    return decodeReply(this.applyBytes(command, request));
  }

  applyBytes(command: Command, request?: RequestId): Uint8Array {
    const proposal = encodeProposal({ at: wallMs(this.now), request, command });
    this.index++;
    return this.#apply(this.state, this.index, proposal);
  }

  /** Handles of one fresh grant on servers 1, 2 and so on. */
  grant(handles: number, servers = 3): readonly ChunkHandle[] {
    const members = Array.from({ length: servers }, (_, i) => serverId(i + 1));
    const reply = this.apply({ kind: "allocate", placements: [members], handles });
    if (reply.kind !== "allocated") throw new Error(`allocate answered ${reply.kind}`);
    const grant = reply.grants[0];
    if (grant === undefined) throw new Error("allocate gave no grant");
    return Array.from({ length: handles }, (_, slot) => handleIn(grant, slot));
  }

  /** A file of `count` chunks of 4 bytes, all fresh. */
  commit(path: string, count = 1, more: Partial<Commit> = {}): Reply {
    const handles = 0 < count ? this.grants(count) : [];
    return this.apply(commitOf(path, handles, more));
  }

  grants(count: number, servers = 3): readonly ChunkHandle[] {
    const handles: ChunkHandle[] = [];
    while (handles.length < count) {
      handles.push(...this.grant(Math.min(64, count - handles.length), servers));
    }
    return handles;
  }

  makeDirectory(path: string): Reply {
    return this.apply({ kind: "makeDirectory", path, parents: false });
  }

  remove(path: string, recursive = false): Reply {
    return this.apply(removalOf(path, recursive));
  }

  rename(source: string, target: string, overwrite = false): Reply {
    return this.apply({ kind: "rename", source, target, overwrite, fence: undefined });
  }

  copy(source: string, target: string, more: Partial<Copy> = {}): Reply {
    return this.apply(copyOf(source, target, more));
  }

  snapshot(path: string, name: string): Reply {
    return this.apply({ kind: "createSnapshot", path, name });
  }

  /** What is not given is not set. */
  policy(path: string, policy: Partial<Policy>): Reply {
    return this.apply({ kind: "setPolicy", path, policy: { ...NO_POLICY, ...policy } });
  }

  setMetadata(path: string, metadata: Readonly<Record<string, string>>): Reply {
    return this.apply({
      kind: "setAttributes",
      path,
      setMetadata: metadata,
      removeMetadata: [],
      setTags: {},
      removeTags: [],
      contentType: undefined,
      ttlMs: undefined,
      precondition: { kind: "none" },
    });
  }

  beginUpload(path: string): InodeId {
    const reply = this.apply({ kind: "beginUpload", path });
    if (reply.kind !== "uploadBegun") throw new Error(`beginUpload answered ${reply.kind}`);
    return reply.upload;
  }
}

export type Commit = Extract<Command, { kind: "commit" }>;

export type Copy = Extract<Command, { kind: "copy" }>;

export function copyOf(source: string, target: string, more: Partial<Copy> = {}): Copy {
  return {
    kind: "copy",
    source,
    sourceInode: undefined,
    target,
    overwrite: false,
    makeParents: false,
    precondition: { kind: "none" },
    fence: undefined,
    ...more,
  };
}

export type Removal = Extract<Command, { kind: "remove" }>;

export function removalOf(path: string, recursive: boolean, more: Partial<Removal> = {}): Removal {
  const precondition = { kind: "none" } as const;
  const plain = { precondition, skipTrash: false, fence: undefined };
  return { kind: "remove", path, recursive, ...plain, ...more };
}

const CONTENT = Uint8Array.of(1, 2, 3, 4);

export function sealed(handle: ChunkHandle | number): SealedChunk {
  return {
    handle: chunkHandle(handle),
    epoch: epoch(1),
    lengthBytes: CONTENT.byteLength,
    crc32c: crc32c(CONTENT),
    coding: undefined,
  };
}

/** The same, kept as units: nobody reads them here, so any checksums do. */
export function codedAs(code: Code, handle: ChunkHandle): SealedChunk {
  const unitCrcs = Array.from({ length: unitCount(code) }, (_, unit) => unit);
  return { ...sealed(handle), coding: { ...code, unitCrcs } };
}

/** The checksum of a file of `count` such chunks. */
export function wholeCrc(count: number): number {
  let crc = 0;
  for (let i = 0; i < count; i++) crc = crc32c(CONTENT, crc);
  return crc;
}

/** Of a chunkserver that nobody calls. */
export function registrationOf(
  name: string,
  more: Partial<Pick<Registration, "storeUuid" | "labels">> = {},
): Registration {
  const addresses = { dataAddress: "h:1", controlAddress: "h:2" };
  return { kind: "registerServer", name, storeUuid: name, ...addresses, labels: {}, ...more };
}

export function commitOf(
  path: string,
  handles: readonly ChunkHandle[],
  more: Partial<Commit> = {},
): Commit {
  return {
    kind: "commit",
    path,
    upload: undefined,
    chunks: handles.map(sealed),
    chunkSizeBytes: CONTENT.byteLength,
    replicas: 3,
    code: undefined,
    crc32c: wholeCrc(handles.length),
    precondition: { kind: "none" },
    makeParents: false,
    contentType: "",
    metadata: {},
    tags: {},
    ttlMs: undefined,
    fence: undefined,
    inline: undefined,
    ...more,
  };
}

/** The record of a small file's bytes, as it is read from the log. */
export function inlineRecord(bytes: Uint8Array): Uint8Array {
  const writer = new ByteWriter(5 + bytes.byteLength);
  writeInlineRecord(writer, bytes);
  return writer.finish().subarray(4); // behind its length
}

/** A commit that brings its bytes. */
export function inlineOf(
  path: string,
  bytes: Uint8Array,
  { totalBytesMax = MiB, ...more }: Partial<Commit> & { readonly totalBytesMax?: number } = {},
): Commit {
  return commitOf(path, [], {
    crc32c: crc32c(bytes),
    chunkSizeBytes: INLINE_BYTES_MAX,
    inline: { kind: "kept", record: inlineRecord(bytes), totalBytesMax },
    ...more,
  });
}
