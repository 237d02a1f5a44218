// Answers on their way to one client: those that are ready in the same turn travel in one message,
// and no message grows beyond what gRPC takes.

import { KiB, MiB } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import { bytesOfLabels } from "../metadata/queries.js";

/** A message is closed when it has this many bytes, by estimate. */
export const ANSWER_BYTES_MAX = 1 * MiB;

type Result = lumeo.master.v1.IOperationResult;

/** Sends results in batches, one batch at a time. */
export class AnswerQueue {
  readonly #send: (results: readonly Result[]) => Promise<void>;
  readonly #failed: (error: unknown) => void;
  #waiting: { readonly result: Result; readonly sent: () => void }[] = [];
  #isSending = false;
  #isAsked = false;

  /** `failed` hears the first failure to send; nothing is sent after it. */
  constructor(
    send: (results: readonly Result[]) => Promise<void>,
    failed: (error: unknown) => void,
  ) {
    this.#send = send;
    this.#failed = failed;
  }

  /** Queues a result; `sent` is called when the transport has taken it. */
  push(result: Result, sent: () => void): void {
    this.#waiting.push({ result, sent });
    this.#beginSending();
  }

  /** Lets the client hear something, be it without results. */
  showLife(): void {
    this.#isAsked = true;
    this.#beginSending();
  }

  #beginSending(): void {
    if (this.#isSending) return;
    this.#isSending = true;
    process.nextTick(() => void this.#drain()); // whatever else is answered together goes along
  }

  async #drain(): Promise<void> {
    try {
      while (0 < this.#waiting.length || this.#isAsked) {
        this.#isAsked = false;
        const batch = this.#takeBatch();
        await this.#send(batch.map(({ result }) => result));
        for (const { sent } of batch) sent();
      }
      this.#isSending = false;
    } catch (error) {
      this.#failed(error); // stays in sending: the stream is over
    }
  }

  #takeBatch(): readonly { readonly result: Result; readonly sent: () => void }[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < ANSWER_BYTES_MAX) {
      const next = this.#waiting[count];
      if (next !== undefined) bytes += bytesOf(next.result);
      count++;
    }
    const batch = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    return batch;
  }
}

/** An upper estimate of a result's size on the wire. */
function bytesOf(result: Result): number {
  if (result.listing) {
    const { entries, packed } = result.listing;
    const packedBytes = (packed?.rows?.byteLength ?? 0) + (packed?.names?.byteLength ?? 0);
    return (entries ?? []).reduce((sum, info) => sum + bytesOfInfo(info), KiB + packedBytes);
  }
  if (result.versions) {
    return (result.versions.versions ?? []).reduce((sum, info) => sum + bytesOfInfo(info), KiB);
  }
  if (result.file) return KiB + bytesOfInfo(result.file);
  if (result.stat) return bytesOfStat(result.stat);
  if (result.allocated) return (result.allocated.grants?.length ?? 0) * KiB;
  return KiB;
}

function bytesOfStat({ chunks, info }: lumeo.master.v1.IFileStat): number {
  let bytes = 16 * KiB + (info ? bytesOfInfo(info) : 0);
  for (const { inlineBytes } of chunks ?? []) bytes += KiB + (inlineBytes?.byteLength ?? 0);
  return bytes;
}

function bytesOfInfo({ path, metadata, tags }: lumeo.master.v1.IFileInfo): number {
  return 128 + 3 * (path?.length ?? 0) + bytesOfLabels(metadata ?? {}) + bytesOfLabels(tags ?? {});
}
