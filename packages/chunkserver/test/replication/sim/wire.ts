// What the processes of the simulation send each other.

import type { Epoch, EpochGrant, SealedContent } from "@lumeofs/base";
import type { History } from "../../../src/replication/history.js";
import type { ReplicaMessage, ReplicaReply } from "../../../src/replication/message.js";
import type { AppendRequest } from "../../../src/replication/primary-state.js";
import type { CommittedView } from "../../../src/replication/reads.js";

export const MASTERS = "m";

export type Wire =
  | { readonly kind: "toReplica"; readonly message: ReplicaMessage }
  | { readonly kind: "toPrimary"; readonly reply: ReplicaReply }
  | { readonly kind: "grant"; readonly grant: EpochGrant }
  /** The history is for the checker alone. */
  | { readonly kind: "activate"; readonly epoch: Epoch; readonly history: History }
  | { readonly kind: "activated"; readonly epoch: Epoch; readonly isDone: boolean }
  | { readonly kind: "recordSeal"; readonly epoch: Epoch; readonly content: SealedContent }
  | { readonly kind: "sealRecorded"; readonly epoch: Epoch; readonly isDone: boolean }
  | { readonly kind: "renew"; readonly epoch: Epoch; readonly ticket: number }
  | { readonly kind: "renewed"; readonly epoch: Epoch; readonly ticket: number }
  | { readonly kind: "append"; readonly request: AppendRequest }
  | { readonly kind: "appended"; readonly request: number }
  | { readonly kind: "seal" }
  /** `floor` is for the checker: what the read must not miss. */
  | { readonly kind: "read"; readonly id: number; readonly floor: number }
  | { readonly kind: "readDone"; readonly id: number; readonly view: CommittedView | undefined };

export function nameOf(server: number): string {
  return `s${server}`;
}

export function serverOf(name: string): number {
  return Number(name.slice(1));
}
