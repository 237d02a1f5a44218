import {
  CODE_DEFAULT,
  type Code,
  chunkHandle,
  epoch,
  grantId,
  inodeId,
  KiB,
  LumeoError,
  serverId,
  sessionId,
  TOKEN_SECRET_BYTES,
  unitCount,
  wallMs,
} from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { commitOf, inlineRecord } from "../../test/metadata-driver.js";
import type { Command, InlineContent, Proposal, Reply } from "./command.js";
import { decodeProposal, encodeProposal } from "./command-codec.js";
import { emptyDirectory } from "./inodes.js";
import { jobId } from "./jobs.js";
import { decodeReply, encodeReply } from "./reply-codec.js";

const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const byte = fc.integer({ min: 0, max: 255 });
const text = fc.string({ unit: "binary" });
const time = fc.nat().map(wallMs);
const servers = fc.array(id.map(serverId), { maxLength: 4 });
const code = fc.constantFrom<Code>(CODE_DEFAULT, { data: 2, parity: 1, cellBytes: 64 * KiB });
const coding = code.chain((said) => {
  const unitCrcs = fc.array(u32, { minLength: unitCount(said), maxLength: unitCount(said) });
  return unitCrcs.map((crcs) => ({ ...said, unitCrcs: crcs }));
});
const sealed = fc.record({
  handle: id.map(chunkHandle),
  epoch: id.map(epoch),
  lengthBytes: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  crc32c: u32,
  coding: fc.option(coding, { nil: undefined }),
});
const chunks = fc.array(sealed, { maxLength: 5 });
const precondition = fc.oneof(
  fc.constant({ kind: "none" } as const),
  fc.constant({ kind: "absent" } as const),
  fc.record({ kind: fc.constant("revision" as const), revision: fc.maxSafeNat() }),
);
const inode = id.map(inodeId);
const texts = fc.array(text, { maxLength: 4 });
const labels = fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true });
const optional = fc.option(fc.maxSafeNat(), { nil: undefined });
const settingOf = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof(fc.option(value, { nil: undefined }), fc.constant("kept" as const));
const setting = settingOf(fc.maxSafeNat());
const codePolicy = fc.oneof(
  fc.constant({ kind: "replicated" } as const),
  fc.record({ kind: fc.constantFrom("coded" as const, "auto" as const), code }),
);
const jobKind = fc.constantFrom(
  "repair",
  "mend",
  "drain",
  "decommission",
  "rebalance",
  "convert" as const,
);
const fence = fc.option(fc.record({ lock: text, token: id }), { nil: undefined });

function record<K extends Command["kind"]>(
  kind: K,
  fields: {
    [F in Exclude<keyof Extract<Command, { kind: K }>, "kind">]: fc.Arbitrary<
      Extract<Command, { kind: K }>[F]
    >;
  },
): fc.Arbitrary<Command> {
  return fc.record({ kind: fc.constant(kind), ...fields }) as unknown as fc.Arbitrary<Command>;
}

const inline: fc.Arbitrary<InlineContent> = fc.oneof(
  fc.record({
    kind: fc.constant("kept" as const),
    record: fc.uint8Array({ maxLength: 100 }),
    totalBytesMax: fc.maxSafeNat(),
  }),
  fc.record({ kind: fc.constant("refused" as const), why: text }),
);

const command: fc.Arbitrary<Command> = fc.oneof(
  record("openSession", {}),
  record("allocate", { placements: fc.array(servers, { maxLength: 3 }), handles: byte }),
  record("beginUpload", { path: text }),
  record("addChunks", { upload: inode, first: fc.maxSafeNat(), chunks }),
  record("abortUpload", { upload: inode }),
  record("abandonChunks", { handles: fc.array(id.map(chunkHandle)) }),
  record("commit", {
    path: text,
    upload: fc.option(inode, { nil: undefined }),
    chunks,
    chunkSizeBytes: u32,
    replicas: byte,
    code: fc.option(code, { nil: undefined }),
    crc32c: u32,
    precondition,
    makeParents: fc.boolean(),
    contentType: text,
    metadata: labels,
    tags: labels,
    ttlMs: optional,
    fence,
    inline: fc.option(inline, { nil: undefined }),
  }),
  record("makeDirectory", { path: text, parents: fc.boolean() }),
  record("rename", { source: text, target: text, overwrite: fc.boolean(), fence }),
  record("copy", {
    source: text,
    sourceInode: fc.option(inode, { nil: undefined }),
    target: text,
    overwrite: fc.boolean(),
    makeParents: fc.boolean(),
    precondition,
    fence,
  }),
  record("remove", {
    path: text,
    recursive: fc.boolean(),
    precondition,
    skipTrash: fc.boolean(),
    fence,
  }),
  record("setAttributes", {
    path: text,
    setMetadata: labels,
    removeMetadata: texts,
    setTags: labels,
    removeTags: texts,
    contentType: fc.option(text, { nil: undefined }),
    ttlMs: optional,
    precondition,
  }),
  record("setPolicy", {
    path: text,
    policy: fc.record({
      replicas: setting,
      versions: setting,
      trashMs: setting,
      ttlMs: setting,
      code: settingOf(codePolicy),
      codeAfterMs: setting,
      codeFallback: settingOf(fc.constantFrom("refuse" as const, "replicate" as const)),
    }),
  }),
  record("setQuota", { path: text, quota: fc.record({ sizeBytes: setting, files: setting }) }),
  record("createSnapshot", { path: text, name: text }),
  record("removeSnapshot", { path: text, name: text }),
  record("restoreTrash", {
    id,
    target: fc.option(fc.string({ unit: "binary", minLength: 1 }), { nil: undefined }),
  }),
  record("purgeTrash", { ids: fc.array(id) }),
  record("removeVersion", { path: text, version: id, ended: id }),
  record("acquireLock", { name: text, holder: text, ttlMs: fc.maxSafeNat() }),
  record("renewLock", { name: text, token: id, ttlMs: fc.maxSafeNat() }),
  record("releaseLock", { name: text, token: id }),
  record("registerServer", {
    name: text,
    storeUuid: text,
    dataAddress: text,
    controlAddress: text,
    labels,
  }),
  record("reapDirectory", {
    directory: inode,
    names: texts,
    history: fc.array(fc.record({ name: text, ended: id }), { maxLength: 4 }),
    snapshots: texts,
  }),
  record("reapFile", { inode, pages: u32 }),
  record("expireGrants", { grants: fc.array(id.map(grantId)), unusedSince: time }),
  record("expireUploads", { uploads: fc.array(inode), unusedSince: time }),
  record("expireSessions", { sessions: fc.array(id.map(sessionId)), unusedSince: time }),
  record("forgetChunks", { handles: fc.array(id.map(chunkHandle)) }),
  record("initCluster", { clusterId: text }),
  record("expireFiles", {
    files: fc.array(fc.record({ at: time, parent: inode, name: text, inode })),
  }),
  record("expireLocks", { names: texts }),
  record("dropHistory", {
    records: fc.array(fc.record({ parent: inode, name: text, ended: id })),
  }),
  record("trimChanges", {
    changes: fc.array(fc.record({ revision: id, sequence: fc.nat({ max: 0xffff }) })),
    floor: fc.maxSafeNat(),
  }),
  record("checkState", {}),
  record("addTokenKey", {
    after: fc.integer({ min: 0, max: 0xffffffff }),
    secret: fc.uint8Array({ minLength: TOKEN_SECRET_BYTES, maxLength: TOKEN_SECRET_BYTES }),
  }),
  record("createJob", {
    job: jobKind,
    subject: fc.option(id.map(serverId), { nil: undefined }),
    conversion: fc.oneof(
      fc.constant({ kind: "policy" } as const),
      fc.record({
        kind: fc.constant("tree" as const),
        root: inode,
        path: text,
        to: fc.option(code, { nil: undefined }),
      }),
    ),
  }),
  fc.constant<Command>({ kind: "createJob", job: "rebalance", subject: undefined }),
  record("replaceChunk", { job: id.map(jobId), handle: id.map(chunkHandle), chunk: sealed }),
  record("setFileCodes", {
    files: fc.array(
      fc.record({
        parent: inode,
        name: text,
        inode,
        code: fc.option(code, { nil: undefined }),
      }),
    ),
  }),
  record("changeJob", {
    job: id.map(jobId),
    to: fc.constantFrom("running", "paused", "done", "cancelled"),
    note: text,
  }),
  record("noteJob", {
    job: id.map(jobId),
    total: fc.record({ chunks: fc.maxSafeNat(), bytes: fc.maxSafeNat() }),
    note: text,
    failures: id,
  }),
  record("dropJobs", { jobs: fc.array(id.map(jobId)) }),
  record("beginMoves", {
    moves: fc.array(
      fc.record({
        handle: id.map(chunkHandle),
        job: id.map(jobId),
        target: id.map(serverId),
        leaving: fc.option(id.map(serverId), { nil: undefined }),
      }),
    ),
  }),
  record("endMoves", {
    moves: fc.array(
      fc.record({
        handle: id.map(chunkHandle),
        outcome: fc.constantFrom("moved" as const, "failed" as const, "dropped" as const),
      }),
    ),
  }),
  record("changeNode", {
    name: text,
    standing: fc.option(
      fc.constantFrom("active", "draining", "maintenance", "decommissioned" as const),
      { nil: undefined },
    ),
    setLabels: labels,
    removeLabels: texts,
  }),
);

const proposal: fc.Arbitrary<Proposal> = fc.record({
  at: time,
  request: fc.option(
    fc.record({
      session: id.map(sessionId),
      sequence: fc.maxSafeNat(),
      answeredBelow: fc.maxSafeNat(),
    }),
    { nil: undefined },
  ),
  command,
});

const reply: fc.Arbitrary<Reply> = fc.oneof(
  fc.constant<Reply>({ kind: "done" }),
  id.map((n): Reply => ({ kind: "sessionOpened", session: sessionId(n) })),
  fc.array(id).map((ns): Reply => ({ kind: "allocated", grants: ns.map(grantId) })),
  id.map((n): Reply => ({ kind: "uploadBegun", upload: inodeId(n) })),
  fc.tuple(id, fc.maxSafeNat(), time).map(
    ([n, count, at]): Reply => ({
      kind: "file",
      inode: inodeId(n),
      revision: count,
      sizeBytes: count,
      createdAt: at,
      modifiedAt: at,
      chunkCount: count,
      expiresAt: at,
    }),
  ),
  fc.tuple(id, time).map(([n, at]): Reply => ({ kind: "snapshotCreated", revision: n, at })),
  fc
    .tuple(id, time, text)
    .map(([n, at, holder]): Reply => ({ kind: "locked", token: n, expiresAt: at, holder })),
  id.map(
    (n): Reply => ({
      kind: "inode",
      inode: inodeId(n),
      node: emptyDirectory({ index: n, at: wallMs(1), emitted: { count: 0 } }),
    }),
  ),
  fc
    .tuple(id, text)
    .map(([n, clusterId]): Reply => ({ kind: "registered", server: serverId(n), clusterId })),
  id.map((n): Reply => ({ kind: "jobCreated", job: jobId(n) })),
  fc.array(id).map((ns): Reply => ({ kind: "movesBegun", handles: ns.map(chunkHandle) })),
  text.map((message): Reply => ({ kind: "refused", code: "CONFLICT", message })),
);

test("a proposal survives its bytes, and equal proposals have equal bytes", (t) => {
  fc.assert(
    fc.property(proposal, (value) => {
      const bytes = encodeProposal(value);
      const back = decodeProposal(bytes);
      t.deepEqual(back, value);
      t.deepEqual(encodeProposal(back), bytes);
    }),
    { numRuns: 500 },
  );
});

test("bytes that a leader offers to keep are written and read as their record", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5_000 }), fc.maxSafeNat(), (bytes, totalBytesMax) => {
      const offered = encodeProposal(proposalOf({ kind: "offered", bytes, totalBytesMax }));
      const kept = { kind: "kept", record: inlineRecord(bytes), totalBytesMax } as const;
      t.is(Buffer.compare(offered, encodeProposal(proposalOf(kept))), 0);
      const { command } = decodeProposal(offered);
      t.deepEqual(command.kind === "commit" ? command.inline : undefined, kept);
    }),
  );
});

function proposalOf(inline: InlineContent): Proposal {
  const command = commitOf("/a", [], { chunkSizeBytes: 1, crc32c: 1, inline });
  return { at: wallMs(1), request: undefined, command };
}

test("a reply survives its bytes", (t) => {
  fc.assert(fc.property(reply, (value) => t.deepEqual(decodeReply(encodeReply(value)), value)));
});

test("bytes that are no proposal are refused with CORRUPT, however they are broken", (t) => {
  const refuses = (bytes: Uint8Array): boolean => {
    try {
      const again = encodeProposal(decodeProposal(bytes));
      return again.byteLength === bytes.byteLength;
    } catch (error) {
      return error instanceof LumeoError && error.code === "CORRUPT";
    }
  };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => t.true(refuses(bytes))),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(proposal, fc.nat(), byte, (value, at, damage) => {
      const bytes = encodeProposal(value).slice();
      bytes[at % bytes.byteLength] = damage;
      t.true(refuses(bytes));
      t.true(refuses(bytes.subarray(0, at % bytes.byteLength)));
    }),
    { numRuns: 500 },
  );
});

test("the example of docs/formats/command.md is what is written", (t) => {
  const bytes = encodeProposal({
    at: wallMs(1000),
    request: { session: sessionId(7), sequence: 1, answeredBelow: 1 },
    command: { kind: "makeDirectory", path: "/a", parents: false },
  });
  const documented = `04 e803000000000000 01 0700000000000000 0100000000000000
    0100000000000000 07 02000000 2f61 00`;
  t.is(Buffer.from(bytes).toString("hex"), documented.replaceAll(/\s/g, ""));
});
