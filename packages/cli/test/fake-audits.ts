// Checks in memory: the events that a test wants, and no cluster.

import type { Audits, FsckEvent, FsckOptions, VerifiedChunk } from "@lumeofs/client";

export class FakeAudits implements Pick<Audits, keyof Audits> {
  events: FsckEvent[] = [];
  failure: Error | undefined;
  readonly chunks = new Map<string, VerifiedChunk[]>();
  asked: FsckOptions | undefined;

  async *fsck(options: FsckOptions): AsyncGenerator<FsckEvent, void, undefined> {
    this.asked = options;
    yield* this.events;
    if (this.failure !== undefined) throw this.failure;
  }

  async *verify(path: string): AsyncGenerator<VerifiedChunk, void, undefined> {
    const chunks = this.chunks.get(path);
    if (chunks !== undefined) return yield* chunks;
    throw Object.assign(new Error(`Cannot verify "${path}"`), { code: "LUMEO_IS_DIRECTORY" });
  }
}
