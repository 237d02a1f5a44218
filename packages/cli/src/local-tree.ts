// What is in a local directory, found step by step: nothing grows with the size of the tree.

import { opendir, stat } from "node:fs/promises";
import { join } from "node:path";

export interface LocalEntry {
  /** As it can be opened. */
  readonly path: string;
  /** Names from the root of the walk on. */
  readonly names: readonly string[];
}

export type Found =
  | (LocalEntry & { readonly kind: "directory" })
  | (LocalEntry & { readonly kind: "file"; readonly bytes: number })
  /** Left out on purpose: `why` says it to people. */
  | (LocalEntry & { readonly kind: "skipped"; readonly why: string })
  | (LocalEntry & { readonly kind: "failed"; readonly error: unknown });

/**
 * Walks a directory, parents before their children.
 *
 * Links are followed, as `scp -r` does, or skipped. A link to a directory that encloses it is
 * always skipped: there is no end behind it. Sockets, pipes and devices are skipped.
 */
export async function* walkTree(root: string, followLinks: boolean): AsyncGenerator<Found> {
  yield* walk({ path: root, names: [] }, { followLinks, enclosing: [] });
}

interface WalkOptions {
  readonly followLinks: boolean;
  /** Identities of the directories on the way from the root. */
  readonly enclosing: readonly string[];
}

async function* walk(folder: LocalEntry, options: WalkOptions): AsyncGenerator<Found> {
  try {
    const identity = await identityOf(folder.path);
    if (options.enclosing.includes(identity)) {
      yield { ...folder, kind: "skipped", why: "links to a directory around it" };
      return;
    }
    yield { ...folder, kind: "directory" };
    const inside = { ...options, enclosing: [...options.enclosing, identity] };
    for await (const child of await opendir(folder.path)) {
      const entry = { path: join(folder.path, child.name), names: [...folder.names, child.name] };
      if (child.isSymbolicLink() && !options.followLinks) {
        yield { ...entry, kind: "skipped", why: "symbolic link" };
      } else {
        yield* visit(entry, inside);
      }
    }
  } catch (error) {
    yield { ...folder, kind: "failed", error };
  }
}

async function* visit(entry: LocalEntry, options: WalkOptions): AsyncGenerator<Found> {
  // A name that is not UTF-8 cannot be opened again by the text that stands for it.
  if (entry.path.includes("\ufffd")) {
    yield { ...entry, kind: "failed", error: new Error("its name is not UTF-8") };
    return;
  }
  const found = await stat(entry.path).catch((error: unknown) => ({ error }));
  if ("error" in found) {
    yield { ...entry, kind: "failed", error: found.error };
  } else if (found.isDirectory()) {
    yield* walk(entry, options);
  } else if (found.isFile()) {
    yield { ...entry, kind: "file", bytes: found.size };
  } else {
    yield { ...entry, kind: "skipped", why: "neither a file nor a directory" };
  }
}

async function identityOf(path: string): Promise<string> {
  const { dev, ino } = await stat(path, { bigint: true });
  return `${dev}:${ino}`;
}
