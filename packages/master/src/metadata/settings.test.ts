import { CODE_DEFAULT } from "@lumeofs/base";
import test from "ava";
import { MetadataDriver } from "../../test/metadata-driver.js";
import { changesPage } from "./changes.js";
import type { Reply } from "./command.js";
import { NO_POLICY, NO_QUOTA } from "./directory-record.js";
import { stat } from "./queries.js";
import { policyAt } from "./settings.js";

function setup(): MetadataDriver {
  const driver = new MetadataDriver();
  driver.makeDirectory("/d");
  driver.commit("/d/file");
  return driver;
}

function said(reply: Reply): string {
  return reply.kind === "refused" ? `${reply.code}: ${reply.message}` : reply.kind;
}

test("a policy replaces what the directory said before, and the answer shows it", (t) => {
  const driver = setup();
  const policy = { ...NO_POLICY, versions: 3, trashMs: 1_000 };
  const reply = driver.apply({ kind: "setPolicy", path: "/d", policy });
  t.like(reply, { kind: "inode", node: { kind: "directory", policy, childCount: 1 } });
  t.like(stat(driver.state, "/d"), { inode: { policy } });
  driver.apply({ kind: "setPolicy", path: "/d", policy: { ...NO_POLICY, replicas: 2 } });
  t.like(stat(driver.state, "/d"), { inode: { policy: { ...NO_POLICY, replicas: 2 } } });
});

test("two who change different settings do not undo each other", (t) => {
  const driver = setup();
  const ofCopies = { replicas: "kept", versions: "kept", trashMs: "kept", ttlMs: "kept" } as const;
  const ofCodes = { code: "kept", codeAfterMs: "kept", codeFallback: "kept" } as const;
  const kept = { ...ofCopies, ...ofCodes };
  driver.apply({ kind: "setPolicy", path: "/d", policy: { ...kept, versions: 3 } });
  driver.apply({ kind: "setPolicy", path: "/d", policy: { ...kept, trashMs: 1_000 } });
  driver.apply({ kind: "setPolicy", path: "/d", policy: { ...kept, versions: undefined } });
  const code = { kind: "auto", code: CODE_DEFAULT } as const;
  driver.apply({ kind: "setPolicy", path: "/d", policy: { ...kept, code } });
  driver.apply({ kind: "setPolicy", path: "/d", policy: { ...kept, codeFallback: "replicate" } });
  driver.apply({ kind: "setQuota", path: "/d", quota: { sizeBytes: 5, files: "kept" } });
  driver.apply({ kind: "setQuota", path: "/d", quota: { sizeBytes: "kept", files: 7 } });
  t.like(stat(driver.state, "/d"), {
    inode: {
      policy: { ...NO_POLICY, trashMs: 1_000, code, codeFallback: "replicate" },
      quota: { sizeBytes: 5, files: 7 },
    },
  });
});

test("a quota can be set on the root, above or below what it holds, and taken away", (t) => {
  const driver = setup();
  for (const quota of [{ sizeBytes: 1, files: 0 }, { ...NO_QUOTA, files: 9 }, NO_QUOTA]) {
    const reply = driver.apply({ kind: "setQuota", path: "/", quota });
    t.like(reply, { kind: "inode", inode: 1, node: { quota } });
    t.like(stat(driver.state, "/"), { inode: { quota, name: "" } });
  }
});

test("settings are for directories that are there, within their limits", (t) => {
  const driver = setup();
  const before = driver.state.dump();
  const policy = (path: string, more = {}): string =>
    said(driver.apply({ kind: "setPolicy", path, policy: { ...NO_POLICY, ...more } }));
  t.regex(policy("/d/file"), /^NOT_DIRECTORY: Cannot set policy of "\/d\/file": it is a file/);
  t.regex(policy("/none"), /^NOT_FOUND/);
  t.regex(policy("/d/file/x"), /^NOT_DIRECTORY/);
  t.regex(policy("d"), /^INVALID_ARGUMENT/);
  t.regex(policy("/d", { replicas: 0 }), /^INVALID_ARGUMENT/);
  const quota = { sizeBytes: Number.MAX_SAFE_INTEGER, files: undefined };
  t.regex(said(driver.apply({ kind: "setQuota", path: "/d", quota })), /^INVALID_ARGUMENT/);
  t.is(driver.state.dump(), before);
});

test("the feed tells of settings as of attributes", async (t) => {
  const driver = setup();
  driver.apply({ kind: "setPolicy", path: "/d", policy: NO_POLICY });
  driver.apply({ kind: "setQuota", path: "/", quota: NO_QUOTA });
  const changes = await changesPage(driver.state, { revision: driver.index - 2, sequence: 0 }, 9);
  t.like(changes.at(-2)?.change, { kind: "attributes", file: "directory", path: "/d" });
  t.like(changes.at(-1)?.change, { kind: "attributes", file: "directory", path: "/" });
});

test("the policy of a path is that of the last directory on the way", (t) => {
  const driver = setup();
  driver.apply({ kind: "setPolicy", path: "/", policy: { ...NO_POLICY, versions: 2 } });
  driver.apply({ kind: "setPolicy", path: "/d", policy: { ...NO_POLICY, replicas: 1 } });
  const ofCodes = { code: undefined, codeAfterMs: 0, codeFallback: "refuse" };
  const below = { kind: "policy", replicas: 1, versions: 2, trashMs: 0, ttlMs: 0, ...ofCodes };
  for (const path of ["/d", "/d/file", "/d/new", "/d/new/deep"]) {
    t.deepEqual(policyAt(driver.state, path) as unknown, below);
  }
  for (const path of ["/", "/new", "/new/deep"]) {
    t.like(policyAt(driver.state, path), { replicas: undefined, versions: 2 });
  }
  t.like(policyAt(driver.state, "/d/file/x"), { kind: "refused", code: "NOT_DIRECTORY" });
});
