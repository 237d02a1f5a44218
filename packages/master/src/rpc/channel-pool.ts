import { type Closable, LumeoError } from "@lumeofs/base";
import { RpcChannel } from "@lumeofs/node/rpc";

/** Addresses with an open channel; the one used longest ago goes first. */
const CHANNELS_MAX = 1_024;

/** One channel to each address, opened at its first use and kept. */
export class ChannelPool implements Closable {
  readonly #channels = new Map<string, RpcChannel>();
  #isClosed = false;

  /** @throws LumeoError CLOSED */
  to(address: string): RpcChannel {
    if (this.#isClosed) throw new LumeoError("CLOSED", `Cannot call ${address}: closed`);
    const channel = this.#channels.get(address) ?? new RpcChannel(address);
    this.#channels.delete(address);
    this.#channels.set(address, channel);
    if (CHANNELS_MAX < this.#channels.size) void this.#dropOldest();
    return channel;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#channels.values()].map((channel) => channel.close()));
    this.#channels.clear();
  }

  async #dropOldest(): Promise<void> {
    const [oldest] = this.#channels;
    if (oldest === undefined) return;
    this.#channels.delete(oldest[0]);
    await oldest[1].close();
  }
}
