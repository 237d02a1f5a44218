import type { ChannelOptions } from "@grpc/grpc-js";
import { MiB } from "@lumeofs/base";

/** No message of ours is larger; larger streams are cut into messages by their sender. */
export const RPC_MESSAGE_BYTES_MAX = 16 * MiB;

const KEEPALIVE_MS = 5_000;
const KEEPALIVE_TIMEOUT_MS = 5_000;

/** What both ends of a connection agree on. */
export const TRANSPORT_OPTIONS = {
  "grpc.max_receive_message_length": RPC_MESSAGE_BYTES_MAX,
  "grpc.max_send_message_length": RPC_MESSAGE_BYTES_MAX,
  "grpc.keepalive_time_ms": KEEPALIVE_MS,
  "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc-node.flow_control_window": 1 * MiB,
} as const satisfies ChannelOptions;
