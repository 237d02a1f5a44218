// The gate of one chunkserver together with what feeds it: the answers of the leader.

import type { Clock, Timers } from "@lumeofs/base";
import { nativeHmacSha256 } from "@lumeofs/node";
import { MastersWord, type TokenListener } from "./masters-word.js";
import { type Gate, OPEN_GATE, TokenGate } from "./token-gate.js";

export interface Access {
  readonly gate: Gate;
  readonly tokens: TokenListener;
}

export interface AccessPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  /** See TokenGatePorts. */
  readonly askForKeys: () => void;
}

/** @param tokens  With "off" everybody is served; the keys are learned all the same. */
export function accessOf(tokens: "on" | "off", ports: AccessPorts): Access {
  const word = new MastersWord();
  const gate = new TokenGate({ ...ports, word, hmac: nativeHmacSha256 });
  return {
    gate: tokens === "on" ? gate : OPEN_GATE,
    tokens: {
      get newestKey() {
        return word.newestKey;
      },
      toldKeys: (keys) => {
        word.toldKeys(keys);
        gate.keysChanged();
      },
      toldTime: (leaderTime) => word.toldTime(leaderTime, ports.clock.monotonicMs()),
    },
  };
}
