// What a client tells whoever listens: for logs, metrics and progress displays, never for data.

import { InvariantViolation } from "@lumeofs/base";
import type { LumeoError, LumeoErrorCode } from "./error.js";

export interface LumeoEvents {
  /** A step of a call failed and will be tried again after `delayMs`. */
  readonly retry: {
    readonly method: string;
    /** Attempts made so far. */
    readonly attempt: number;
    readonly delayMs: number;
    readonly error: LumeoError;
  };
  /** Another master answers as the leader. Both are addresses. */
  readonly leader: { readonly from: string | undefined; readonly to: string };
  /** A call has ended. */
  readonly request: {
    readonly method: string;
    readonly durationMs: number;
    readonly code: LumeoErrorCode | "OK";
    /** Bytes of files sent or received. */
    readonly bytes: number;
  };
}

type Listener<K extends keyof LumeoEvents> = (event: LumeoEvents[K]) => void;
type Listeners = { readonly [K in keyof LumeoEvents]: Set<Listener<K>> };

/** Listeners by event. */
export class Events {
  readonly #listeners: Listeners = { retry: new Set(), leader: new Set(), request: new Set() };

  /** @returns A function that takes the listener away again. */
  on<K extends keyof LumeoEvents>(type: K, listener: Listener<K>): () => void {
    const listeners: Set<Listener<K>> = this.#listeners[type];
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** Whether anybody listens: without, an event need not be made. */
  isHeard(type: keyof LumeoEvents): boolean {
    return 0 < this.#listeners[type].size;
  }

  /** A listener that throws does not fail the call that it watches. */
  emit<K extends keyof LumeoEvents>(type: K, event: LumeoEvents[K]): void {
    const listeners: Set<Listener<K>> = this.#listeners[type];
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error) {
        if (error instanceof InvariantViolation) throw error;
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
