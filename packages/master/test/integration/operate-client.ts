// A client of the namespace stream for tests: one promise for each operation, no retries.

import { LumeoError } from "@lumeofs/base";
import { decodeErrorDetail, openStream, RpcChannel, type RpcStream } from "@lumeofs/node/rpc";
import { type lumeo, NamespaceService } from "@lumeofs/proto";

type Operation = Omit<lumeo.master.v1.IOperation, "id">;
type Result = lumeo.master.v1.IOperationResult;

type OperateStream = RpcStream<lumeo.master.v1.IOperateRequest, lumeo.master.v1.IOperateResponse>;

interface Waiting {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class OperateClient {
  readonly #channel: RpcChannel;
  readonly #stream: OperateStream;
  readonly #waiting = new Map<number, Waiting>();
  /** Messages of answers so far. */
  messages = 0;
  #lastId = 0;

  private constructor(channel: RpcChannel, stream: OperateStream) {
    this.#channel = channel;
    this.#stream = stream;
    void this.#listen();
  }

  static async connect(address: string): Promise<OperateClient> {
    const channel = new RpcChannel(address);
    return new OperateClient(channel, await openStream(channel, NamespaceService.operate));
  }

  /** Rejects with the error of the answer, or with what ended the stream. */
  async run(operation: Operation): Promise<Result> {
    const [answer] = this.runAll([operation]);
    return answer as Promise<Result>;
  }

  /** All in one message. */
  runAll(operations: readonly Operation[]): readonly Promise<Result>[] {
    const numbered = operations.map((operation) => ({ id: ++this.#lastId, ...operation }));
    const answers = numbered.map(
      ({ id }) =>
        new Promise<Result>((resolve, reject) => this.#waiting.set(id, { resolve, reject })),
    );
    this.#stream.send({ operations: numbered }).catch((error: unknown) => this.#failAll(error));
    return answers;
  }

  async close(): Promise<void> {
    this.#stream.cancel();
    await this.#channel.close();
  }

  async #listen(): Promise<void> {
    try {
      for await (const { results } of this.#stream) {
        this.messages++;
        for (const result of results ?? []) this.#settle(result);
      }
      this.#failAll(new LumeoError("CONNECTION_LOST", "The stream has ended"));
    } catch (error) {
      this.#failAll(error);
    }
  }

  #settle(result: Result): void {
    const waiting = this.#waiting.get(result.id ?? 0);
    this.#waiting.delete(result.id ?? 0);
    if (result.error) waiting?.reject(decodeErrorDetail(result.error));
    else waiting?.resolve(result);
  }

  #failAll(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}
