// What clients were told, and what must follow from it.
//
// C1. Every acknowledged write is in the history of every epoch that becomes active later, at the
//     same place.
// C9. A write that is sent again is answered with the same place.

import type { History } from "../../../src/replication/history.js";
import { historyText } from "./words.js";

export interface Ack {
  readonly write: number;
  readonly epoch: number;
  readonly seq: number;
  readonly offset: number;
  /** The latest epoch whose primary said so. */
  readonly by: number;
}

export interface Ledger {
  readonly acks: readonly Ack[];
  /** The newest active epoch, and the history with which it became active. */
  readonly active: { readonly epoch: number; readonly history: History };
  /** Writes that were sent so far: 1, 2, … */
  readonly submitted: number;
  readonly crashes: number;
  readonly wipes: number;
  readonly damages: number;
}

/** A ledger goes on, or something was lost. */
export type Noted =
  | { readonly kind: "ledger"; readonly ledger: Ledger }
  | { readonly kind: "violation"; readonly what: string };

/** A client is told that its write is committed. */
export function noteAck(ledger: Ledger, ack: Ack): Noted {
  const before = ledger.acks.find(({ write }) => write === ack.write);
  const isOther =
    before !== undefined &&
    (before.epoch !== ack.epoch || before.seq !== ack.seq || before.offset !== ack.offset);
  if (isOther) {
    return violation(`C9: write ${ack.write} was acknowledged at two places`);
  }
  const by = Math.max(ack.by, before?.by ?? 0);
  const acks = ledger.acks.filter((other) => other !== before);
  const sorted = [...acks, { ...ack, by }].sort((a, b) => a.write - b.write);
  return checked({ ...ledger, acks: sorted });
}

/** The masters record an epoch as active. */
export function noteActive(ledger: Ledger, epoch: number, history: History): Noted {
  return checked({ ...ledger, active: { epoch, history } });
}

export function ledgerText(ledger: Ledger): string {
  const { acks, active, submitted, crashes, wipes, damages } = ledger;
  const told = acks.map(({ write, epoch, seq, by }) => `w${write}=${epoch}.${seq} by ${by}`);
  const counts = `${submitted} ${crashes} ${wipes} ${damages}`;
  return `${told.join(", ")}; active ${active.epoch} ${historyText(active.history)}; ${counts}`;
}

function checked(ledger: Ledger): Noted {
  const { epoch, history } = ledger.active;
  for (const ack of ledger.acks) {
    if (epoch <= ack.by) continue;
    const content = history.at(ack.seq)?.content;
    const isThere =
      history.positionAt(ack.seq)?.epoch === ack.epoch &&
      content?.kind === "data" &&
      content.write.writeSeq === ack.write;
    if (!isThere) {
      return violation(
        `C1: write ${ack.write}, acknowledged in epoch ${ack.by}, is lost in ${epoch}`,
      );
    }
  }
  return { kind: "ledger", ledger };
}

function violation(what: string): Noted {
  return { kind: "violation", what };
}
