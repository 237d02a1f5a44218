// What is in a directory of the cluster, page by page: nothing grows with the size of the tree
// except the way from the root to where the walk is.

import type { Client, RemoteEntry } from "./client.js";
import { baseName } from "./remote-path.js";

export interface RemoteFound {
  readonly entry: RemoteEntry;
  /** Names from the root of the walk on. */
  readonly names: readonly string[];
}

/** Walks a directory in byte order of the names, parents before their children. */
export async function* walkRemote(
  client: Client,
  root: string,
  signal: AbortSignal,
): AsyncGenerator<RemoteFound> {
  yield* walk(root, []);

  async function* walk(path: string, names: readonly string[]): AsyncGenerator<RemoteFound> {
    for await (const entry of client.list(path, { signal })) {
      const found = { entry, names: [...names, baseName(entry.path)] };
      yield found;
      if (entry.kind === "dir") yield* walk(entry.path, found.names);
    }
  }
}
