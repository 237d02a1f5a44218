// The commands on a cluster of real processes: what people do every day, and what they do wrong.

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import anyTest, { type TestFn } from "ava";
import { compareTrees, digestTree, seededBytes } from "../../src/index.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MIB = 2 ** 20;

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 3, chunkservers: 4 }) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

/** A tree with what is awkward: empty files and directories, odd names, links, many files. */
function makeTree(root: string): void {
  const file = (name: string, content: string | Uint8Array): void => {
    mkdirSync(join(root, name, ".."), { recursive: true });
    writeFileSync(join(root, name), content);
  };
  file("empty", "");
  file("name with spaces/-rf", "dash");
  file("ünïcödé/日本語/😀", "unicode");
  file("quotes'\"\\back\nnewline", "quoted");
  file(".hidden/...", "dots");
  file("exactly-256KiB", new Uint8Array(256 * 1024).fill(7));
  file("one-more", new Uint8Array(256 * 1024 + 1).fill(8));
  file("deep/a/b/c/d/e/f/g/h", "deep");
  for (let i = 0; i < 300; i++) file(`many/${i % 10}/${i}.txt`, `file ${i}\n`.repeat(i));
  mkdirSync(join(root, "nothing/in/here"), { recursive: true });
  symlinkSync("empty", join(root, "link-to-empty"));
  symlinkSync("deep", join(root, "link-to-deep"));
}

test.serial("a tree comes back as it was, through put -r and get -r", async (t) => {
  const { drill } = t.context;
  makeTree(drill.at("tree"));
  await drill.ok(t, ["put", "-r", drill.at("tree"), "/tree"]);
  await drill.ok(t, ["get", "-r", "/tree", drill.at("copy")]);
  const expected = await digestTree(drill.at("tree"));
  t.deepEqual(compareTrees(expected, await digestTree(drill.at("copy"))), []);
  t.true(300 < expected.files);
});

test.serial("ls lists in byte order, page by page, and recursively", async (t) => {
  const { drill } = t.context;
  const names = (await drill.ok(t, ["ls", "/tree/many"])).trimEnd().split("\n");
  t.deepEqual(
    names,
    [..."0123456789"].map((digit) => `${digit}/`),
  );
  t.is(await drill.ok(t, ["ls", "--after", "3", "--limit", "2", "/tree/many"]), "4/\n5/\n");
  const all = (await drill.ok(t, ["ls", "-R", "/tree/many"])).trimEnd().split("\n");
  t.is(all.length, 310);
});

test.serial("a file of several chunks from a pipe comes back through a pipe", async (t) => {
  const { drill } = t.context;
  const source = seededBytes(1, 20 * MIB + 12_345);
  await drill.ok(t, ["put", "--chunk-size", "4M", "-", "/piped"], { stdin: source });
  await drill.ok(t, ["get", "/piped", drill.at("piped")]);
  const [info] = await drill.json<{ size: number; chunks: { length: number }[] }>(t, [
    ...["stat", "--chunks", "/piped"],
  ]);
  t.is(info?.size, 20 * MIB + 12_345);
  t.deepEqual(
    info?.chunks.map((chunk) => chunk.length),
    [...new Array<number>(5).fill(4 * MIB), 12_345],
  );
  const { sha256 } = await digestOf(drill, "/piped");
  t.is(sha256, source.sha256());
});

test.serial("stat --chunks --json names three replicas of every chunk, one primary", async (t) => {
  interface Chunk {
    readonly handle: number;
    readonly epoch: number;
    readonly crc32c: string;
    readonly replicas: readonly { readonly id: string; readonly role: string }[];
  }
  const { drill } = t.context;
  const [info] = await drill.json<{ chunks: readonly Chunk[] }>(t, ["stat", "--chunks", "/piped"]);
  const ids = drill.cluster.members().map((member) => member.id);
  for (const chunk of info?.chunks ?? []) {
    t.true(0 < chunk.handle && chunk.epoch === 1 && /^[0-9a-f]{8}$/.test(chunk.crc32c));
    t.is(new Set(chunk.replicas.map((replica) => replica.id)).size, 3);
    t.true(chunk.replicas.every((replica) => ids.includes(replica.id)));
    t.is(chunk.replicas.filter((replica) => replica.role === "primary").length, 1);
  }
});

test.serial("cat --range gives exactly the bytes asked for, across chunks", async (t) => {
  const { drill } = t.context;
  const whole = readFileSync(drill.at("piped"));
  const from = 4 * MIB - 3;
  const pieces: Uint8Array[] = [];
  await drill.ok(t, ["cat", "--range", `${from}-${from + 9}`, "/piped"], {
    onStdout: (piece) => pieces.push(piece),
  });
  t.deepEqual(Buffer.concat(pieces), whole.subarray(from, from + 10));
});

test.serial(
  "put replaces a file at once; --if-not-exists and --if-match refuse with 4",
  async (t) => {
    const { drill } = t.context;
    const [first, second] = [drill.at("first"), drill.at("second")];
    writeFileSync(first, "first");
    writeFileSync(second, "second");
    await drill.ok(t, ["put", first, "/swap"]);
    const refused = await drill.run(["put", "--if-not-exists", second, "/swap"]);
    t.is(refused.status, 4);
    t.is(refused.stderr.trimEnd().split("\n").length, 1, refused.stderr);
    t.is(await drill.ok(t, ["cat", "/swap"]), "first");
    const [info] = await drill.json<{ etag: string }>(t, ["stat", "/swap"]);
    await drill.ok(t, ["put", "--if-match", info?.etag ?? "", second, "/swap"]);
    t.is(await drill.ok(t, ["cat", "/swap"]), "second");
    t.is((await drill.run(["put", "--if-match", info?.etag ?? "", first, "/swap"])).status, 4);
  },
);

test.serial("mv, mkdir and rm do what their names say", async (t) => {
  const { drill } = t.context;
  await drill.ok(t, ["mkdir", "-p", "/names/a/b"]);
  await drill.ok(t, ["put", drill.at("first"), "/names/a/b/"]);
  await drill.ok(t, ["mv", "/names/a", "/names/z"]);
  t.is(await drill.ok(t, ["ls", "-R", "/names"]), "z/\nz/b/\nz/b/first\n");
  t.is((await drill.run(["rm", "/names/z"])).status, 4);
  await drill.ok(t, ["rm", "-r", "/names"]);
  t.is((await drill.run(["stat", "/names"])).status, 3);
});

test.serial("what is missing is named in one line, with exit code 3", async (t) => {
  const { drill } = t.context;
  const commands = [
    ["cat", "/missing"],
    ["get", "/missing", drill.at("x")],
    ["ls", "/missing"],
    ["stat", "/missing/deeper"],
    ["rm", "/missing"],
    ["mv", "/missing", "/y"],
    ["put", drill.at("missing"), "/y"],
  ];
  for (const args of commands) {
    const { status, stdout, stderr } = await drill.run(args);
    t.is(status, 3, `${args.join(" ")}: ${stderr}`);
    t.is(stdout, "");
    t.regex(stderr, /^lumeo: error: [^\n]*missing[^\n]*\n$/);
  }
});

test.serial("a directory where a file is meant, and the other way round, is refused", async (t) => {
  const { drill } = t.context;
  t.is((await drill.run(["cat", "/tree"])).status, 2);
  t.is((await drill.run(["get", "/tree", drill.at("x")])).status, 2);
  t.is((await drill.run(["put", drill.at("first"), "/swap/under-a-file"])).status, 4);
  t.is((await drill.run(["ls", "/swap/under-a-file"])).status, 4);
});

test.serial("a reader that goes away ends cat quietly", async (t) => {
  const { drill } = t.context;
  let pid = 0;
  const run = await drill.run(["cat", "/piped"], {
    onStart: (started) => {
      pid = started;
    },
    closeStdout: true,
  });
  t.true(0 < pid);
  t.is(run.stderr, "");
  t.is(run.status, 0);
});

async function digestOf(drill: Drill, path: string): Promise<{ readonly sha256: string }> {
  const { createHash } = await import("node:crypto");
  const hash = createHash("sha256");
  await drill.run(["cat", path], {
    onStdout: (piece) => {
      hash.update(piece);
    },
  });
  return { sha256: hash.digest("hex") };
}
