// The next server of a write's chain: what is sent there, and how its failure is named.

import { LumeoError, type ServerId } from "@lumeofs/base";
import type {
  ChainLink,
  Exchange,
  FramePool,
  OpeningMessage,
  WriteData,
  WriteDone,
} from "@lumeofs/node/frames";

/** The rest of a write's way, as a promise that never rejects unheard. */
export class NextHop {
  /** Settles with the next server's answer. */
  readonly done: Promise<WriteDone>;
  #failedBy: LumeoError | undefined;

  readonly #end: () => void;
  /** Frames that have not left yet, and the answer when all have. */
  #awaited = 0;
  #sentFrames = 0;

  private constructor(
    readonly link: ChainLink,
    readonly exchange: Exchange,
    connection: {
      readonly pool: FramePool;
      readonly release: () => void;
      /** Ends the request there because nobody answers. */
      readonly giveUp: (reason: LumeoError) => void;
    },
  ) {
    const unwatch = connection.pool.watch({
      servers: [link],
      progress: () => (this.#awaited === 0 ? undefined : this.#sentFrames),
      giveUp: connection.giveUp,
    });
    this.#end = () => {
      unwatch();
      connection.release();
    };
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
          const { connection } = lease;
          return new NextHop(link, connection.request(first), {
            pool,
            release: () => lease.release(),
            giveUp: (reason) => connection.close(reason),
          });
        } catch (error) {
          lease.release();
          throw error;
        }
      }
      const connection = await pool.shared(route);
      const exchange = connection.request(first, send.payload, sent);
      const hop = new NextHop(link, exchange, {
        pool,
        release: () => undefined,
        giveUp: (reason) => exchange.fail(reason),
      });
      hop.awaitAnswer();
      return hop;
    } catch (error) {
      sent();
      throw blamed(error, link.server);
    }
  }

  /**
   * Sends a piece of a stream on.
   *
   * @param sent  Called when the payload may be changed again.
   * @returns As Exchange.send.
   */
  send(
    message: WriteData,
    payload: readonly Uint8Array[],
    sent: () => void,
  ): Promise<void> | undefined {
    this.#awaited++;
    return this.exchange.send(message, payload, () => {
      this.#awaited--;
      this.#sentFrames++;
      sent();
    });
  }

  /** Everything is on its way: from now on its answer is awaited, and silence looked into. */
  awaitAnswer(): void {
    this.#awaited++;
  }

  /** Frees the connection. One that has not answered is closed, so that the write ends there. */
  close(): void {
    this.exchange.finish();
    this.#end();
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
