import test from "ava";
import {
  du,
  getPairs,
  getPolicy,
  getQuota,
  removePairs,
  setPairs,
  setPolicy,
  setQuota,
} from "../src/commands/attributes.js";
import { cp } from "../src/commands/cp.js";
import { mv } from "../src/commands/mv.js";
import { stat } from "../src/commands/stat.js";
import type { Context } from "../src/context.js";
import { ReaderGone } from "../src/output.js";
import { Stage } from "./stage.js";

function withTree(stage: Stage): Stage {
  stage.client.tree.set("/d", "dir").set("/d/sub", "dir");
  stage.setRemote("/d/a", "12345");
  stage.setRemote("/d/sub/c", "c");
  return stage;
}

test("meta set adds to what is there, get shows it, rm takes it away", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await setPairs(stage.context(), "metadata", "/d/a", ["owner=ada", "empty="]), 0);
  t.is(await setPairs(stage.context(), "metadata", "/d/a", ["sum=1+1=2"]), 0);
  t.is(await getPairs(stage.context(), "metadata", "/d/a", []), 0);
  t.is(stage.stdout, "empty=\nowner=ada\nsum=1+1=2\n");
  t.is(await removePairs(stage.context(), "metadata", "/d/a", ["owner", "unknown"]), 0);
  const after = new Stage(t);
  t.is(await getPairs(stage.context(), "metadata", "/d/a", ["owner"]), 3);
  t.regex(stage.stderr, /Cannot find "owner" in the metadata of "\/d\/a"/);
  t.is(after.stdout, "");
});

test("a pair without = or without a key is wrong usage", async (t) => {
  const stage = withTree(new Stage(t));
  for (const wrong of ["owner", "=ada"]) {
    const error = await t.throwsAsync(setPairs(stage.context(), "tags", "/d/a", [wrong]));
    t.regex(error?.message ?? "", /is not key=value/);
  }
});

test("policy set changes what is named and leaves the rest; none lets it be inherited", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await setPolicy(stage.context(), "/d", { trash: "7d", versions: "10" }), 0);
  t.is(await setPolicy(stage.context(), "/d", { versions: "none", replicas: "2" }), 0);
  t.regex(stage.stderr, /for them too: lumeo ec-convert -r \/d --to replicated:2/);
  t.is(await getPolicy(stage.context({ json: true }), "/d"), 0);
  const shown = stage.stdout.trimEnd().split("\n").at(-1) ?? "";
  const policy = { trashMs: 604_800_000, replicas: 2 };
  t.deepEqual(JSON.parse(shown), { path: "/d", policy, effective: policy });
});

test("policy get shows what holds, and what of it is not set here", async (t) => {
  const stage = withTree(new Stage(t));
  await setPolicy(stage.context(), "/", { replicas: "2", trash: "7d" });
  await setPolicy(stage.context(), "/d", { trash: "0s", ttl: "2h" });
  t.is(await getPolicy(stage.context(), "/d"), 0);
  t.deepEqual(stage.stdout.trimEnd().split("\n"), [
    "Replicas  2  (not set here)",
    "Versions  0  (not set here)",
    "Trash     off",
    "TTL       2h 0m",
    "Layout    replicated  (not set here)",
    "Coded     when written  (not set here)",
    "Fallback  refuse  (not set here)",
  ]);
});

test("policy set says how files are coded, and stat shows it", async (t) => {
  const stage = withTree(new Stage(t));
  const context = stage.context({ json: true });
  t.is(await setPolicy(context, "/d", { ec: "auto:6+3", ecAfter: "30d" }), 0);
  t.is(await setPolicy(context, "/d", { ecFallback: "replicate" }), 0);
  t.like(stage.objects.at(-1), {
    policy: { code: "auto:6+3", codeAfterMs: 2_592_000_000, codeFallback: "replicate" },
  });
  t.is(await setPolicy(context, "/d", { ec: "none", ecAfter: "none" }), 0);
  t.deepEqual(stage.objects.at(-1), { path: "/d", policy: { codeFallback: "replicate" } });
  for (const ec of ["4", "4+0", "30+3", "auto:", "much"]) {
    await t.throwsAsync(setPolicy(context, "/d", { ec }), { message: /is not a code/ });
  }
  const fallback = setPolicy(context, "/d", { ecFallback: "hope" });
  await t.throwsAsync(fallback, { message: /is not a fallback/ });
});

test("policy and quota refuse a file, nothing to set, and values out of range", async (t) => {
  const stage = withTree(new Stage(t));
  const context = stage.context();
  await t.throwsAsync(getPolicy(context, "/d/a"), { message: /it is a file/ });
  await t.throwsAsync(setPolicy(context, "/d", {}), { message: /Nothing to set/ });
  await t.throwsAsync(setPolicy(context, "/d", { replicas: "9" }), { message: /from 1 to 8/ });
  await t.throwsAsync(setQuota(context, "/d", {}), { message: /Nothing to set/ });
  await t.throwsAsync(setQuota(context, "/d", { bytes: "much" }), { message: /is not a size/ });
});

test("quota get shows use and limits", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await setQuota(stage.context(), "/d", { bytes: "10G" }), 0);
  t.is(await getQuota(stage.context(), "/d"), 0);
  t.is(stage.stdout, "Bytes  2.0 KiB of 10.0 GiB\nFiles  3, no limit\n");
});

test("du counts a file as one", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await du(stage.context({ json: true }), ["/d", "/d/a"], {}), 0);
  t.deepEqual(stage.objects, [
    { path: "/d", bytes: 2_053, files: 3, directories: 1 },
    { path: "/d/a", bytes: 5, files: 1, directories: 0 },
  ]);
});

test("stat and du name what is missing, and go on with the rest", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await du(stage.context({ json: true }), ["/d/a", "/none", "/d/sub/c"], {}), 1);
  t.is(await stat(stage.context({ json: true }), ["/d/a", "/none", "/d/sub/c"], {}), 1);
  const paths = ["/d/a", "/d/sub/c"];
  t.deepEqual(
    stage.objects.map(({ path }) => path),
    [...paths, ...paths],
  );
  t.is(stage.stderr.trimEnd().split("\n").length, 2);
  t.is(await stat(stage.context(), ["/none"], {}), 3);
});

test("a reader that goes away ends what goes on with the rest, and is no failure", async (t) => {
  const stage = withTree(new Stage(t));
  const context = stage.context();
  const gone: Context = {
    ...context,
    output: Object.assign(Object.create(context.output), {
      line: () => Promise.reject(new ReaderGone("nobody reads the output")),
    }),
  };
  await t.throwsAsync(stat(gone, ["/d/a", "/d/sub/c"], {}), { instanceOf: ReaderGone });
  t.is(stage.stderr, "");
});

test("mv to a directory that is to be made does not make it for nothing", async (t) => {
  const stage = withTree(new Stage(t));
  await t.throwsAsync(mv(stage.context(), ["/none", "/new/"], {}));
  t.false(stage.client.tree.has("/new"));
});

test("cp -r copies a tree; into itself, and without -r, it is refused", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await cp(stage.context(), ["/d", "/e"], { recursive: true }), 0);
  t.is(stage.remote("/e/sub/c"), "c");
  t.is(await cp(stage.context(), ["/d", "/d/sub/x"], { recursive: true }), 2);
  t.regex(stage.stderr, /Cannot copy "\/d" into itself/);
  t.is(await cp(stage.context(), ["/d", "/f"], {}), 2);
  t.regex(stage.stderr, /it is a directory; add -r/);
});

test("cp --no-clobber leaves what is there", async (t) => {
  const stage = withTree(new Stage(t));
  t.is(await cp(stage.context(), ["/d/a", "/d/sub/c"], { clobber: false }), 4);
  t.is(stage.remote("/d/sub/c"), "c");
});
