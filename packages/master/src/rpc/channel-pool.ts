import { type Closable, LumeoError } from "@lumeofs/base";
import { RpcChannel, type RpcNetwork } from "@lumeofs/node/rpc";

/** Addresses with an open channel; the one used longest ago goes first. */
const CHANNELS_MAX = 1_024;

/** One channel to each address, opened at its first use and kept. */
export class ChannelPool implements Closable {
  readonly #channels = new Map<string, RpcChannel>();
  readonly #network: RpcNetwork | undefined;
  #isClosed = false;

  /** @param network  Default: gRPC. */
  constructor(network?: RpcNetwork) {
    this.#network = network;
  }

  /** @throws LumeoError CLOSED */
  to(address: string): RpcChannel {
    if (this.#isClosed) throw new LumeoError("CLOSED", `Cannot call ${address}: closed`);
    const known = this.#channels.get(address);
    const channel = known ?? new RpcChannel(address, { network: this.#network });
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
