// Checks of the whole cluster, and of single files.

import type { FileInfo } from "../file-info.js";
import type { Healing } from "../healing.js";
import type { Metadata } from "../metadata.js";
import type { RunCall } from "../metadata-runner.js";
import type { CallOptions, ListOptions, StatOptions } from "../options.js";
import type { Ports } from "../ports.js";
import type { AdminClient } from "../rpc/admin-client.js";
import { AuditClient } from "../rpc/audit-client.js";
import type { ChunkserverPool } from "../rpc/chunkserver-pool.js";
import type { MasterPool } from "../rpc/master-pool.js";
import type { TailPool } from "../rpc/tail-pool.js";
import type { FsckEvent } from "./finding.js";
import { type FsckOptions, fsck } from "./fsck.js";
import { InlineCheck } from "./inline-check.js";
import { type VerifiedChunk, type VerifyOptions, type VerifyParts, verifyFile } from "./verify.js";

export interface AuditsParts {
  readonly run: RunCall;
  readonly metadata: Metadata;
  readonly chunkservers: ChunkserverPool;
  readonly tails: TailPool;
  readonly masters: MasterPool;
  readonly admin: AdminClient;
  readonly healing: Healing;
  readonly ports: Ports;
  readonly files: {
    stat(path: string, options: StatOptions): Promise<FileInfo>;
    list(path: string, options: ListOptions): AsyncIterable<FileInfo>;
  };
}

/** See the head of this file. */
export class Audits {
  readonly #parts: AuditsParts;
  readonly #silent: VerifyParts["silent"] = new Map();
  readonly #inline: InlineCheck;

  constructor(parts: AuditsParts) {
    this.#parts = parts;
    this.#inline = new InlineCheck(parts);
  }

  /** Whether names, chunks and replicas fit together; tells as it goes, and changes nothing. */
  fsck(options: FsckOptions = {}): AsyncGenerator<FsckEvent, void, undefined> {
    const { run, healing, ports, masters, admin, files, tails: pool } = this.#parts;
    const tails = { tails: pool, crc32c: ports.crc32c };
    const stat = files.stat.bind(files);
    const client = new AuditClient(masters, admin);
    const below = (path: string, call: CallOptions) => filesBelow(files, path, call);
    return fsck({ run, client, healing, ports, tails, stat, files: below }, options);
  }

  /** Reads every replica of a file, checked end to end; what is bad is told to the masters. */
  verify(
    path: string,
    options: VerifyOptions = {},
  ): AsyncGenerator<VerifiedChunk, void, undefined> {
    const { run, metadata, chunkservers, admin, ports, tails: pool } = this.#parts;
    const { clock, crc32c } = ports;
    const tails = { tails: pool, crc32c };
    const known = { silent: this.#silent, inline: this.#inline };
    return verifyFile(
      { run, metadata, chunkservers, admin, clock, tails, ...known },
      path,
      options,
    );
  }
}

async function* filesBelow(
  files: AuditsParts["files"],
  path: string,
  call: CallOptions,
): AsyncGenerator<FileInfo, void, undefined> {
  const found = await files.stat(path, call);
  if (found.kind === "file") {
    yield found;
    return;
  }
  for await (const one of files.list(path, { ...call, recursive: true })) {
    if (one.kind === "file") yield one;
  }
}
