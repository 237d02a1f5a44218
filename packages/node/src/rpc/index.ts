// Second entry point: gRPC without the servers' logs and metrics.
export type { BareMethod, BareStream } from "./bare-method.js";
export type {
  CallOptions,
  MethodDefinition,
  RpcCalls,
  RpcListener,
  RpcNetwork,
  StreamOptions,
} from "./calls.js";
export {
  download,
  openStream,
  RpcChannel,
  type RpcChannelOptions,
  unary,
  upload,
} from "./channel.js";
export { GRPC } from "./grpc.js";
export {
  type CallContext,
  type RpcMethod,
  serveDownload,
  serveStream,
  serveUnary,
  serveUpload,
} from "./handlers.js";
export { RPC_MESSAGE_BYTES_MAX } from "./limits.js";
export { RpcServer, type RpcServerOptions } from "./server.js";
export { decodeErrorDetail, encodeErrorDetail } from "./status.js";
export type { RpcStream } from "./stream.js";
