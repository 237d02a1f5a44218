// The cluster as the commands see it: the part of the SDK that they use, so that tests can put a
// fake in its place.

/** A file or directory. */
export interface RemoteEntry {
  readonly path: string;
  readonly kind: "file" | "dir";
  readonly size: number;
  readonly version: string;
  readonly etag: string;
  readonly createdAt: Date;
  readonly modifiedAt: Date;
  /** CRC32C of the content, eight hexadecimal digits; files only. */
  readonly crc32c?: string;
  readonly replicas?: number;
  readonly chunkSize?: number;
  readonly chunkCount?: number;
}

export interface RemoteReplica {
  /** Name of the chunkserver. */
  readonly id: string;
  readonly role: string;
  readonly state: string;
  readonly address: string;
}

export interface RemoteChunk {
  readonly handle: number;
  readonly epoch: number;
  readonly length: number;
  readonly crc32c: string;
  readonly replicas: readonly RemoteReplica[];
}

export interface StoreOptions {
  readonly signal: AbortSignal;
  readonly chunkSize?: number;
  readonly replicas?: number;
  readonly ifAbsent?: boolean;
  readonly ifMatch?: string;
  /** Bytes that went in since the last call. */
  readonly onBytes: (count: number) => void;
}

export interface StoreResult {
  readonly path: string;
  readonly version: string;
  readonly etag: string;
  readonly size: number;
  readonly crc32c: string;
  readonly chunks: number;
}

export interface FetchOptions {
  readonly signal: AbortSignal;
  /** Bytes from `start` up to, not including, `end`. */
  readonly range?: { readonly start: number; readonly end?: number };
}

/** The content of a file, once. Whoever asked for it reads it to its end or closes it. */
export interface Content extends AsyncIterable<Uint8Array> {
  readonly info: RemoteEntry;
  close(): Promise<void>;
}

export interface MasterStatus {
  readonly id: string;
  readonly address: string;
  /** leader, follower, candidate or unreachable. */
  readonly role: string;
  readonly term: number;
  readonly lastApplied: number;
}

export interface ChunkserverStatus {
  readonly id: string;
  readonly address: string;
  /** alive, suspect or dead. */
  readonly state: string;
  readonly chunks: number;
  readonly usedBytes: number;
  readonly capacityBytes: number;
  readonly damaged: number;
  readonly readOnly: boolean;
}

export interface ClusterStatus {
  readonly clusterId: string;
  /** Id of the leading master; empty without one. */
  readonly leader: string;
  readonly term: number;
  readonly masters: readonly MasterStatus[];
  readonly chunkservers: readonly ChunkserverStatus[];
}

/** A local file by its path, or bytes as they come. */
export type Source = { readonly file: string } | AsyncIterable<Uint8Array>;

export interface Client {
  put(path: string, source: Source, options: StoreOptions): Promise<StoreResult>;
  get(path: string, options: FetchOptions): Promise<Content>;
  stat(path: string, signal: AbortSignal): Promise<RemoteEntry>;
  /** The chunks of a file, with their replicas, in order. */
  chunks(path: string, signal: AbortSignal): Promise<readonly RemoteChunk[]>;
  /** Children of a directory in byte order, those after a name if one is given. */
  list(
    path: string,
    options: { readonly signal: AbortSignal; readonly after?: string },
  ): AsyncIterable<RemoteEntry>;
  mkdir(path: string, options: { signal: AbortSignal; parents: boolean }): Promise<void>;
  rename(
    source: string,
    target: string,
    options: { signal: AbortSignal; overwrite: boolean },
  ): Promise<void>;
  remove(path: string, options: { signal: AbortSignal; recursive: boolean }): Promise<void>;
  status(signal: AbortSignal): Promise<ClusterStatus>;
  close(): Promise<void>;
}

/** How commands come to a client; connecting happens only when one is needed. */
export type Connect = () => Promise<Client>;
