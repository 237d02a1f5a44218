import { type InodeId, inodeId, ROOT_INODE, wallMs } from "@lumeofs/base";
import test from "ava";
import { MemoryState } from "../../test/memory-state.js";
import { NO_USAGE, type Quota, type Usage } from "./directory-record.js";
import { emptyDirectory, mustGetDirectory, putInode } from "./inodes.js";
import { addUsage, moveUsage, pathOf, refuseExcess, USAGE_MAX } from "./usage.js";

const now = { index: 1, at: wallMs(1), emitted: { count: 0 } };
const id = {
  root: ROOT_INODE,
  a: inodeId(2),
  ab: inodeId(3),
  abc: inodeId(4),
  d: inodeId(5),
  trash: inodeId(6),
};
type Name = keyof typeof id;

/** / with a/b/c and d, and a directory that no path leads to. */
function tree(usages: Partial<Record<Name, Usage>>, quotas: Partial<Record<Name, Quota>> = {}) {
  const state = new MemoryState();
  const put = (name: Name, parent?: InodeId, last = name as string): void => {
    const place = parent === undefined ? undefined : { parent, name: last };
    const directory = emptyDirectory(now, place);
    const usage = usages[name] ?? NO_USAGE;
    const quota = quotas[name] ?? directory.quota;
    putInode(state, id[name], { ...directory, usage, quota });
  };
  put("root");
  put("a", id.root);
  put("ab", id.a, "b");
  put("abc", id.ab, "c");
  put("d", id.root);
  put("trash");
  return state;
}

function sum(sizeBytes: number, files = 0, directories = 0): Usage {
  return { sizeBytes, files, directories };
}

function usages(state: MemoryState): Record<string, Usage> {
  const names = Object.keys(id) as Name[];
  return Object.fromEntries(names.map((name) => [name, mustGetDirectory(state, id[name]).usage]));
}

test("what is added to a directory is added to all above it, and to no other", (t) => {
  const state = tree({});
  t.is(addUsage(state, id.ab, sum(10, 2, 1)), undefined);
  t.is(addUsage(state, id.a, sum(-4, -1)), undefined);
  t.is(addUsage(state, id.trash, sum(7)), undefined);
  t.deepEqual(usages(state), {
    root: sum(6, 1, 1),
    a: sum(6, 1, 1),
    ab: sum(10, 2, 1),
    abc: NO_USAGE,
    d: NO_USAGE,
    trash: sum(7),
  });
});

test("adding nothing reads and writes nothing", (t) => {
  const state = tree({});
  const { reads, writes } = state;
  t.is(addUsage(state, id.abc, NO_USAGE), undefined);
  t.deepEqual([state.reads, state.writes], [reads, writes]);
});

test("a quota above the directory refuses what would go beyond it, and says where and how much", (t) => {
  const usage = sum(90, 3);
  const start = { root: usage, a: usage, ab: usage };
  const state = tree(start, { a: { sizeBytes: 100, files: undefined } });
  t.is(addUsage(state, id.abc, sum(10)), undefined);
  const excess = addUsage(state, id.abc, sum(1));
  t.like(excess, { directory: id.a, what: "sizeBytes", limit: 100, holds: 100, more: 1 });
  if (excess === undefined) return;
  const refused = refuseExcess(state, 'Cannot write "/a/b/c/f"', excess);
  t.is(refused.code, "QUOTA");
  const where = 'directory "/a" holds 100 bytes of at most 100, and 1 more would be added';
  t.is(
    refused.message,
    `Cannot write "/a/b/c/f": ${where}; remove something there or raise its quota`,
  );
});

test("files have their quota, and directories are not files", (t) => {
  const state = tree({}, { a: { sizeBytes: undefined, files: 1 } });
  t.is(addUsage(state, id.a, sum(1_000_000, 1)), undefined);
  t.is(addUsage(state, id.a, sum(1_000_000, 0, 5)), undefined);
  t.like(addUsage(state, id.a, sum(0, 1)), { what: "files", limit: 1, holds: 1 });
});

test("U2: what is above its quota already may shrink and stay, but not grow", (t) => {
  const quota = { sizeBytes: 10, files: 1 };
  const state = tree({ root: sum(100, 5), a: sum(100, 5) }, { a: quota });
  t.is(addUsage(state, id.a, sum(-10, -1)), undefined);
  t.is(addUsage(state, id.a, sum(0, 0, 1)), undefined);
  t.is(addUsage(state, id.a, sum(-5, 0)), undefined);
  t.like(addUsage(state, id.a, sum(-5, 1)), { what: "files", limit: 1, holds: 4 });
});

test("a quota of nothing keeps all out but what is empty", (t) => {
  const state = tree({}, { a: { sizeBytes: 0, files: 1 } });
  t.is(addUsage(state, id.a, sum(0, 1)), undefined);
  t.like(addUsage(state, id.a, sum(1, 0)), { what: "sizeBytes", limit: 0 });
});

test("moving below a directory that is full is no growth of it", (t) => {
  const moved = sum(40, 2, 1);
  const start = { root: sum(40, 2, 4), a: sum(40, 2, 3), ab: sum(40, 2, 2), abc: moved };
  const state = tree(start, { a: { sizeBytes: 10, files: 1 } });
  t.is(moveUsage(state, { from: id.abc, to: id.a }, moved, NO_USAGE), undefined);
  t.like(usages(state), { ...start, ab: sum(0, 0, 1), abc: NO_USAGE });
  const excess = moveUsage(state, { from: id.a, to: id.d }, sum(1), NO_USAGE);
  t.is(excess, undefined);
  t.like(moveUsage(state, { from: id.d, to: id.ab }, sum(1), NO_USAGE), { directory: id.a });
});

test("a move to another branch changes both branches and what is above both", (t) => {
  const start = { root: sum(30, 3), a: sum(20, 2), ab: sum(20, 2), abc: sum(5, 1), d: sum(10, 1) };
  const state = tree(start);
  t.is(moveUsage(state, { from: id.abc, to: id.d }, sum(5, 1), sum(10, 1)), undefined);
  t.like(usages(state), {
    root: sum(20, 2),
    a: sum(15, 1),
    ab: sum(15, 1),
    abc: NO_USAGE,
    d: sum(5, 1),
  });
});

test("a replacement within one directory only takes away what is replaced", (t) => {
  const state = tree({ root: sum(30, 3), a: sum(30, 3) });
  t.is(moveUsage(state, { from: id.a, to: id.a }, sum(5, 1), sum(10, 1)), undefined);
  t.like(usages(state), { root: sum(20, 2), a: sum(20, 2) });
});

test("more bytes than can be counted are refused, whatever the quota", (t) => {
  const state = tree({ root: sum(USAGE_MAX - 5), d: sum(0) });
  const excess = addUsage(state, id.d, sum(6));
  t.like(excess, { directory: ROOT_INODE, limit: USAGE_MAX });
  if (excess === undefined) return;
  t.is(refuseExcess(state, "Cannot write", excess).code, "NO_SPACE");
});

test("a directory's path is made of the names above it", (t) => {
  const state = tree({});
  t.is(pathOf(state, id.root), "/");
  t.is(pathOf(state, id.abc), "/a/b/c");
});
