// One chunk of a file while a span of it is read: where it is, as far as that is known now.
//
// J1. The masters may keep a chunk in another way meanwhile, as units or as copies again, under
//     another handle: its bytes are the same.

import { isSameCode, LumeoError } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { ChunkMap } from "./chunk-map.js";
import type { LocatedChunk } from "./operations.js";
import type { AdminClient } from "./rpc/admin-client.js";
import type { Span } from "./span.js";

/** What is to be read. */
export interface SpanWish {
  readonly span: Span;
  /** Name of the only chunkserver that may be asked; undefined for any. */
  readonly onlyReplica: string | undefined;
}

export class ChunkTarget {
  readonly file: ChunkMap;
  readonly wish: SpanWish;
  readonly #admin: AdminClient;
  #chunk: LocatedChunk;
  #isTokenNew = false;
  #isOther = false;

  private constructor(
    file: ChunkMap,
    wish: SpanWish,
    found: { readonly admin: AdminClient; readonly chunk: LocatedChunk },
  ) {
    this.file = file;
    this.wish = wish;
    this.#admin = found.admin;
    this.#chunk = found.chunk;
  }

  /** @throws LumeoError NOT_FOUND if the only server that may be asked has no replica. */
  static async find(
    call: Call,
    file: ChunkMap,
    wish: SpanWish,
    admin: AdminClient,
  ): Promise<ChunkTarget> {
    const chunk = only(await file.locate(call, wish.span.chunk), wish);
    return new ChunkTarget(file, wish, { admin, chunk });
  }

  get chunk(): LocatedChunk {
    return this.#chunk;
  }

  /** The masters have just given the token. */
  get isTokenNew(): boolean {
    return this.#isTokenNew;
  }

  /** The chunk is kept in another way than when it was found (J1). */
  get isOtherwiseKept(): boolean {
    return this.#isOther;
  }

  /** Asks where the chunk is now; there is a new token in any case. */
  async relocate(call: Call): Promise<void> {
    const { file, wish } = this;
    this.#isTokenNew = true;
    try {
      const asked = { handle: this.#chunk.handle, withLabels: file.withLabels };
      this.#goTo(await this.#admin.locate(asked, call));
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      if (error.code !== "NOT_FOUND") return; // what is known must do
      // A chunk that is gone belongs to a file that changed, or has another handle now (J1).
      const chunk = await file.locateAnew(call, wish.span.chunk);
      if (wish.onlyReplica !== undefined && chunk?.handle === this.#chunk.handle) throw error;
      if (chunk !== undefined) this.#goTo(chunk);
    }
  }

  #goTo(located: LocatedChunk): void {
    const { file, wish } = this;
    file.relocated(wish.span.chunk, located);
    this.#isOther ||= !isSameCode(located.coding, this.#chunk.coding);
    this.#chunk = only(located, wish);
  }
}

/** The chunk with the replicas that may be asked. */
function only(chunk: LocatedChunk, { onlyReplica }: SpanWish): LocatedChunk {
  if (onlyReplica === undefined) return chunk;
  const replicas = chunk.replicas.filter(({ name }) => name === onlyReplica);
  const what = `Cannot read chunk ${chunk.handle} from "${onlyReplica}"`;
  if (chunk.isInline) {
    const why = "the masters keep it themselves, and no chunkserver has it";
    throw new LumeoError("INVALID_ARGUMENT", `${what}: ${why}`);
  }
  if (chunk.coding !== undefined) {
    const why = "it is coded, and no server has all of it";
    throw new LumeoError("INVALID_ARGUMENT", `${what}: ${why}`);
  }
  if (0 < replicas.length) return { ...chunk, replicas };
  throw new LumeoError("NOT_FOUND", `${what}: it has no replica there`);
}
