// The next server of a write's chain: what is sent there, and how its failure is named.

import { LumeoError, type ServerId } from "@lumeofs/base";
import type {
  ChainLink,
  Exchange,
  FramePool,
  OpeningMessage,
  WriteDone,
} from "@lumeofs/node/frames";

/** The rest of a write's way, as a promise that never rejects unheard. */
export class NextHop {
  /** Settles with the next server's answer. */
  readonly done: Promise<WriteDone>;
  #failedBy: LumeoError | undefined;

  private constructor(
    readonly link: ChainLink,
    readonly exchange: Exchange,
    readonly release: () => void,
  ) {
    this.done = this.#answer();
    this.done.catch((error: LumeoError) => {
      this.#failedBy = error;
    });
  }

  /** Why it cannot succeed any more, as soon as that is known. */
  get failedBy(): LumeoError | undefined {
    return this.#failedBy;
  }

  /**
   * Opens a request there. A stream gets a connection of its own; see FramePool for lanes.
   *
   * @throws LumeoError that names the server if it cannot be reached.
   */
  static async open(
    pool: FramePool,
    link: ChainLink,
    first: OpeningMessage,
    send: {
      readonly lane: number;
      readonly payload?: readonly Uint8Array[];
      /** Called once, in any case: the payload may be changed again. */
      readonly sent?: () => void;
    },
  ): Promise<NextHop> {
    const route = { address: link.address, lane: send.lane };
    let isSent = false;
    const sent = (): void => {
      if (!isSent) send.sent?.();
      isSent = true;
    };
    try {
      if (first.type === "writeOpen") {
        const lease = await pool.exclusive(route);
        try {
          return new NextHop(link, lease.connection.request(first), () => lease.release());
        } catch (error) {
          lease.release();
          throw error;
        }
      }
      const connection = await pool.shared(route);
      const exchange = connection.request(first, send.payload, sent);
      return new NextHop(link, exchange, () => undefined);
    } catch (error) {
      sent();
      throw blamed(error, link.server);
    }
  }

  /** Frees the connection. One that has not answered is closed, so that the write ends there. */
  close(): void {
    this.exchange.finish();
    this.release();
  }

  async #answer(): Promise<WriteDone> {
    try {
      const { message } = await this.exchange.receive();
      if (message.type === "writeDone") return message;
      throw new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" answers no write`);
    } catch (error) {
      throw blamed(error, this.link.server);
    }
  }
}

/** The error with the servers that failed: those that it names, else `server`. */
export function blamed(error: unknown, server: ServerId): unknown {
  if (!(error instanceof LumeoError)) return error;
  if (0 < (error.details.servers?.length ?? 0)) return error;
  const message = `Server ${server} failed: ${error.message}`;
  return new LumeoError(error.code, message, { ...error.details, cause: error, servers: [server] });
}
