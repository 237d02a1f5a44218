// @lumeofs/node/frames: the data plane (docs/formats/data-plane.md).
export { type Address, formatAddress, parseAddress } from "./address.js";
export { blockCrcs, crcOfBlocks, firstBadBlock } from "./blocks.js";
export type { ByteListener, ByteReceiver, ByteSocket, DataNetwork } from "./data-network.js";
export { Exchange } from "./exchange.js";
export { encodeFrameHead, type Frame, FrameDecoder, type FrameHead } from "./frame-codec.js";
export { type ConnectOptions, FrameConnection } from "./frame-connection.js";
export {
  type ExclusiveConnection,
  FramePool,
  type FramePoolOptions,
  type Route,
} from "./frame-pool.js";
export { FrameServer, type FrameServerOptions, type RequestHandler } from "./frame-server.js";
export { ReceivedFrame } from "./frame-socket.js";
export {
  CHAIN_LENGTH_MAX,
  CHUNK_BYTES_MAX,
  CHUNKS_PER_FRAME_MAX,
  PAYLOAD_BYTES_MAX,
  REQUESTS_PER_CONNECTION_MAX,
} from "./limits.js";
export type {
  AskedChunk,
  BlockCrcs,
  ChainLink,
  FileFound,
  FileLookup,
  Hello,
  ManyData,
  Message,
  OpeningMessage,
  Read,
  ReadData,
  ReadEnd,
  ReadMany,
  Refusal,
  Welcome,
  WriteData,
  WriteDone,
  WriteMany,
  WriteOpen,
  WriteSmall,
} from "./message.js";
export type {
  Append,
  Appended,
  AppendFound,
  AppendLookup,
  TailAnswer,
  TailData,
  TailEnd,
  TailMessage,
  TailOpening,
  TailRead,
  TailReply,
} from "./tail-message.js";
export { TCP } from "./tcp.js";
export type { WatchedWrite } from "./write-watch.js";
