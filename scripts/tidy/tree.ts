// The files that belong to the repository, with their text.

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";

/** Path from the root of the repository, with "/" → text. */
export type Tree = ReadonlyMap<string, string>;

/** One broken rule at one place. */
export interface Finding {
  readonly path: string;
  /** From 1. */
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

const TEXT = new Set(
  ".ts .js .mjs .json .jsonc .md .proto .yaml .yml .sh .txt .html .css .toml".split(" "),
);

/** Everything that git knows or would add: ignored files are not ours. */
export function readTree(root: string): Tree {
  const listed = execFileSync("git", ["ls-files", "-z", "-co", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const paths = listed.split("\0").filter((path) => path !== "");
  const present = paths.filter((path) => isText(path) && existsSync(join(root, path)));
  return new Map(present.sort().map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

function isText(path: string): boolean {
  const extension = extname(path);
  return extension === "" || TEXT.has(extension);
}

export function isTest(path: string): boolean {
  return path.endsWith(".test.ts") || /^(packages|scripts)\/(.+\/)?test\//.test(path);
}

/** `packages/master/src/raft/log.ts` → `packages/master`; `scripts/tidy.ts` → `scripts`. */
export function packageFolderOf(path: string): string {
  const [first = "", second = ""] = path.split("/");
  return first === "packages" ? `${first}/${second}` : first;
}
