// The namespace as its users are promised it, written down as plainly as possible: maps in maps,
// a full copy of a tree for each snapshot, and a full copy of everything before each command, so
// that what must not happen is simply not kept. It knows nothing of inodes, references or history.

import type { ChunkHandle, Code } from "@lumeofs/base";
import type { CodeFallback, CodePolicy } from "../src/metadata/directory-record.js";

export interface ModelFile {
  readonly kind: "file";
  readonly handles: readonly ChunkHandle[];
  readonly revision: number;
  /** What it was written as, and each of its chunks. */
  readonly code: Code | undefined;
  /** The bytes that came with its commit, in hex; undefined for a content of other chunks. */
  readonly inline: string | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** 0 for never. */
  readonly expiresAt: number;
  /** It has been in the trash: its end may be found later. */
  readonly mayBeLate: boolean;
}

export interface ModelDirectory {
  readonly kind: "directory";
  /** The same for all copies of one directory. */
  readonly id: number;
  readonly entries: Map<string, ModelNode>;
  /** Earlier contents by name, oldest first. */
  readonly past: Map<string, readonly ModelFile[]>;
  readonly snapshots: Map<string, FrozenDirectory>;
  policy: ModelPolicy;
  quota: ModelQuota;
  metadata: Readonly<Record<string, string>>;
}

export interface FrozenDirectory {
  readonly kind: "directory";
  readonly entries: ReadonlyMap<string, ModelFile | FrozenDirectory>;
}

export interface ModelPolicy {
  readonly versions?: number;
  readonly trashMs?: number;
  readonly ttlMs?: number;
  readonly code?: CodePolicy;
  readonly codeAfterMs?: number;
  readonly codeFallback?: CodeFallback;
}

/** What holds for the files of a directory. */
export type HeldPolicy = Required<Omit<ModelPolicy, "code">> & {
  readonly code: CodePolicy | undefined;
};

export interface ModelQuota {
  readonly sizeBytes?: number;
  readonly files?: number;
}

export type ModelNode = ModelFile | ModelDirectory;

export interface ModelTrash {
  readonly node: ModelNode;
  readonly path: string;
  readonly expiresAt: number;
}

export interface ModelUsage {
  sizeBytes: number;
  files: number;
  directories: number;
}

/** Bytes in a chunk of the tests. */
export const MODEL_CHUNK_BYTES = 4;

export class World {
  root: ModelDirectory = directory(0);
  readonly trash = new Map<number, ModelTrash>();
  #directories = 0;

  /** A copy that can be changed and thrown away. */
  copy(): World {
    const copy = new World();
    copy.root = copyOf(this.root) as ModelDirectory;
    for (const [id, item] of this.trash) copy.trash.set(id, { ...item, node: copyOf(item.node) });
    copy.#directories = this.#directories;
    return copy;
  }

  find(path: string): ModelNode | undefined {
    let node: ModelNode | undefined = this.root;
    for (const name of namesOf(path)) {
      node = node?.kind === "directory" ? node.entries.get(name) : undefined;
    }
    return node;
  }

  directoryAt(path: string): ModelDirectory | undefined {
    const node = this.find(path);
    return node?.kind === "directory" ? node : undefined;
  }

  /** The directory that a path's last name is in; missing ones are made if `make` says so. */
  parentOf(path: string, make: boolean): ModelDirectory | undefined {
    let node = this.root;
    for (const name of namesOf(path).slice(0, -1)) {
      let next = node.entries.get(name);
      if (next === undefined && make) {
        next = this.newDirectory();
        node.entries.set(name, next);
      }
      if (next?.kind !== "directory") return undefined;
      node = next;
    }
    return node;
  }

  newDirectory(): ModelDirectory {
    return directory(++this.#directories);
  }

  /** What holds for the files of the directory that a path's last name is in. */
  policyAt(path: string): HeldPolicy {
    let policy: ModelPolicy = this.root.policy;
    let node: ModelNode | undefined = this.root;
    for (const name of namesOf(path).slice(0, -1)) {
      node = node?.kind === "directory" ? node.entries.get(name) : undefined;
      if (node?.kind === "directory") policy = { ...policy, ...node.policy };
    }
    const ofCodes = { codeAfterMs: 0, codeFallback: "refuse" } as const;
    return { versions: 0, trashMs: 0, ttlMs: 0, code: undefined, ...ofCodes, ...policy };
  }

  /** Puts a file where nothing or a file is; false where it cannot go. */
  putFile(path: string, file: ModelFile, makeParents: boolean): boolean {
    const old = this.find(path);
    if (old?.kind === "directory" || path === "/") return false;
    const parent = this.parentOf(path, makeParents);
    if (parent === undefined) return false;
    if (old !== undefined) this.keepVersion(path, old);
    parent.entries.set(lastName(path), file);
    return true;
  }

  /** Keeps a file that loses its name, if the policy there says so. */
  keepVersion(path: string, node: ModelNode): void {
    if (node.kind === "directory" || this.policyAt(path).versions === 0) return;
    const parent = this.parentOf(path, false);
    const name = lastName(path);
    parent?.past.set(name, [...(parent.past.get(name) ?? []), node]);
  }

  remove(path: string, how: { recursive: boolean; trashId: number; now: number }): boolean {
    const node = this.find(path);
    const parent = this.parentOf(path, false);
    if (node === undefined || parent === undefined || path === "/") return false;
    if (node.kind === "directory") {
      if (0 < node.entries.size && !how.recursive) return false;
      if (0 < node.snapshots.size) return false;
    }
    const { trashMs } = this.policyAt(path);
    if (0 < trashMs && 0 < how.trashId) {
      this.trash.set(how.trashId, { node, path, expiresAt: how.now + trashMs });
    } else {
      this.keepVersion(path, node);
    }
    return parent.entries.delete(lastName(path));
  }

  rename(source: string, target: string, overwrite: boolean): boolean {
    const node = this.find(source);
    if (node === undefined || source === "/") return false;
    if (source === target) return true;
    if (node.kind === "directory" && target.startsWith(`${source}/`)) return false;
    const old = this.find(target);
    if (target === "/") return false;
    if (old !== undefined) {
      if (!overwrite || old.kind !== node.kind) return false;
      if (old.kind === "directory" && 0 < old.entries.size + old.snapshots.size) return false;
    }
    const [from, to] = [this.parentOf(source, false), this.parentOf(target, false)];
    if (from === undefined || to === undefined) return false;
    if (old !== undefined) this.keepVersion(target, old);
    from.entries.delete(lastName(source));
    to.entries.set(lastName(target), node);
    return true;
  }

  restore(id: number, target: string | undefined): boolean {
    const item = this.trash.get(id);
    if (item === undefined) return false;
    const path = target ?? item.path;
    if (this.find(path) !== undefined) return false;
    const parent = this.parentOf(path, true);
    if (parent === undefined) return false;
    this.trash.delete(id);
    parent.entries.set(lastName(path), late(item.node));
    return true;
  }

  /** Every directory that a path leads to, by its path. */
  directories(): Map<string, ModelDirectory> {
    const all = new Map<string, ModelDirectory>();
    const visit = (path: string, node: ModelDirectory): void => {
      all.set(path === "" ? "/" : path, node);
      for (const [name, child] of node.entries) {
        if (child.kind === "directory") visit(`${path}/${name}`, child);
      }
    };
    visit("", this.root);
    return all;
  }

  /** Every file that a path leads to, by its path. */
  files(): Map<string, ModelFile> {
    const all = new Map<string, ModelFile>();
    for (const [path, { entries }] of this.directories()) {
      for (const [name, child] of entries) {
        if (child.kind === "file") all.set(path === "/" ? `/${name}` : `${path}/${name}`, child);
      }
    }
    return all;
  }

  /** Chunks that somebody can still read, or bring back. */
  neededHandles(): ReadonlySet<ChunkHandle> {
    const needed = new Set<ChunkHandle>();
    const visit = (node: ModelNode | FrozenDirectory): void => {
      if (node.kind === "file") {
        for (const handle of node.handles) needed.add(handle);
        return;
      }
      for (const child of node.entries.values()) visit(child);
      if (!("past" in node)) return;
      for (const files of node.past.values()) files.forEach(visit);
      for (const snapshot of node.snapshots.values()) visit(snapshot);
    };
    visit(this.root);
    for (const { node } of this.trash.values()) visit(node);
    return needed;
  }

  /** Whether some directory holds more than its quota, and more than it did `before`. */
  exceedsQuota(before: World): boolean {
    const earlier = new Map<number, ModelUsage>();
    for (const node of before.directories().values()) earlier.set(node.id, usageBelow(node));
    for (const node of this.directories().values()) {
      const usage = usageBelow(node);
      const was = earlier.get(node.id);
      for (const what of ["sizeBytes", "files"] as const) {
        const limit = node.quota[what] ?? Number.POSITIVE_INFINITY;
        if (limit < usage[what] && was !== undefined && was[what] < usage[what]) return true;
      }
    }
    return false;
  }
}

/** All that lies below a node, the node itself not counted unless it is a file. */
export function usageBelow(node: ModelNode): ModelUsage {
  const usage = { sizeBytes: 0, files: 0, directories: 0 };
  if (node.kind === "file") {
    const { handles, inline } = node;
    const sizeBytes = inline === undefined ? handles.length * MODEL_CHUNK_BYTES : inline.length / 2;
    return { ...usage, sizeBytes, files: 1 };
  }
  for (const child of node.entries.values()) {
    const more = usageBelow(child);
    usage.sizeBytes += more.sizeBytes;
    usage.files += more.files;
    usage.directories += more.directories + (child.kind === "directory" ? 1 : 0);
  }
  return usage;
}

/** A full copy of a directory as it is: files never change. */
export function freeze(node: ModelDirectory): FrozenDirectory {
  const entries = new Map<string, ModelFile | FrozenDirectory>();
  for (const [name, child] of node.entries) {
    entries.set(name, child.kind === "file" ? child : freeze(child));
  }
  return { kind: "directory", entries };
}

export function lastName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function directory(id: number): ModelDirectory {
  return {
    kind: "directory",
    id,
    entries: new Map(),
    past: new Map(),
    snapshots: new Map(),
    policy: {},
    quota: {},
    metadata: {},
  };
}

function copyOf(node: ModelNode): ModelNode {
  if (node.kind === "file") return node;
  const entries = new Map<string, ModelNode>();
  for (const [name, child] of node.entries) entries.set(name, copyOf(child));
  return { ...node, entries, past: new Map(node.past), snapshots: new Map(node.snapshots) };
}

function late(node: ModelNode): ModelNode {
  if (node.kind === "file") return { ...node, mayBeLate: true };
  const entries = new Map<string, ModelNode>();
  for (const [name, child] of node.entries) entries.set(name, late(child));
  return { ...node, entries };
}

function namesOf(path: string): readonly string[] {
  return path === "/" ? [] : path.slice(1).split("/");
}
