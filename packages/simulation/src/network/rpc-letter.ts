// What callers and servers of simulated calls have in common: their messages, and the patience with
// a connection whose other side stands still.

import type { SeededRandom, Timers } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { Endpoint, WireEnd, Wires } from "./wires.js";

/** What travels on a wire between a caller and a server. */
export type RpcLetter =
  | {
      readonly kind: "open";
      readonly call: number;
      readonly path: string;
      /** Of the caller's time. */
      readonly leftMs: number;
    }
  | { readonly kind: "data"; readonly call: number; readonly bytes: Uint8Array }
  | { readonly kind: "end" | "cancel"; readonly call: number }
  | {
      readonly kind: "status";
      readonly call: number;
      readonly error: lumeo.common.v1.IErrorDetail | undefined;
    };

/** Headers of a message, for its time on the wire. */
export const LETTER_BYTES = 64;
/** Two looks in a row at a side that stands still, and the connection is given up. */
export const KEEPALIVE_MS = 5_000;
export interface SimRpcParts {
  readonly wires: Wires<RpcLetter>;
  readonly endpoint: Endpoint;
  readonly timers: Timers;
  readonly random: SeededRandom;
  /** Probability of each unary call to be carried out twice. */
  readonly echoShare: () => number;
  /** Whether a server's next answer is lost, and the connection with it. */
  readonly isMuted: (peer: string) => boolean;
  /** Our own code is wrong: ends the simulation. */
  readonly broken: (error: unknown) => void;
}

/** Asks now and then whether the other side lives; ends with the connection. */
export function keepAlive(timers: Timers, end: WireEnd<RpcLetter>, lost: () => void): void {
  let misses = 0;
  const alarm = timers.every(KEEPALIVE_MS, () => {
    if (!end.isOpen) return alarm.cancel();
    misses = end.isAnswered ? 0 : misses + 1;
    if (misses < 2) return;
    alarm.cancel();
    end.close();
    lost();
  });
}
