// What the two sides of a data-plane connection say to each other (docs/formats/data-plane.md).
// The domain view of a frame's header: a closed union, with ids already checked.

import type { ChunkHandle, Epoch, ErrorCode, ServerId } from "@lumeofs/base";
import type { TailAnswer, TailOpening } from "./tail-message.js";

/** A replica that a write still has to reach. */
export interface ChainLink {
  readonly server: ServerId;
  /** host:port of its data plane. */
  readonly address: string;
}

/** One CRC32C (four bytes, little-endian) for each 64 KiB block of a payload. */
export type BlockCrcs = Uint8Array;

/** Records of a chunk by the primaries that wrote them: [server, count] each. */
export type WireClock = readonly (readonly [ServerId, number])[];

/**
 * The masters' word that the request may be served (docs/formats/capability-token.md). A server
 * that passes a write on passes its token on with it.
 */
export interface WithToken {
  readonly token?: Uint8Array;
}

export interface Hello {
  readonly type: "hello";
  readonly role: "client" | "server";
  /** Empty while the opener does not know it. */
  readonly clusterId: string;
  /** For people and logs. */
  readonly name: string;
}

export interface Welcome {
  readonly type: "welcome";
  readonly serverId: ServerId;
  readonly storeUuid: string;
}

export interface WriteSmall extends WithToken {
  readonly type: "writeSmall";
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  /** Where it goes next, in order, without the receiver. */
  readonly chain: readonly ChainLink[];
  /** The primary, when a server passes the chunk on; absent from a client: the receiver is. */
  readonly primary?: ServerId;
  readonly length: number;
  /** Of the whole chunk. */
  readonly crc32c: number;
  readonly crcs: BlockCrcs;
}

/**
 * Several small chunks of one grant, under handles in a row, for the receiver alone: the writer
 * sends the same to every replica.
 */
export interface WriteMany extends WithToken {
  readonly type: "writeMany";
  /** Of the first chunk. */
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly primary: ServerId;
  /** Bytes of each chunk (four bytes, little-endian): at least 1, at most a block. */
  readonly lengths: Uint8Array;
  /** One CRC32C for each chunk. */
  readonly crcs: BlockCrcs;
}

export interface WriteOpen extends WithToken {
  readonly type: "writeOpen";
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly chain: readonly ChainLink[];
  readonly primary?: ServerId;
}

export interface WriteData {
  readonly type: "writeData";
  readonly offset: number;
  readonly crcs: BlockCrcs;
}

export interface WriteClose {
  readonly type: "writeClose";
  readonly length: number;
  readonly crc32c: number;
}

export interface WriteDone {
  readonly type: "writeDone";
  readonly length: number;
  readonly crc32c: number;
  /** Who has the chunk durably. */
  readonly servers: readonly ServerId[];
}

export interface WriteAbort {
  readonly type: "writeAbort";
}

export interface Read extends WithToken {
  readonly type: "read";
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly offset: number;
  readonly length: number;
}

export interface ReadData {
  readonly type: "readData";
  /** Of the first payload byte in the chunk: a multiple of 64 KiB. */
  readonly offset: number;
  readonly crcs: BlockCrcs;
}

export interface ReadEnd {
  readonly type: "readEnd";
  /** Of the whole chunk. */
  readonly length: number;
  readonly crc32c: number;
  /** Of the replica's record under the epoch that was asked for. */
  readonly seq: number;
  readonly clock: WireClock;
}

/** One of the chunks that are asked for together. */
export interface AskedChunk extends WithToken {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
}

/** Asks for small chunks, each as a whole. */
export interface ReadMany {
  readonly type: "readMany";
  readonly chunks: readonly AskedChunk[];
}

/** Those that could be given: of the others nothing is said, they are asked for one by one. */
export interface ManyData {
  readonly type: "manyData";
  /** Bytes of each chunk (four bytes, little-endian) that was asked for; 0: not given. */
  readonly lengths: Uint8Array;
  /** One CRC32C for each chunk; 0 for those that are not given. */
  readonly crcs: BlockCrcs;
}

export interface ReadCancel {
  readonly type: "readCancel";
}

/** Asks where the file of a chunk lies, to read it without the server (docs/design/0032). */
export interface FileLookup extends WithToken {
  readonly type: "fileLookup";
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
}

/** A file of the server's machine that holds one chunk and nothing else. */
export interface FileFound {
  readonly type: "fileFound";
  /** Absolute. */
  readonly path: string;
  /** What the kernel calls its file system and the file, in decimal digits. */
  readonly device: string;
  readonly inode: string;
  /** Of the whole chunk. */
  readonly length: number;
  readonly crc32c: number;
  /** Of the chunk's blocks, one behind the other: the frame has no payload. */
  readonly blocks: BlockCrcs;
}

export interface Refusal {
  readonly type: "error";
  readonly code: ErrorCode;
  readonly message: string;
  /** Numbers of the chunkservers that failed. */
  readonly servers: readonly number[];
}

/** Starts a request: the opener chooses a new number for it. */
export type OpeningMessage =
  | WriteSmall
  | WriteMany
  | WriteOpen
  | Read
  | ReadMany
  | FileLookup
  | TailOpening;
/** Goes on with a request of the opener. */
export type ContinuingMessage = WriteData | WriteClose | WriteAbort | ReadCancel;
/** Comes back from the accepter. */
export type AnswerMessage =
  | WriteDone
  | ReadData
  | ReadEnd
  | ManyData
  | FileFound
  | TailAnswer
  | Refusal;

export type Message = Hello | Welcome | OpeningMessage | ContinuingMessage | AnswerMessage;

/** The numbers in a frame's third byte. Never reused for another meaning. */
export const TYPE_NUMBERS = {
  hello: 1,
  welcome: 2,
  writeSmall: 10,
  writeOpen: 11,
  writeData: 12,
  writeClose: 13,
  writeDone: 14,
  writeAbort: 15,
  writeMany: 16,
  read: 20,
  readData: 21,
  readEnd: 22,
  readCancel: 23,
  readMany: 24,
  manyData: 25,
  fileLookup: 26,
  fileFound: 27,
  error: 30,
  append: 40,
  appended: 41,
  tailRead: 42,
  tailData: 43,
  tailEnd: 44,
  appendLookup: 45,
  appendFound: 46,
  tailMessage: 47,
  tailReply: 48,
} as const satisfies Record<Message["type"], number>;

export const TYPE_NAMES: ReadonlyMap<number, Message["type"]> = new Map(
  Object.entries(TYPE_NUMBERS).map(([name, number]) => [number, name as Message["type"]]),
);

const OPENING: ReadonlySet<Message["type"]> = new Set<OpeningMessage["type"]>([
  "writeSmall",
  "writeMany",
  "writeOpen",
  "read",
  "readMany",
  "fileLookup",
  "append",
  "tailRead",
  "appendLookup",
  "tailMessage",
]);

/** Whether a message of this type starts a request. */
export function opensRequest(message: Message): message is OpeningMessage {
  return OPENING.has(message.type);
}

/** Messages with which an answer comes to its end; after all others more is to come. */
const ENDS: ReadonlySet<Message["type"]> = new Set<Message["type"]>([
  "writeDone",
  "readEnd",
  "manyData",
  "fileFound",
  "appended",
  "tailEnd",
  "appendFound",
  "tailReply",
  "error",
]);

/** Whether a message of this type is the last one of an answer. */
export function endsAnswer(type: Message["type"]): boolean {
  return ENDS.has(type);
}

/** Whether a message of this type comes back from the accepter of a request. */
export function isAnswer(type: Message["type"]): boolean {
  return endsAnswer(type) || type === "readData" || type === "tailData";
}
