/** Something opened that must be closed; closing twice is harmless. */
export interface Closable {
  close(): Promise<void>;
}

/**
 * What has been opened so far, closed in reverse order.
 *
 * `await using opening = new ResourceStack()` closes all if a later line throws; `move()` hands
 * them over when everything has succeeded.
 */
export class ResourceStack implements Closable {
  #open: Closable[] = [];

  use<T extends Closable>(resource: T): T {
    this.#open.push(resource);
    return resource;
  }

  move(): ResourceStack {
    const moved = new ResourceStack();
    moved.#open = this.#open;
    this.#open = [];
    return moved;
  }

  /** Closes all; the first failure is thrown after the rest has been closed. */
  async close(): Promise<void> {
    const failures: unknown[] = [];
    for (let next = this.#open.pop(); next !== undefined; next = this.#open.pop()) {
      await next.close().catch((error: unknown) => failures.push(error));
    }
    if (0 < failures.length) throw failures[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
