// What a primary sends to one member, its own replica included: one message after the other, each
// with the bytes of its records, which may have to be read or fetched first. Answers come back as
// they come; nothing is said again from here.
//
// O1. Messages leave in the order in which the protocol has put them out, unless one is lost.
// O2. What waits is bounded: a primary has a bounded number of records under way to a member, and
//     messages that follow each other are joined (merge-appends.ts).

import { invariant, LumeoError } from "@lumeofs/base";
import { type AppendRecord, dataBytes } from "../replication/append-record.js";
import type { ReplicaMessage } from "../replication/message.js";
import { mergeAppends } from "./merge-appends.js";
import type { HeldBytes } from "./record-source.js";
import type { RecordBytes } from "./tail-replica.js";

export interface OutboxPorts {
  /** The bytes of these records, which follow each other. @throws LumeoError */
  readonly hold: (records: readonly AppendRecord[]) => Promise<HeldBytes>;
  /** Says it, gives the bytes back, and settles when it is answered and the answer was taken. */
  readonly say: (message: ReplicaMessage, held: HeldBytes) => Promise<void>;
  /** Something could not be said, or was not answered. */
  readonly failed: (error: LumeoError) => void;
}

/** See the head of this file. */
export class Outbox {
  readonly #ports: OutboxPorts;
  #waiting: ReplicaMessage[] = [];
  #sending: Promise<void> | undefined;
  #unanswered = 0;
  /** Of those that are being sent. */
  #unsent = 0;

  constructor(ports: OutboxPorts) {
    this.#ports = ports;
  }

  /** Whether nothing waits and everything was answered, or is lost. */
  get isIdle(): boolean {
    return this.#waiting.length === 0 && this.#sending === undefined && this.#unanswered === 0;
  }

  /** Whether more than one message is not answered, those included that have not left. */
  get owesMore(): boolean {
    return 1 < this.#unanswered + this.#unsent + this.#waiting.length;
  }

  push(message: ReplicaMessage): void {
    this.#waiting.push(message);
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
    });
  }

  /** Nothing that waits is said any more. */
  clear(): void {
    this.#waiting = [];
  }

  async #sendAll(): Promise<void> {
    await Promise.resolve(); // all that this step of the protocol has to say goes together
    while (0 < this.#waiting.length) {
      const messages = mergeAppends(this.#waiting);
      this.#waiting = [];
      this.#unsent = messages.length;
      for (const message of messages) await this.#send(message);
    }
  }

  async #send(message: ReplicaMessage): Promise<void> {
    try {
      const records = message.kind === "append" ? message.records : [];
      const held = await this.#ports.hold(records).finally(() => {
        this.#unsent--;
      });
      this.#unanswered++;
      this.#ports
        .say(message, held)
        .catch((error: unknown) => this.#fail(error))
        .finally(() => {
          this.#unanswered--;
        });
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof LumeoError)) throw error;
    this.#ports.failed(error);
  }
}

/** The bytes of records in their order, as they follow a message. */
export function inOrder(
  records: readonly AppendRecord[],
  bytes: RecordBytes,
): readonly Uint8Array[] {
  return records.flatMap((record) => {
    if (dataBytes(record) === 0) return [];
    const found = bytes.get(record.seq);
    invariant(found !== undefined, "a record comes with its bytes", { seq: record.seq });
    return [found];
  });
}
