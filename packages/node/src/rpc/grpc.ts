import type { RpcNetwork } from "./calls.js";
import { GrpcCalls } from "./grpc-calls.js";
import { RpcServer } from "./server.js";

/** Calls between real processes. */
export const GRPC: RpcNetwork = {
  callsTo: (address, connectTimeoutMs) => new GrpcCalls(address, connectTimeoutMs),
  listen: (options, methods) => RpcServer.start(options, methods),
};
