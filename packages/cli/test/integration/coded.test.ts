// Coded files as people use them: policies and flags decide, stat and chunk show tell what became
// of them, too few chunkservers are named, and a restart forgets nothing.

import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { DevFolder } from "./dev-folder.js";

const MiB = 2 ** 20;

interface Entry {
  readonly path: string;
  readonly layout: string;
  readonly bytesOnDisk: number;
  readonly chunkLayouts: Readonly<Record<string, number>>;
  readonly chunks: readonly { readonly handle: number }[];
}

class Shell extends DevFolder {
  readonly #t: ExecutionContext;

  constructor(t: ExecutionContext) {
    super(t);
    this.#t = t;
  }

  /** What a command that must succeed prints. */
  async ok(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args);
    this.#t.is(status, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  async entry(path: string): Promise<Entry> {
    return JSON.parse(await this.ok("stat", "--chunks", "--json", path)) as Entry;
  }

  /** A local file of so many bytes. */
  file(name: string, bytes: number): string {
    const file = join(this.dir, name);
    writeFileSync(file, randomBytes(bytes));
    return file;
  }
}

test("files are coded as flags and directories say, and stay so over a restart", async (t) => {
  const shell = new Shell(t);
  await shell.start(t, ["--masters", "1", "--chunkservers", "6"]);
  const large = shell.file("large", MiB + 1);
  const small = shell.file("small", 5_120);

  await shell.ok("mkdir", "/media");
  await shell.ok("policy", "set", "/media", "--ec", "auto", "--ec-fallback", "replicate");
  await shell.ok("put", large, small, "/media/new/");
  const coded = await shell.entry("/media/new/large");
  t.like(coded, { layout: "4+2", chunkLayouts: { "4+2": 1 } });
  t.true(Math.abs(coded.bytesOnDisk / (MiB + 1) - 1.5) < 0.01);
  t.like(await shell.entry("/media/new/small"), { layout: "replicated", bytesOnDisk: 15_360 });

  await shell.ok("put", "--ec", "2+1/64KiB", small, "/alone");
  t.like(await shell.entry("/alone"), { layout: "2+1/64KiB", bytesOnDisk: 7_680 });
  await shell.ok("put", "--ec", "none", large, "/media/copies");
  t.like(await shell.entry("/media/copies"), { layout: "replicated" });

  const wide = await shell.run("put", "--timeout", "3s", "--ec", "6+3", small, "/wide");
  t.is(wide.status, 6);
  t.regex(wide.stderr, /Cannot place 9 units of coded chunks: 6 of 6 chunkservers are alive/);
  await shell.ok("put", "--ec", "6+3", small, "/media/wide"); // falls back, by the policy
  t.like(await shell.entry("/media/wide"), { chunkLayouts: { replicated: 1 } });

  await shell.ok("dev", "stop");
  await shell.start(t, []);
  const handle = String((await shell.entry("/media/new/large")).chunks[0]?.handle);
  const shown = await shell.ok("chunk", "show", handle);
  t.regex(shown, /Coded 4\+2: any 4 of its 6 units give it back/);
  t.is(shown.match(/ (data|parity) /g)?.length, 6);
  t.regex(await shell.ok("policy", "get", "/media"), /Layout +auto:4\+2\n/);
  for (const [path, local] of [
    ["/media/new/large", large],
    ["/alone", small],
  ] as const) {
    const copy = join(shell.dir, "copy");
    await shell.ok("get", path, copy);
    t.deepEqual(readFileSync(copy), readFileSync(local));
  }
  t.regex(await shell.ok("fsck"), /no problems/);
});
