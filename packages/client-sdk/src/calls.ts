// The calls of one client: begins them, reports how they end, and lets `close` wait for them.

import { LumeoError } from "@lumeofs/base";
import { Call, type CallSettings } from "./call.js";
import { LumeoError as PublicError, toPublic } from "./error.js";
import type { Events } from "./events.js";
import type { Ports } from "./ports.js";

export class Calls {
  readonly #ports: Ports;
  readonly #events: Events;
  readonly #open = new Set<Call>();
  #whenIdle: (() => void)[] = [];
  #isClosed = false;

  constructor(ports: Ports, events: Events) {
    this.#ports = ports;
    this.#events = events;
  }

  /** @throws LumeoError CLOSED after `close`. */
  begin(settings: CallSettings): Call {
    if (this.#isClosed) {
      throw new LumeoError("CLOSED", `Cannot ${settings.method}: the client is closed`);
    }
    const call = new Call(settings, this.#ports, this.#events);
    this.#open.add(call);
    return call;
  }

  /**
   * Work of the client's own: `close` waits for it, and nobody is told how it ends. May begin
   * while `close` waits for something else, and does nothing afterwards.
   */
  async runAside(settings: CallSettings, action: (call: Call) => Promise<unknown>): Promise<void> {
    if (this.#isClosed && this.#open.size === 0) return;
    const call = new Call(settings, this.#ports, this.#events);
    this.#open.add(call);
    try {
      await action(call);
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
    } finally {
      this.#leave(call);
    }
  }

  /** The call has ended; `failure` is what its caller sees, if it failed. */
  end(call: Call, failure?: unknown): void {
    if (!this.#open.has(call)) return;
    this.#leave(call);
    if (this.#events.isHeard("request")) {
      this.#events.emit("request", {
        method: call.method,
        durationMs: call.elapsedMs,
        code: codeOf(failure),
        bytes: call.bytes,
      });
    }
  }

  /** Runs an action as one call. Rejects with what the caller is to see. */
  run<T>(settings: CallSettings, action: (call: Call) => Promise<T>): Promise<T> {
    let call: Call;
    try {
      call = this.begin(settings);
    } catch (error) {
      return Promise.reject(toPublic(error, settings.path, 1));
    }
    const succeed = (value: T): T => {
      this.end(call);
      return value;
    };
    const fail = (error: unknown): never => {
      const failure = call.toPublic(error);
      this.end(call, failure);
      throw failure;
    };
    try {
      call.cancellation.throwIfAborted();
      return action(call).then(succeed, fail);
    } catch (error) {
      return Promise.reject(error).catch(fail);
    }
  }

  /** Lets nothing begin, waits for what is under way, and ends what takes longer than `graceMs`. */
  async close(graceMs: number): Promise<void> {
    this.#isClosed = true;
    if (this.#open.size === 0) return;
    const idle = new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    const alarm = this.#ports.timers.after(graceMs, () => {
      const reason = new LumeoError("CLOSED", "The client was closed before the call had ended");
      for (const call of [...this.#open]) {
        call.cancel(reason);
        // A reading whose consumer does not come back would never say that it has ended.
        this.end(call, call.toPublic(reason));
      }
    });
    await idle;
    alarm.cancel();
  }

  #leave(call: Call): void {
    if (!this.#open.delete(call)) return;
    call.end();
    if (this.#open.size === 0) for (const wake of this.#whenIdle.splice(0)) wake();
  }
}

function codeOf(failure: unknown): PublicError["code"] | "OK" {
  if (failure === undefined) return "OK";
  return PublicError.is(failure) ? failure.code : "LUMEO_INTERNAL";
}
