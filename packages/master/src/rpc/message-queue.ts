// The messages that wait for one stream. What waits together goes together, so a slow peer gets
// fewer and larger messages; what is too much is dropped, all of it, because Raft would rather
// begin again than be late.

import { MiB } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { RaftMessage } from "../raft/message.js";
import { encodeMessage, messageBytes } from "./raft-wire.js";

type WireMessage = lumeo.master.v1.IRaftMessage;

/** Messages of Raft in one message of the stream: about this many bytes. */
const BATCH_BYTES = 1 * MiB;
/** Bytes that may wait. The core keeps 8 MiB of entries in flight; replies are small. */
const WAITING_BYTES_MAX = 16 * MiB;

export class MessageQueue {
  readonly #send: (messages: WireMessage[]) => Promise<void>;
  readonly #onDrop: () => void;
  #waiting: RaftMessage[] = [];
  #bytes = 0;
  #isSending = false;
  #isClosed = false;

  /**
   * @param send    Waits while the stream takes no more. Its failure is the stream's.
   * @param onDrop  Called when messages were dropped because too many waited.
   */
  constructor(send: (messages: WireMessage[]) => Promise<void>, onDrop: () => void) {
    this.#send = send;
    this.#onDrop = onDrop;
  }

  push(message: RaftMessage): void {
    if (this.#isClosed) return;
    this.#bytes += messageBytes(message);
    if (WAITING_BYTES_MAX < this.#bytes) {
      this.#waiting = [];
      this.#bytes = 0;
      this.#onDrop();
      return;
    }
    this.#waiting.push(message);
    if (!this.#isSending) void this.#sendAll();
  }

  /** Drops what waits, and all that comes. */
  close(): void {
    this.#isClosed = true;
    this.#waiting = [];
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    try {
      // What comes in this turn goes together.
      await Promise.resolve();
      while (0 < this.#waiting.length) await this.#send(this.#takeBatch());
    } catch {
      // The stream has failed: whoever reads from it knows why.
      this.close();
    } finally {
      this.#isSending = false;
    }
  }

  #takeBatch(): WireMessage[] {
    let [count, bytes] = [0, 0];
    for (const message of this.#waiting) {
      const size = messageBytes(message);
      if (0 < count && BATCH_BYTES < bytes + size) break;
      bytes += size;
      count += 1;
    }
    this.#bytes -= bytes;
    return this.#waiting.splice(0, count).map(encodeMessage);
  }
}
