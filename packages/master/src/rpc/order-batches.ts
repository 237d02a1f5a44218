// Orders for small chunks travel together: those that are given while earlier ones are under way
// wait for each other, and go to their chunkserver in one message. Nobody waits on purpose: the
// first order of an idle server goes at once, with all that are given at the same moment.
//
// B1. At most BATCHES_MAX messages to one server are under way.
// B2. An order whose signal is aborted is answered at once; its message is given up when that is
//     so of all orders in it.

import { LumeoError } from "@lumeofs/base";
import type { Server } from "../metadata/servers.js";

/** Orders in one message. */
const ORDERS_MAX = 32;
const BATCHES_MAX = 2;

/** Sends orders together. @returns What came of each, in their order. */
export type SendBatch<O, R> = (
  server: Server,
  orders: readonly O[],
  signal: AbortSignal,
) => Promise<readonly (R | LumeoError)[]>;

interface Entry<O, R> {
  readonly order: O;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

interface Lane<O, R> {
  readonly server: Server;
  waiting: Entry<O, R>[];
  underWay: number;
  isAwake: boolean;
}

export class OrderBatches<O extends { readonly signal?: AbortSignal }, R extends object> {
  readonly #send: SendBatch<O, R>;
  readonly #lanes = new Map<string, Lane<O, R>>();

  constructor(send: SendBatch<O, R>) {
    this.#send = send;
  }

  /** @throws As the server refuses this order, or the message fails; the signal's reason. */
  add(server: Server, order: O): Promise<R> {
    order.signal?.throwIfAborted();
    const key = `${server.controlAddress} ${server.storeUuid}`;
    const fresh: Lane<O, R> = { server, waiting: [], underWay: 0, isAwake: false };
    const lane = this.#lanes.get(key) ?? fresh;
    this.#lanes.set(key, lane);
    return new Promise((resolve, reject) => {
      lane.waiting.push({ order, resolve, reject });
      this.#wake(key, lane);
    });
  }

  /** After everybody who is about to give orders has done so. */
  #wake(key: string, lane: Lane<O, R>): void {
    if (lane.isAwake) return;
    lane.isAwake = true;
    queueMicrotask(() => {
      lane.isAwake = false;
      while (lane.underWay < BATCHES_MAX && 0 < lane.waiting.length) {
        const batch = lane.waiting.splice(0, ORDERS_MAX);
        lane.underWay++;
        void this.#carry(lane.server, batch).then(() => {
          lane.underWay--;
          this.#wake(key, lane);
        });
      }
      if (lane.underWay === 0) this.#lanes.delete(key);
    });
  }

  async #carry(server: Server, batch: readonly Entry<O, R>[]): Promise<void> {
    const sending = new AbortController();
    let wanted = batch.length;
    const leave = batch.map(({ order: { signal }, reject }) => {
      const abort = (): void => {
        reject(signal?.reason);
        wanted--;
        if (wanted === 0) sending.abort(signal?.reason);
      };
      signal?.addEventListener("abort", abort, { once: true });
      if (signal?.aborted === true) abort();
      return () => signal?.removeEventListener("abort", abort);
    });
    try {
      const orders = batch.map(({ order }) => order);
      const results = await this.#send(server, orders, sending.signal);
      for (const [i, { resolve, reject }] of batch.entries()) {
        const result = results[i];
        if (result === undefined) reject(unanswered(server));
        else if (result instanceof LumeoError) reject(result);
        else resolve(result);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      for (const stop of leave) stop();
    }
  }
}

function unanswered({ name }: Server): LumeoError {
  return new LumeoError("PROTOCOL", `"${name}" did not answer every order of a batch`);
}
