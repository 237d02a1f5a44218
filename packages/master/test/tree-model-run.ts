// Runs random histories against the state machine and against the model, and compares all that can
// be read of both: trees, snapshots, versions, the trash, usage.

import {
  type ChunkHandle,
  type Code,
  GRANT_SLOTS,
  isSameCode,
  unitCount,
  wallMs,
} from "@lumeofs/base";
import { changesPage, FEED_START } from "../src/metadata/changes.js";
import { getChunk, listedChunk } from "../src/metadata/chunk-table.js";
import type { Command, Reply } from "../src/metadata/command.js";
import { NO_QUOTA } from "../src/metadata/directory-record.js";
import { dueExpiries } from "../src/metadata/expiry.js";
import { getInlineBytes } from "../src/metadata/inline-table.js";
import type { JobId } from "../src/metadata/jobs.js";
import {
  listAt,
  snapshotsPage,
  statAt,
  trashPage,
  versionsPage,
} from "../src/metadata/past-queries.js";
import { effectivePolicy } from "../src/metadata/policy.js";
import { fileChunks, type NamedInode, releasedChunks, stat } from "../src/metadata/queries.js";
import { snapshotRevisions } from "../src/metadata/sweep-queries.js";
import {
  codedAs,
  commitOf,
  copyOf,
  inlineOf,
  MetadataDriver,
  removalOf,
  sealed,
} from "./metadata-driver.js";
import { audit } from "./state-audit.js";
import { expireTrash, reapAll, reapOnce, sweepHistory } from "./sweep-driver.js";
import {
  type FrozenDirectory,
  freeze,
  type HeldPolicy,
  lastName,
  type ModelDirectory,
  type ModelFile,
  usageBelow,
  World,
} from "./tree-model.js";
import type { Step } from "./tree-model-steps.js";

/** Key bytes that an empty cluster has, too: cluster, counters, inodes, the floor of the feed. */
const ALWAYS = /^(01|02|10|51)/;
const INODES = "10";
const COMPARE_EVERY = 6;

type StepOf<Kind extends Step["kind"]> = Extract<Step, { kind: Kind }>;

export class TreeRun {
  readonly driver: MetadataDriver;
  world = new World();
  /** For which chunks are converted. */
  readonly #job: JobId;
  /** What chunks were converted to last, and their handle before that, by the handle in lists. */
  readonly #conversions = new Map<ChunkHandle, { to: Code | undefined; from: ChunkHandle }>();

  /** @param apply The state machine, or a mutant of it. */
  constructor(apply?: ConstructorParameters<typeof MetadataDriver>[1]) {
    this.driver = new MetadataDriver(undefined, apply);
    const conversion = { kind: "policy" } as const;
    const wish = { kind: "createJob", job: "convert", subject: undefined, conversion } as const;
    const reply = this.driver.apply(wish);
    if (reply.kind !== "jobCreated") throw new Error(reply.kind);
    this.#job = reply.job;
  }

  /** A whole history, looked at often, and the end of everything. */
  async live(history: readonly Step[]): Promise<void> {
    for (const [i, step] of history.entries()) {
      await this.run(step);
      if (i % COMPARE_EVERY === 0) await this.compare();
    }
    await this.compare();
    await this.#empty();
    const left = this.driver.state.dump().split("\n");
    const inodes = left.filter((line) => line.startsWith(INODES));
    same(inodes.length, 1, "inodes at the end");
    same(
      left.filter((line) => !ALWAYS.test(line)),
      [],
      "left behind",
    );
  }

  /** Does the next step in both, and compares what they answer. */
  async run(drawn: Step): Promise<void> {
    const step = this.#withPaths(drawn);
    switch (step.kind) {
      case "commit":
        return this.#commit(step);
      case "makeDirectory":
        return this.#change({ ...step }, (world) => makeDirectory(world, step));
      case "rename":
        return this.#change({ ...step, fence: undefined }, (world) =>
          world.rename(step.source, step.target, step.overwrite),
        );
      case "remove": {
        const { skipTrash, recursive } = step;
        const how = { recursive, trashId: skipTrash ? 0 : this.driver.index + 1 };
        return this.#change(removalOf(step.path, recursive, { skipTrash }), (world) =>
          world.remove(step.path, { ...how, now: this.driver.now }),
        );
      }
      case "copy":
        return this.#copy(step);
      case "setMetadata":
        return this.#setMetadata(step);
      case "setPolicy":
        return this.#check(this.driver.policy(step.path, step.policy), step, (world) => {
          const found = world.directoryAt(step.path);
          if (found !== undefined) found.policy = step.policy;
          return found !== undefined;
        });
      case "setQuota": {
        const quota = { ...NO_QUOTA, ...step.quota };
        return this.#change({ ...step, quota }, (world) => {
          const found = world.directoryAt(step.path);
          if (found !== undefined) found.quota = step.quota;
          return found !== undefined;
        });
      }
      case "createSnapshot":
        return this.#change(step, (world) => {
          const found = world.directoryAt(step.path);
          if (found === undefined || found.snapshots.has(step.name)) return false;
          found.snapshots.set(step.name, freeze(found));
          return true;
        });
      case "removeSnapshot":
        return this.#removeSnapshot(step);
      default:
        return this.#runOther(step);
    }
  }

  /** Everything that can be read is what the model says, and the state holds together. */
  async compare(): Promise<void> {
    const { state } = this.driver;
    same(await audit(state), [], "audit");
    await this.#compareTree("", this.world.root, true);
    for (const [path, node] of this.world.directories()) {
      const page = await snapshotsPage(state, { path, after: "", countMax: 9 });
      const names = page.kind === "page" ? page.found.map((one) => one.name) : [page.code];
      same(names, [...node.snapshots.keys()].sort(), `snapshots of ${path}`);
      const prefix = path === "/" ? "" : path;
      for (const [name, frozen] of node.snapshots) {
        await this.#compareTree(`${prefix}/.snapshot/${name}`, frozen, false);
      }
      await this.#compareVersions(prefix, node);
    }
    const trash = await trashPage(state, { after: 0, countMax: 1_000 });
    const items = trash.found.map(({ id, path, expiresAt, usage }) => ({
      id,
      path,
      expiresAt,
      usage,
    }));
    same(items, [...this.world.trash].map(modelTrashItem), "trash");
    for (const handle of this.world.neededHandles()) {
      const chunk = listedChunk(state, handle)?.chunk;
      same([chunk !== undefined, chunk?.releasedAt], [true, undefined], `chunk ${handle}`);
    }
  }

  /** Takes everything away and lets the duties finish: only what is always there may be left. */
  async #empty(): Promise<void> {
    const { driver } = this;
    for (const [path, node] of this.world.directories()) {
      for (const name of node.snapshots.keys()) {
        driver.apply({ kind: "removeSnapshot", path, name });
      }
    }
    driver.policy("/", {});
    for (const name of this.world.root.entries.keys()) {
      driver.apply(removalOf(`/${name}`, true, { skipTrash: true }));
    }
    driver.apply({ kind: "purgeTrash", ids: [...this.world.trash.keys()] });
    for (let round = 0; round < 20; round++) {
      await reapAll(driver);
      await sweepHistory(driver);
    }
    driver.now += 1_000_000_000;
    await this.#expireFiles();
    await this.#forget(1_000_000);
    await this.#trim();
    driver.apply({ kind: "changeJob", job: this.#job, to: "cancelled", note: "" });
    driver.apply({ kind: "dropJobs", jobs: [this.#job] });
    const grants = Array.from({ length: driver.index }, (_, i) => (i + 1) as never);
    driver.apply({ kind: "expireGrants", grants, unusedSince: wallMs(driver.now) });
  }

  /** The step with the paths that it stands for now. */
  #withPaths(step: Step): Step {
    const directories = [...this.world.directories().keys()];
    const things = [...directories.slice(1), ...this.world.files().keys(), "/a"];
    const resolve = (path: string): string => {
      const list = path.startsWith("!") ? directories : things;
      return path.startsWith("/") ? path : (list[Number(path.slice(1)) % list.length] as string);
    };
    const paths: Record<string, string> = {};
    for (const [field, value] of Object.entries(step)) {
      const isPath = field === "path" || field === "source" || field === "target";
      if (isPath && typeof value === "string") paths[field] = resolve(value);
    }
    return { ...step, ...paths } as Step;
  }

  #removeSnapshot({ pick }: StepOf<"removeSnapshot">): void {
    const all = [...this.world.directories()].flatMap(([path, { snapshots }]) =>
      [...snapshots.keys()].map((name) => ({ path, name })),
    );
    const picked = all[pick % Math.max(1, all.length)];
    if (picked === undefined) return;
    this.#change({ kind: "removeSnapshot", ...picked }, (world) => {
      return world.directoryAt(picked.path)?.snapshots.delete(picked.name) ?? false;
    });
  }

  async #runOther(step: Step): Promise<void> {
    const { driver } = this;
    switch (step.kind) {
      case "restore":
        return this.#restore(step);
      case "purge": {
        const id = [...this.world.trash.keys()][step.pick % Math.max(1, this.world.trash.size)];
        if (id === undefined) return;
        return this.#change({ kind: "purgeTrash", ids: [id] }, (world) => world.trash.delete(id));
      }
      case "removeVersion":
        return this.#removeVersion(step);
      case "convert":
        return this.#convert(step);
      case "tick":
        driver.now += step.ms;
        return;
      case "reap":
        await reapOnce(driver);
        return;
      case "sweep":
        return this.#sweep();
      case "expireTrash": {
        await expireTrash(driver);
        for (const [id, item] of this.world.trash) {
          if (item.expiresAt <= driver.now) this.world.trash.delete(id);
        }
        return;
      }
      case "expireFiles":
        return this.#expireDue();
      case "forget":
        return this.#forget(GRANT_SLOTS);
      case "trim":
        return this.#trim();
    }
  }

  #change(command: Command, effect: (world: World) => boolean): void {
    this.#check(this.driver.apply(command), command, effect);
  }

  /** The model does the same to a copy of itself, and keeps the copy if it could. */
  #check(reply: Reply, what: unknown, effect: (world: World) => boolean): void {
    const next = this.world.copy();
    const works = effect(next);
    const fits = !works || !next.exceedsQuota(this.world);
    const expected = works && fits ? "done" : "refused";
    const actual = reply.kind === "refused" ? "refused" : "done";
    same(actual, expected, JSON.stringify([what, reply]));
    if (!fits) same(reply.kind === "refused" ? reply.code : "", "QUOTA", JSON.stringify(what));
    if (actual === "done") this.world = next;
  }

  #commit(step: StepOf<"commit">): void {
    if (0 < step.inlineBytes) return this.#commitInline(step);
    const { path, parents, absent, code } = step;
    const width = code === undefined ? 3 : unitCount(code);
    const handles = step.count === 0 ? [] : this.driver.grants(step.count, width);
    const command = commitOf(path, handles, {
      ...(code === undefined ? {} : { chunks: handles.map((handle) => codedAs(code, handle)) }),
      code,
      makeParents: parents,
      precondition: { kind: absent ? "absent" : "none" },
      ttlMs: step.ttlMs,
    });
    this.#change(command, (world) => {
      if (absent && world.find(path) !== undefined) return false;
      return world.putFile(path, this.#newFile(world, step, handles), parents);
    });
  }

  /** Its bytes tell it from every other content, and its handle is drawn by the masters. */
  #commitInline(step: StepOf<"commit">): void {
    const { path, parents: makeParents, absent, ttlMs, inlineBytes } = step;
    const bytes = new Uint8Array(inlineBytes).fill(this.driver.index);
    const precondition = { kind: absent ? "absent" : "none" } as const;
    const command = inlineOf(path, bytes, { makeParents, precondition, ttlMs });
    this.#change(command, (world) => {
      if (absent && world.find(path) !== undefined) return false;
      const fresh = this.#newFile(world, { ...step, code: undefined }, this.#newest(path));
      return world.putFile(path, { ...fresh, inline: hexOf(bytes) }, makeParents);
    });
  }

  /** Chunks of a file if the last command has made it. */
  #newest(path: string): readonly ChunkHandle[] {
    const found = stat(this.driver.state, path);
    if (found.kind === "refused" || found.inode.kind !== "file") return [];
    return found.inode.revision === this.driver.index ? found.inode.inline : [];
  }

  /** Whoever has the chunk has the new one; nothing else is seen of it. */
  #convert({ pick, to, isStale }: StepOf<"convert">): void {
    const { driver } = this;
    const needed = [...this.world.neededHandles()].sort((a, b) => a - b);
    const listed = needed[pick % Math.max(1, needed.length)];
    if (listed === undefined) return;
    const [fresh] = driver.grant(1, to === undefined ? 3 : unitCount(to));
    const now = listedChunk(driver.state, listed)?.handle;
    const before = this.#conversions.get(listed)?.from;
    const handle = isStale ? before : now;
    if (fresh === undefined || handle === undefined) return;
    const like = getChunk(driver.state, handle);
    if (like === undefined) return;
    const { lengthBytes, crc32c } = like;
    const made = to === undefined ? sealed(fresh) : codedAs(to, fresh);
    const chunk = { ...made, lengthBytes, crc32c };
    const reply = driver.apply({ kind: "replaceChunk", job: this.#job, handle, chunk });
    const isKept = listedChunk(driver.state, listed)?.chunk.isInline === true;
    const isRefused = isStale || isKept;
    same(reply.kind, isRefused ? "refused" : "done", JSON.stringify(reply));
    if (!isRefused) this.#conversions.set(listed, { to, from: handle });
  }

  #newFile(
    world: World,
    step: Pick<StepOf<"commit">, "path" | "ttlMs" | "code">,
    handles: readonly ChunkHandle[],
  ): ModelFile {
    const ttlMs = step.ttlMs ?? world.policyAt(step.path).ttlMs;
    const expiresAt = ttlMs === 0 ? 0 : this.driver.now + ttlMs;
    const { index: revision } = this.driver;
    const { code } = step;
    const kept = { inline: undefined, metadata: {}, expiresAt, mayBeLate: false };
    return { kind: "file", handles, revision, code, ...kept };
  }

  async #copy(step: StepOf<"copy">): Promise<void> {
    const source = await this.#sourceOf(step);
    if (source === undefined) return;
    const { target, overwrite, parents } = step;
    const { path, file, inode } = source;
    const more = { sourceInode: inode, overwrite, makeParents: parents };
    const isSame = inode === undefined ? path === target : inode === this.#inodeAt(target);
    this.#change(copyOf(path, target, more), (world) => {
      if (file === undefined || isSame) return false;
      if (!overwrite && world.find(target) !== undefined) return false;
      const fresh = this.#newFile(
        world,
        { path: target, ttlMs: undefined, code: file.code },
        file.handles,
      );
      const { metadata, inline } = file;
      return world.putFile(target, { ...fresh, metadata, inline }, parents);
    });
  }

  #inodeAt(path: string): unknown {
    const found = stat(this.driver.state, path);
    return found.kind === "found" ? found.id : undefined;
  }

  /** Undefined if there is no such source to be had. */
  async #sourceOf(step: StepOf<"copy">): Promise<
    | {
        readonly path: string;
        readonly file: ModelFile | undefined;
        readonly inode: NamedInode["id"] | undefined;
      }
    | undefined
  > {
    if (step.from === "live") {
      const node = this.world.find(step.source);
      return {
        path: step.source,
        file: node?.kind === "file" ? node : undefined,
        inode: undefined,
      };
    }
    const all = step.from === "snapshot" ? this.#frozenFiles() : this.#versions();
    const picked = all[step.pick % Math.max(1, all.length)];
    if (picked === undefined) return undefined;
    const version = step.from === "version" ? picked.file.revision : undefined;
    const found = await statAt(this.driver.state, { path: picked.path, version });
    if (found.kind === "refused") throw new Error(`${picked.path}: ${found.message}`);
    return { ...picked, inode: found.id };
  }

  #frozenFiles(): readonly { readonly path: string; readonly file: ModelFile }[] {
    const all: { path: string; file: ModelFile }[] = [];
    const visit = (path: string, node: ModelFile | FrozenDirectory): void => {
      if (node.kind === "file") all.push({ path, file: node });
      else for (const [name, child] of node.entries) visit(`${path}/${name}`, child);
    };
    for (const [path, { snapshots }] of this.world.directories()) {
      const prefix = path === "/" ? "" : path;
      for (const [name, frozen] of snapshots) visit(`${prefix}/.snapshot/${name}`, frozen);
    }
    return all;
  }

  #versions(): readonly { readonly path: string; readonly file: ModelFile }[] {
    return [...this.world.directories()].flatMap(([path, { past }]) =>
      [...past].flatMap(([name, files]) =>
        files.map((file) => ({ path: path === "/" ? `/${name}` : `${path}/${name}`, file })),
      ),
    );
  }

  #setMetadata(step: StepOf<"setMetadata">): void {
    const metadata = { k: step.value };
    this.#check(this.driver.setMetadata(step.path, metadata), step, (world) => {
      const node = world.find(step.path);
      if (node?.kind === "directory") node.metadata = metadata;
      if (node?.kind === "file") {
        const parent = world.parentOf(step.path, false);
        parent?.entries.set(lastName(step.path), { ...node, metadata });
      }
      return node !== undefined;
    });
  }

  #restore({ pick, target }: StepOf<"restore">): void {
    const id = [...this.world.trash.keys()][pick % Math.max(1, this.world.trash.size)];
    if (id === undefined) return;
    this.#change({ kind: "restoreTrash", id, target }, (world) => world.restore(id, target));
  }

  async #removeVersion({ pick }: StepOf<"removeVersion">): Promise<void> {
    const all = this.#versions();
    const picked = all[pick % Math.max(1, all.length)];
    if (picked === undefined) return;
    const { path, file } = picked;
    const version = file.revision;
    const before = version + 1;
    const page = await versionsPage(this.driver.state, { path, before, countMax: 1 });
    const ended = page.kind === "page" ? (page.found[0]?.ended ?? 0) : 0;
    this.#change({ kind: "removeVersion", path, version, ended }, (world) => {
      const parent = world.parentOf(path, false);
      const rest = parent?.past.get(lastName(path))?.filter((one) => one.revision !== version);
      parent?.past.set(lastName(path), rest ?? []);
      return true;
    });
  }

  /** What the sweep leaves must be enough, and without snapshots no more than that. */
  async #sweep(): Promise<void> {
    const { state } = this.driver;
    await sweepHistory(this.driver);
    const isExact = (await snapshotRevisions(state, 10)).length === 0;
    for (const [path, node] of this.world.directories()) {
      for (const [name, files] of node.past) {
        const full = path === "/" ? `/${name}` : `${path}/${name}`;
        const { versions } = this.world.policyAt(full);
        const page = await versionsPage(state, { path: full, before: 0, countMax: 1_000 });
        const left = new Set(page.kind === "page" ? page.found.map((one) => one.version) : []);
        const due = versions === 0 ? [] : files.slice(-versions);
        for (const { revision } of due) same(left.has(revision), true, `${full} ${revision}`);
        if (isExact) same(left.size, due.length, `versions of ${full}`);
        node.past.set(
          name,
          files.filter(({ revision }) => left.has(revision)),
        );
      }
    }
  }

  async #expireDue(): Promise<void> {
    await this.#expireFiles();
    for (const [path, file] of this.world.files()) {
      if (file.expiresAt === 0 || this.driver.now < file.expiresAt) continue;
      const isGone = stat(this.driver.state, path).kind === "refused";
      same(isGone || file.mayBeLate, true, `${path} is overdue`);
      if (!isGone) continue;
      this.world.keepVersion(path, file);
      this.world.parentOf(path, false)?.entries.delete(lastName(path));
    }
  }

  async #expireFiles(): Promise<void> {
    for (;;) {
      const files = await dueExpiries(this.driver.state, wallMs(this.driver.now), 3);
      if (files.length === 0) return;
      this.driver.apply({ kind: "expireFiles", files });
    }
  }

  async #forget(countMax: number): Promise<void> {
    const at = wallMs(this.driver.now);
    const handles = await releasedChunks(this.driver.state, at, countMax);
    if (0 < handles.length) this.driver.apply({ kind: "forgetChunks", handles });
  }

  async #trim(): Promise<void> {
    const changes = await changesPage(this.driver.state, FEED_START, 1_000_000);
    const floor = changes.at(-1)?.revision;
    if (floor !== undefined) this.driver.apply({ kind: "trimChanges", changes, floor });
  }

  async #compareTree(
    path: string,
    node: ModelDirectory | FrozenDirectory,
    isLive: boolean,
  ): Promise<void> {
    const entries = await this.#list(path === "" ? "/" : path);
    const names = entries.map((entry) => lastName(entry.path));
    same(names, [...node.entries.keys()].sort(), `names in ${path}`);
    if (isLive && "quota" in node) this.#compareDirectory(path, node);
    for (const entry of entries) {
      const child = node.entries.get(lastName(entry.path));
      same(entry.inode.kind, child?.kind, entry.path);
      if (child?.kind === "directory") await this.#compareTree(entry.path, child, isLive);
      if (child?.kind === "file") this.#compareFile(entry, child);
    }
  }

  async #list(path: string): Promise<readonly NamedInode[]> {
    const entries: NamedInode[] = [];
    for (let after = ""; ; ) {
      const page = await listAt(this.driver.state, { path, after, countMax: 2 });
      if (page.kind === "refused") throw new Error(page.message);
      entries.push(...page.entries);
      if (!page.hasMore) return entries;
      after = page.last;
    }
  }

  #compareDirectory(path: string, node: ModelDirectory): void {
    const found = stat(this.driver.state, path === "" ? "/" : path);
    if (found.kind === "refused" || found.inode.kind === "file") throw new Error(path);
    const { usage, metadata, childCount } = found.inode;
    same(usage, usageBelow(node), `usage of ${path}`);
    same([metadata, childCount], [node.metadata, node.entries.size], `metadata of ${path}`);
    const held = effectivePolicy(this.driver.state, found.id);
    const said = this.world.policyAt(`${path}/x`);
    same(fieldsOf(held), fieldsOf(said), `policy of ${path}`);
  }

  #compareFile({ path, id, inode }: NamedInode, file: ModelFile): void {
    if (inode.kind === "directory") throw new Error(path);
    const chunks = fileChunks(this.driver.state, { id, inode }, { first: 0, countMax: 1_000 });
    const handles = chunks.map(({ listed }) => listed);
    const isAsWritten = chunks.every(({ listed, chunk }) => {
      const converted = this.#conversions.get(listed);
      return isSameCode(chunk.coding, converted === undefined ? file.code : converted.to);
    });
    const { revision, metadata, expiresAt } = inode;
    const isMeant = isSameCode(inode.code, file.code);
    const [kept] = chunks.filter(({ chunk }) => chunk.isInline);
    const bytes = kept === undefined ? undefined : getInlineBytes(this.driver.state, kept.handle);
    same(bytes && hexOf(bytes), file.inline, `bytes of ${path}`);
    same(
      { handles, revision, metadata, expiresAt, isAsWritten, isMeant },
      {
        handles: file.handles,
        revision: file.revision,
        metadata: file.metadata,
        expiresAt: file.expiresAt,
        isAsWritten: true,
        isMeant: true,
      },
      path,
    );
  }

  async #compareVersions(prefix: string, node: ModelDirectory): Promise<void> {
    for (const [name, files] of node.past) {
      const path = `${prefix}/${name}`;
      const page = await versionsPage(this.driver.state, { path, before: 0, countMax: 1_000 });
      const found = page.kind === "page" ? page.found : [];
      const byRevision = [...files].sort((a, b) => b.revision - a.revision);
      same(
        found.map((one) => one.version),
        byRevision.map((one) => one.revision),
        `versions of ${path}`,
      );
      for (const [i, { id, inode }] of found.entries()) {
        this.#compareFile({ kind: "found", path, id, inode }, byRevision[i] as ModelFile);
      }
    }
  }
}

/** What the model knows of a policy, in one order. */
function fieldsOf(policy: HeldPolicy): readonly unknown[] {
  const { versions, trashMs, ttlMs, code, codeAfterMs, codeFallback } = policy;
  return [versions, trashMs, ttlMs, code, codeAfterMs, codeFallback];
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function makeDirectory(world: World, step: StepOf<"makeDirectory">): boolean {
  const old = world.find(step.path);
  if (old !== undefined) return old.kind === "directory" && step.parents;
  const parent = world.parentOf(step.path, step.parents);
  if (parent === undefined) return false;
  parent.entries.set(lastName(step.path), world.newDirectory());
  return true;
}

function modelTrashItem([id, item]: [
  number,
  World["trash"] extends Map<number, infer T> ? T : never,
]) {
  const usage = usageBelow(item.node);
  if (item.node.kind === "directory") usage.directories++;
  return { id, path: item.path, expiresAt: item.expiresAt, usage };
}

function same(actual: unknown, expected: unknown, what: string): void {
  const [a, e] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (a !== e) throw new Error(`${what}: ${a}, expected ${e}`);
}
