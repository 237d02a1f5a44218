// Random histories of commands, against a simple tree in memory: names, contents, child counts, and
// that no chunk is ever lost or freed twice.

import { type ChunkHandle, GRANT_SLOTS, type InodeId, ROOT_INODE, wallMs } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { getChunk, isGarbage } from "../src/metadata/chunk-table.js";
import type { Reply } from "../src/metadata/command.js";
import { isLive } from "../src/metadata/grants.js";
import { getInode } from "../src/metadata/inodes.js";
import {
  fileChunks,
  listPage,
  type NamedInode,
  releasedChunks,
  stat,
} from "../src/metadata/queries.js";
import { commitOf, MetadataDriver, removalOf, sealed, wholeCrc } from "./metadata-driver.js";
import { reapAll, reapOnce } from "./sweep-driver.js";

type Node = { kind: "file"; handles: readonly ChunkHandle[] } | { kind: "directory"; at: Tree };
type Tree = Map<string, Node>;

type Step =
  | { kind: "commit"; path: string; count: number; parents: boolean; absent: boolean }
  | { kind: "upload"; path: string; pieces: readonly number[]; end: "commit" | "abort" | "leave" }
  | { kind: "makeDirectory"; path: string; parents: boolean }
  | { kind: "rename"; source: string; target: string; overwrite: boolean }
  | { kind: "remove"; path: string; recursive: boolean }
  | { kind: "reap" }
  | { kind: "forget" }
  | { kind: "expire" }
  | { kind: "repeat" };

const name = fc.constantFrom("a", "b", "c", "ü");
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => `/${names.join("/")}`);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant("commit" as const),
    path,
    count: fc.constantFrom(0, 1, 2, 9, 70),
    parents: fc.boolean(),
    absent: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant("upload" as const),
    path,
    pieces: fc.array(fc.constantFrom(1, 100, 256), { maxLength: 4 }),
    end: fc.constantFrom("commit" as const, "abort" as const, "leave" as const),
  }),
  fc.record({ kind: fc.constant("makeDirectory" as const), path, parents: fc.boolean() }),
  fc.record({
    kind: fc.constant("rename" as const),
    source: path,
    target: path,
    overwrite: fc.boolean(),
  }),
  fc.record({ kind: fc.constant("remove" as const), path, recursive: fc.boolean() }),
  fc.constantFrom<Step>(
    { kind: "reap" },
    { kind: "forget" },
    { kind: "expire" },
    { kind: "repeat" },
  ),
);

class Model {
  readonly driver = new MetadataDriver();
  readonly root: Tree = new Map();
  readonly consumed = new Set<ChunkHandle>();
  readonly uploads: InodeId[] = [];
  #sequence = 0;
  #repeat: (() => void) | undefined;

  /** Applies the step to both; `check` gets what the state machine said and what it should say. */
  async run(step: Step, check: (actual: boolean, expected: boolean, what: string) => void) {
    const agree = (reply: Reply, expected: boolean): void =>
      check(reply.kind !== "refused", expected, JSON.stringify([step, reply]));
    switch (step.kind) {
      case "commit":
        return agree(...this.#commit(step));
      case "upload":
        return this.#upload(step, agree);
      case "makeDirectory":
        return agree(this.#apply(step), this.#makeDirectory(step.path, step.parents));
      case "rename":
        return agree(this.#apply({ ...step, fence: undefined }), this.#rename(step));
      case "remove": {
        const reply = this.#apply(removalOf(step.path, step.recursive));
        return agree(reply, this.#remove(step.path, step.recursive));
      }
      case "repeat":
        return this.#repeat?.();
      case "reap":
        await reapOnce(this.driver);
        return;
      case "forget":
        return forgetOnce(this.driver);
      case "expire": {
        const unusedSince = wallMs(this.driver.now);
        this.driver.apply({ kind: "expireUploads", uploads: this.uploads.splice(0), unusedSince });
      }
    }
  }

  /** Applies with a request id, and remembers how to send the same again. */
  #apply(command: Parameters<MetadataDriver["apply"]>[0]): Reply {
    if (this.#sequence === 0) this.driver.apply({ kind: "openSession" });
    this.#sequence++;
    const sequence = this.#sequence;
    const request = { session: 1 as never, sequence, answeredBelow: sequence };
    const reply = this.driver.apply(command, request);
    this.#repeat = () => {
      const before = this.driver.state.dump();
      const again = this.driver.apply(command, request);
      if (JSON.stringify(again) !== JSON.stringify(reply)) throw new Error("another answer");
      if (this.driver.state.dump() !== before) throw new Error("a repetition changed the state");
    };
    return reply;
  }

  #commit(step: Extract<Step, { kind: "commit" }>): [Reply, boolean] {
    const handles = this.driver.grants(step.count);
    const reply = this.#apply(
      commitOf(step.path, handles, {
        makeParents: step.parents,
        precondition: { kind: step.absent ? "absent" : "none" },
      }),
    );
    return [reply, this.#place(step, handles)];
  }

  #upload(step: Extract<Step, { kind: "upload" }>, agree: (r: Reply, e: boolean) => void): void {
    const begun = this.#apply({ kind: "beginUpload", path: step.path });
    if (begun.kind !== "uploadBegun") return agree(begun, this.#isBlocked(step.path));
    const { upload } = begun;
    const all: ChunkHandle[] = [];
    for (const count of step.pieces) {
      const handles = this.driver.grants(count);
      const chunks = handles.map(sealed);
      agree(this.#apply({ kind: "addChunks", upload, first: all.length, chunks }), true);
      all.push(...handles);
      for (const handle of handles) this.consumed.add(handle);
    }
    if (step.end === "leave") this.uploads.push(upload);
    if (step.end === "abort") agree(this.#apply({ kind: "abortUpload", upload }), true);
    if (step.end !== "commit") return;
    const last = this.driver.grants(2);
    all.push(...last);
    const more = { upload, crc32c: wholeCrc(all.length), makeParents: true };
    const placed = this.#place({ path: step.path, parents: true, absent: false }, all);
    agree(this.#apply(commitOf(step.path, last, more)), placed);
  }

  /** An upload is refused to begin only at a directory or below a file. */
  #isBlocked(target: string): boolean {
    const node = this.#find(target);
    if (node?.kind === "directory") return false;
    return this.#parent(target, false) !== "blocked";
  }

  #place(
    step: { path: string; parents: boolean; absent: boolean },
    handles: readonly ChunkHandle[],
  ): boolean {
    const node = this.#find(step.path);
    if (node?.kind === "directory" || (node !== undefined && step.absent)) return false;
    const parent = this.#parent(step.path, step.parents);
    if (typeof parent === "string") return false;
    parent.set(lastName(step.path), { kind: "file", handles });
    for (const handle of handles) this.consumed.add(handle);
    return true;
  }

  #makeDirectory(target: string, parents: boolean): boolean {
    const node = this.#find(target);
    if (node !== undefined) return node.kind === "directory" && parents;
    const parent = this.#parent(target, parents);
    if (typeof parent === "string") return false;
    parent.set(lastName(target), { kind: "directory", at: new Map() });
    return true;
  }

  #rename(step: Extract<Step, { kind: "rename" }>): boolean {
    const node = this.#find(step.source);
    if (node === undefined) return false;
    if (step.source === step.target) return true;
    if (node.kind === "directory" && step.target.startsWith(`${step.source}/`)) return false;
    const old = this.#find(step.target);
    if (old !== undefined && (old.kind !== node.kind || !step.overwrite)) return false;
    if (old?.kind === "directory" && 0 < old.at.size) return false;
    const to = this.#parent(step.target, false);
    const from = this.#parent(step.source, false);
    if (typeof to === "string" || typeof from === "string") return false;
    from.delete(lastName(step.source));
    to.set(lastName(step.target), node);
    return true;
  }

  #remove(target: string, recursive: boolean): boolean {
    const node = this.#find(target);
    const parent = this.#parent(target, false);
    if (node === undefined || typeof parent === "string") return false;
    if (node.kind === "directory" && 0 < node.at.size && !recursive) return false;
    return parent.delete(lastName(target));
  }

  #find(target: string): Node | undefined {
    const parent = this.#parent(target, false);
    return typeof parent === "string" ? undefined : parent.get(lastName(target));
  }

  #parent(target: string, make: boolean): Tree | "missing" | "blocked" {
    let tree = this.root;
    const made: (() => void)[] = [];
    for (const part of target.slice(1).split("/").slice(0, -1)) {
      const node = tree.get(part);
      if (node?.kind === "file") return "blocked";
      if (node === undefined && !make) return "missing";
      const next = node?.at ?? new Map<string, Node>();
      const at = tree;
      if (node === undefined) made.push(() => at.set(part, { kind: "directory", at: next }));
      tree = next;
    }
    for (const link of made) link();
    return tree;
  }
}

test("random histories give the tree, the contents and the chunks that a simple model gives", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const model = new Model();
      for (const next of steps) {
        await model.run(next, (actual, expected, what) => t.is(actual, expected, what));
      }
      await compareTree(model, "/", model.root);
      await accountForChunks(model);
    }),
    { numRuns: 150 },
  );
});

async function compareTree(model: Model, at: string, tree: Tree): Promise<void> {
  const { state } = model.driver;
  const entries: NamedInode[] = [];
  for (let after = ""; ; ) {
    const page = await listPage(state, { path: at, after, countMax: 2 });
    if (page.kind === "refused") throw new Error(page.message);
    entries.push(...page.entries);
    after = page.last;
    if (!page.hasMore) break;
  }
  const names = entries.map((entry) => lastName(entry.path));
  same(names, [...tree.keys()].sort(), at);
  const self = stat(state, at);
  if (self.kind === "refused" || self.inode.kind !== "directory") throw new Error(at);
  same(self.inode.childCount, tree.size, `child count of ${at}`);
  for (const { path: inner, id, inode } of entries) {
    const node = tree.get(lastName(inner));
    same(inode.kind, node?.kind, inner);
    if (node?.kind === "directory") await compareTree(model, inner, node.at);
    if (node?.kind !== "file" || inode.kind !== "file") continue;
    const chunks = fileChunks(state, { id, inode }, { first: 0, countMax: 100_000 });
    same(
      chunks.map((chunk) => chunk.handle),
      node.handles,
      `chunks of ${inner}`,
    );
    same(
      chunks.every(({ chunk }) => chunk.releasedAt === undefined),
      true,
      inner,
    );
  }
}

/** Every consumed handle is a chunk of a file or upload, or released, or forgotten: once. */
async function accountForChunks(model: Model): Promise<void> {
  const { driver, consumed } = model;
  for (const handle of consumed) {
    same(isLive(driver.state, handle), false, `consumed ${handle} is live`);
  }
  const inTree = new Set(handlesOf(model.root));
  driver.apply({
    kind: "expireUploads",
    uploads: model.uploads.splice(0),
    unusedSince: wallMs(driver.now),
  });
  await reapAll(driver);
  const released = new Set(await releasedChunks(driver.state, wallMs(driver.now), 1_000_000));
  for (const handle of consumed) {
    const record = getChunk(driver.state, handle);
    const places = [inTree.has(handle), released.has(handle), record === undefined];
    same(places.filter(Boolean).length, 1, `places of ${handle}: ${places.join()}`);
    same(record?.releasedAt !== undefined, released.has(handle), `mark of ${handle}`);
    same(isGarbage(driver.state, handle), record === undefined, `garbage ${handle}`);
  }
  same(
    [...released].every((handle) => consumed.has(handle)),
    true,
    "released but not consumed",
  );
  same(getInode(driver.state, ROOT_INODE)?.kind, "directory", "root");
}

function handlesOf(tree: Tree): readonly ChunkHandle[] {
  return [...tree.values()].flatMap((node) =>
    node.kind === "file" ? node.handles : handlesOf(node.at),
  );
}

async function forgetOnce(driver: MetadataDriver): Promise<void> {
  const handles = await releasedChunks(driver.state, wallMs(driver.now), GRANT_SLOTS);
  driver.apply({ kind: "forgetChunks", handles });
}

function lastName(text: string): string {
  return text.slice(text.lastIndexOf("/") + 1);
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`${what}: ${a}, expected ${e}`);
}
