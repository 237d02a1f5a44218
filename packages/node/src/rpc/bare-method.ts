// A method with its handler as messages of bytes in and out: what a network other than gRPC serves.

import type { MethodDefinition } from "@grpc/grpc-js";
import type { CallContext } from "./handlers.js";
import type { RpcStream } from "./stream.js";

/** Both directions of a stream of encoded messages, as the server sees it. */
export type BareStream = RpcStream<Uint8Array, Uint8Array>;

/** Each shape of call; whatever the handler throws is thrown here too. */
export type BareMethod =
  | {
      readonly kind: "unary";
      handle(request: Uint8Array, context: CallContext): Promise<Uint8Array>;
    }
  | {
      readonly kind: "upload";
      handle(requests: AsyncIterable<Uint8Array>, context: CallContext): Promise<Uint8Array>;
    }
  | {
      readonly kind: "download";
      handle(request: Uint8Array, context: CallContext): AsyncIterable<Uint8Array>;
    }
  | { readonly kind: "stream"; handle(stream: BareStream, context: CallContext): Promise<void> };

type Method<Q, A> = Pick<MethodDefinition<Q, A>, "requestDeserialize" | "responseSerialize">;

export function bareUnary<Q, A>(
  method: Method<Q, A>,
  handle: (request: Q, context: CallContext) => Promise<A>,
): BareMethod {
  return {
    kind: "unary",
    handle: async (request, context) =>
      method.responseSerialize(await handle(decoded(method, request), context)),
  };
}

export function bareUpload<Q, A>(
  method: Method<Q, A>,
  handle: (requests: AsyncIterable<Q>, context: CallContext) => Promise<A>,
): BareMethod {
  return {
    kind: "upload",
    handle: async (requests, context) =>
      method.responseSerialize(await handle(decodedAll(method, requests), context)),
  };
}

export function bareDownload<Q, A>(
  method: Method<Q, A>,
  handle: (request: Q, context: CallContext) => AsyncIterable<A>,
): BareMethod {
  return {
    kind: "download",
    handle: async function* (request, context) {
      for await (const answer of handle(decoded(method, request), context)) {
        yield method.responseSerialize(answer);
      }
    },
  };
}

export function bareStream<Q, A>(
  method: Method<Q, A>,
  handle: (stream: RpcStream<A, Q>, context: CallContext) => Promise<void>,
): BareMethod {
  return {
    kind: "stream",
    handle: (bare, context) => {
      const stream: RpcStream<A, Q> = {
        send: (answer) => bare.send(method.responseSerialize(answer)),
        end: () => bare.end(),
        cancel: (reason) => bare.cancel(reason),
        [Symbol.asyncIterator]: () => decodedAll(method, bare),
      };
      return handle(stream, context);
    },
  };
}

function decoded<Q, A>(method: Method<Q, A>, bytes: Uint8Array): Q {
  return method.requestDeserialize(Buffer.from(bytes));
}

async function* decodedAll<Q, A>(
  method: Method<Q, A>,
  messages: AsyncIterable<Uint8Array>,
): AsyncGenerator<Q, void, undefined> {
  for await (const bytes of messages) yield decoded(method, bytes);
}
