// Deliberate bugs in what the namespace keeps of the past. The histories of tree-model.test.ts are
// worth what they find: each of these within a bounded number of them.

import test from "ava";
import fc from "fast-check";
import type { Mutant } from "./sim/mutants.js";
import { withMutant } from "./sim/mutation.js";
import { TreeRun } from "./tree-model-run.js";
import { steps } from "./tree-model-steps.js";

const HISTORIES_MAX = 1_500;
/** The same histories in every run: a bug is found or it is not. */
const SEED = 7;

interface Bug {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const BUGS: readonly Bug[] = [
  {
    name: "forgets the snapshots of directories above",
    file: "history",
    find: "Math.max(recordCapturedAt(record), inherited)",
    replace: "recordCapturedAt(record)",
  },
  {
    name: "lets a moved directory forget what it owes to snapshots",
    file: "tree",
    find: "const capturedAt = capturedUpTo(state, found.id);",
    replace: "const { capturedAt } = found.inode;",
  },
  {
    name: "counts no reference of history to what was moved",
    file: "tree",
    find: "addReference(state, found.id);",
    replace: "",
  },
  {
    name: "frees what a snapshot shows when it is replaced",
    file: "tree",
    find: "isVersion || found.since <= capturedUpTo(state, parent)",
    replace: "isVersion",
  },
  {
    name: "changes the attributes of a file that a snapshot shows",
    file: "tree",
    find: "!isCaptured && !isShared(state, id)",
    replace: "!isShared(state, id)",
  },
  {
    name: "changes the attributes of a file that history refers to",
    file: "tree",
    find: "!isCaptured && !isShared(state, id)",
    replace: "!isCaptured",
  },
  {
    name: "lets an entry show the attributes from before an edit",
    file: "tree",
    find: "rewriteEntry(state, place,",
    replace: "void (state, place,",
  },
  {
    name: "does not count a copy of a content",
    file: "copy",
    find: "shareContent(state, content);",
    replace: "",
  },
  {
    name: "does not count the content that an edited file shares",
    file: "tree",
    find: "shareContent(state, content);",
    replace: "",
  },
  {
    name: "frees a content with its first file",
    file: "references",
    find: "if (lower(state, contentReferencesKey(content)))",
    replace: "if (false)",
  },
  {
    name: "keeps what was purged from the trash",
    file: "trash",
    find: "releaseInode(state, item.inode, now);",
    replace: "",
  },
  {
    name: "keeps what history dropped",
    file: "history",
    find: "releaseInode(state, past.inode, now);",
    replace: "",
  },
  {
    name: "lets a moved directory be as old as before",
    file: "tree",
    find: "{ ...inode, ...place, since: now.index }",
    replace: "{ ...inode, ...place }",
  },
  {
    name: "frees a directory before its history",
    file: "reap",
    find: "childCount !== 0 || historyCount !== 0 || snapshotCount !== 0",
    replace: "childCount !== 0 || snapshotCount !== 0",
  },
  {
    name: "lets snapshots of directories that are gone keep them",
    file: "inodes",
    find: "{ ...directory, parent: undefined, since: 0 }",
    replace: "{ ...directory, parent: undefined }",
  },
  {
    name: "still counts what was removed",
    file: "tree",
    find: "minus(NO_USAGE, usageOf(found.inode))",
    replace: "NO_USAGE",
  },
  {
    name: "restores beyond a quota, uncounted",
    file: "tree",
    find: "const excess = addUsage(state, to.place.parent, usageOf(inode));",
    replace: "const excess = undefined;",
  },
  {
    name: "removes a version that a snapshot shows",
    file: "versions",
    find: "past.since <= capturedUpTo(state, id.parent)",
    replace: "false",
  },
  {
    name: "keeps no version under its number",
    file: "tree",
    find: "isVersion ? found.inode.revision : 0",
    replace: "0",
  },
  {
    name: "forgets the end of a file that moves",
    file: "tree",
    find: `if (inode.kind === "file")
        scheduleExpiry(state, place, id, inode.expiresAt);`,
    replace: `if (inode.kind === "file")
        return;`,
  },
  {
    name: "lets lists lead to a chunk by its handle before the last conversion",
    file: "chunk-table",
    find: "chunk.listedAs ?? from.handle",
    replace: "from.handle",
  },
  {
    name: "keeps the way to a converted chunk that nobody has any more",
    file: "chunk-table",
    find: "state.delete(convertedKey(chunk.listedAs));",
    replace: "void 0;",
  },
  {
    name: "keeps the chunk that another one has taken the place of",
    file: "chunk-table",
    find: "releaseRecord(state, from.handle, chunk, at);",
    replace: "",
  },
  {
    name: "lets a copy forget what its source was meant to be",
    file: "copy",
    find: "...source.file,",
    replace: "...source.file, code: undefined,",
  },
  {
    name: "frees the bytes of a small file with the first name that it loses",
    file: "chunk-table",
    find: "releaseRecord(state, handle, chunk, at);",
    replace: `releaseRecord(state, handle, chunk, at);
        if (chunk.isInline) dropInlineBytes(state, handle, chunk.lengthBytes);`,
  },
  {
    name: "keeps the bytes of small files for ever",
    file: "chunk-table",
    find: "if (record.isInline)",
    replace: "if (false)",
  },
  {
    name: "draws the handle of a small file from those that are given already",
    file: "inline-chunks",
    find: `takeNumber(state, "grant")`,
    replace: `(takeNumber(state, "grant") - 1 || 1)`,
  },
  {
    name: "gives a small file the same handle as the one before",
    file: "inline-chunks",
    find: `handleIn(grantId(takeNumber(state, "grant")), 0)`,
    replace: "handleIn(grantId(2 ** 20), 0)",
  },
  {
    name: "loses the end of the bytes of small files",
    file: "inline-table",
    find: "state.put(inlineKey(handle), record);",
    replace: "state.put(inlineKey(handle), record.subarray(0, 6));",
  },
  {
    name: "does not count that bytes of small files are gone",
    file: "inline-table",
    find: `addToCount(state, "inlineBytes", -lengthBytes);`,
    replace: "",
  },
  {
    name: "converts what the masters keep",
    file: "conversions",
    find: "if (old.isInline)",
    replace: "if (false)",
  },
  {
    name: "captures nothing below a snapshot of the same command",
    file: "snapshots",
    find: "capturedAt: now.index",
    replace: "capturedAt: 0",
  },
];

for (const { name, file, find, replace } of BUGS) {
  test(`random histories find a namespace that ${name}`, async (t) => {
    const patches = [{ file: `metadata/${file}`, find, replace }];
    const mutant: Mutant = { name, breaks: name, patches, seedsMax: HISTORIES_MAX };
    const details = await withMutant(mutant, ({ applyEntry }) =>
      fc.check(
        fc.asyncProperty(steps, (history) => new TreeRun(applyEntry).live(history)),
        { numRuns: HISTORIES_MAX, seed: SEED, endOnFailure: true },
      ),
    );
    t.true(details.failed, `not found in ${HISTORIES_MAX} histories`);
    const said = details.errorInstance instanceof Error ? details.errorInstance.message : "";
    t.log(`found in history ${details.numRuns}: ${said.slice(0, 100)}`);
  });
}
