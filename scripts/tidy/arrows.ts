// Who may import whom: between packages, and between the folders of a package.

import { basename, dirname, normalize } from "node:path/posix";
import type { Source } from "./source.js";
import type { TidyTable } from "./table.js";
import { type Finding, isTest, packageFolderOf } from "./tree.js";

const SCOPE = "@lumeofs/";

/** Imports against the arrows of the table. */
export function arrowFindings(source: Source, table: TidyTable): Finding[] {
  return source.imports.flatMap(({ from, line }) => {
    const message = from.startsWith(".")
      ? relativeFault(source.path, from, table)
      : packageFault(source.path, from, table);
    return message === undefined ? [] : [{ path: source.path, line, rule: "arrow", message }];
  });
}

function packageFault(path: string, from: string, table: TidyTable): string | undefined {
  if (!from.startsWith(SCOPE)) return undefined;
  const [name = "", ...rest] = from.slice(SCOPE.length).split("/");
  const folder = packageFolderOf(path);
  if (rest.includes("src") || rest.includes("dist")) {
    return `imports "${from}": take it from the face of the package`;
  }
  const allowed = table.packageArrows[folder];
  if (allowed === undefined) return `${folder} is not in the table of packages`;
  if (isTest(path) && table.testPackages.includes(name)) return undefined;
  if (isUser(path, folder) && isOwn(folder, name)) return undefined;
  if (allowed.includes(name)) return undefined;
  return `${folder} may not import "${from}", only ${list(allowed)}`;
}

/** Tests and examples may use their own package as its users do. */
function isUser(path: string, folder: string): boolean {
  return isTest(path) || path.startsWith(`${folder}/examples/`);
}

function isOwn(folder: string, name: string): boolean {
  return folder === `packages/${name}` || (folder === "packages/client-sdk" && name === "client");
}

function relativeFault(path: string, from: string, table: TidyTable): string | undefined {
  const target = normalize(`${dirname(path)}/${from}`);
  const folder = packageFolderOf(path);
  if (packageFolderOf(target) !== folder) {
    return `imports "${from}" of another package: use its name`;
  }
  if (isTest(path)) return undefined;
  if (isTest(target.replace(/\.js$/, ".ts"))) return `imports the test "${from}"`;
  if (path !== `${folder}/src/main.ts` && target === `${folder}/src/main.js`) {
    return 'imports "main": it is the end of the arrows';
  }
  const arrows = table.folderArrows[folder];
  const own = innerFolder(path, folder);
  const other = innerFolder(target, folder);
  if (arrows === undefined || own === undefined || own === other) return undefined;
  const allowed = arrows[own];
  if (allowed === undefined) return `src/${own} is not in the table of ${folder}`;
  const wanted = other ?? `${basename(target, ".js")}.ts`;
  if (allowed.includes(wanted) || table.sharedFiles.includes(wanted)) return undefined;
  return `src/${own} may not import src/${wanted}, only ${list(allowed)}`;
}

/** The first folder below `src`, or undefined for files that lie in `src` itself. */
function innerFolder(path: string, packageFolder: string): string | undefined {
  const parts = path.slice(`${packageFolder}/src/`.length).split("/");
  return path.startsWith(`${packageFolder}/src/`) && 1 < parts.length ? parts[0] : undefined;
}

function list(names: readonly string[]): string {
  return names.length === 0 ? "nothing" : names.join(", ");
}
