// The folder of one store: who it is. The file `volume` is written when the store is formatted;
// its uuid makes a wiped or replaced folder another store for ever (chunk protocol, rule 2). The
// stores of one chunkserver also name that: it has the uuid of the first of them.

import {
  ByteReader,
  ByteWriter,
  type Crc32c,
  type Disk,
  LumeoError,
  type ServerId,
  serverId,
} from "@lumeofs/base";

const FILE = "volume";
const DRAFT = "volume.new";
const MAGIC = "LUMEOVOL";
const VERSION = 2;
/** Without the uuid of the server, which had no other disks. */
const VERSION_OF_ONE_DISK = 1;
const FILE_BYTES_MAX = 4096;
/** Folders that only a formatted store has. */
const CONTENT = ["log", "chunks"] as const;

/** What the masters have given this store. */
export interface Membership {
  readonly serverId: ServerId;
  readonly clusterId: string;
}

/** Uuids in lower case with hyphens. */
export interface VolumeName {
  readonly uuid: string;
  /** Of the chunkserver that it belongs to. */
  readonly server: string;
}

/** A formatted folder. */
export class Volume {
  readonly #disk: Disk;
  readonly #crc32c: Crc32c;
  #membership: Membership | undefined;
  readonly uuid: string;
  readonly server: string;

  private constructor(
    disk: Disk,
    { uuid, server }: VolumeName,
    crc32c: Crc32c,
    membership: Membership | undefined,
  ) {
    this.#disk = disk;
    this.#crc32c = crc32c;
    this.#membership = membership;
    this.uuid = uuid;
    this.server = server;
  }

  /**
   * Reads the volume file, or formats an empty folder as the only one of a new server.
   *
   * @param newUuid  A uuid that was never used.
   * @throws LumeoError as `find`.
   */
  static async open(disk: Disk, newUuid: () => string, crc32c: Crc32c): Promise<Volume> {
    const found = await Volume.find(disk, crc32c);
    if (found !== undefined) return found;
    const uuid = newUuid();
    return Volume.format(disk, { uuid, server: uuid }, crc32c);
  }

  /**
   * Reads the volume file; undefined if the folder is empty.
   *
   * @throws LumeoError CORRUPT if the file is damaged, or is missing beside data.
   */
  static async find(disk: Disk, crc32c: Crc32c): Promise<Volume | undefined> {
    if (await disk.exists(FILE)) return Volume.#read(disk, crc32c);
    for (const folder of CONTENT) {
      if (await disk.exists(folder)) {
        const hint = "restore it, or empty the folder to begin with a new store";
        throw new LumeoError("CORRUPT", `Cannot open store: "${FILE}" is missing; ${hint}`);
      }
    }
    return undefined;
  }

  /** Makes an empty folder a store. */
  static async format(disk: Disk, name: VolumeName, crc32c: Crc32c): Promise<Volume> {
    const volume = new Volume(disk, name, crc32c, undefined);
    await volume.#write(undefined);
    return volume;
  }

  /** Undefined until the store has registered for the first time. */
  get membership(): Membership | undefined {
    return this.#membership;
  }

  /** The uuid as 16 bytes. */
  get owner(): Uint8Array {
    const digits = this.uuid.replaceAll("-", "");
    return Uint8Array.from({ length: 16 }, (_, i) => {
      return Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
    });
  }

  /** Keeps what the masters said: known only when it is durable. A rejection is final. */
  async join(membership: Membership): Promise<void> {
    const known = this.#membership;
    if (known?.serverId === membership.serverId && known.clusterId === membership.clusterId) return;
    await this.#write(membership);
    this.#membership = membership;
  }

  static async #read(disk: Disk, crc32c: Crc32c): Promise<Volume> {
    const file = await disk.open(FILE, { create: false });
    try {
      const buffer = new Uint8Array(FILE_BYTES_MAX);
      const bytes = buffer.subarray(0, await file.readAt(buffer, 0));
      const { name, membership } = decode(bytes, crc32c);
      await disk.syncFolder(""); // its writer may have been killed before it did
      return new Volume(disk, name, crc32c, membership);
    } finally {
      await file.close();
    }
  }

  async #write(membership: Membership | undefined): Promise<void> {
    const file = await this.#disk.open(DRAFT, { create: true });
    try {
      await file.truncate(0);
      await file.writeAt([encode(this, membership, this.#crc32c)], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(DRAFT, FILE);
    await this.#disk.syncFolder("");
  }
}

function encode(
  { uuid, server }: VolumeName,
  membership: Membership | undefined,
  crc32c: Crc32c,
): Uint8Array {
  const text = new TextEncoder();
  const writer = new ByteWriter(256).bytes(text.encode(MAGIC)).u32(VERSION);
  writer
    .sized(text.encode(uuid))
    .sized(text.encode(server))
    .u53(membership?.serverId ?? 0);
  writer.sized(text.encode(membership?.clusterId ?? ""));
  return writer.u32(crc32c(writer.finish())).finish();
}

function decode(
  bytes: Uint8Array,
  crc32c: Crc32c,
): { readonly name: VolumeName; readonly membership: Membership | undefined } {
  const end = Math.max(0, bytes.byteLength - 4);
  const text = new TextDecoder();
  const content = bytes.subarray(0, end);
  const crc = end < MAGIC.length ? undefined : new ByteReader(bytes.subarray(end)).u32();
  const isIntact = crc === crc32c(content);
  const reader = new ByteReader(content);
  if (!isIntact || text.decode(reader.bytes(MAGIC.length)) !== MAGIC) {
    const hint = "empty the folder to begin with a new store; the masters repair from other copies";
    throw new LumeoError("CORRUPT", `Cannot open store: "${FILE}" is damaged; ${hint}`);
  }
  const version = reader.u32();
  if (version !== VERSION && version !== VERSION_OF_ONE_DISK) {
    const what = `"${FILE}" has version ${version}, this program knows ${VERSION}`;
    throw new LumeoError("CORRUPT", `Cannot open store: ${what}`);
  }
  const uuid = text.decode(reader.sized());
  const server = version === VERSION ? text.decode(reader.sized()) : uuid;
  const number = reader.u53();
  const clusterId = text.decode(reader.sized());
  const membership = number === 0 ? undefined : { serverId: serverId(number), clusterId };
  return { name: { uuid, server }, membership };
}
