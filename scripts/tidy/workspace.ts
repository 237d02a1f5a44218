// Facts about the workspace as a whole: every project is built, every dependency has its reason.

import { dirname, join, normalize } from "node:path/posix";
import type { TidyTable } from "./table.js";
import type { Finding, Tree } from "./tree.js";

const PROJECTS = "packages/tsconfig.json";

interface Project {
  readonly references?: readonly { readonly path: string }[];
}
interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** A project that `tsc -b packages` does not reach is never checked. */
export function projectFindings(tree: Tree): Finding[] {
  const reached = new Set<string>();
  const waiting = [PROJECTS];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (reached.has(path)) continue;
    reached.add(path);
    const project = JSON.parse(tree.get(path) ?? "{}") as Project;
    for (const { path: target } of project.references ?? []) {
      const file = normalize(join(dirname(path), target));
      waiting.push(file.endsWith(".json") ? file : `${file}/tsconfig.json`);
    }
  }
  return [...tree.keys()]
    .filter((path) => /(^|\/)tsconfig(\.\w+)?\.json$/.test(path) && path !== "tsconfig.base.json")
    .filter((path) => !reached.has(path))
    .map((path) => {
      const message = `nothing refers to it: add it to ${PROJECTS}`;
      return { path, line: 1, rule: "project", message };
    });
}

/** Each third-party package at run time has a line that starts a table row or a list item. */
export function dependencyFindings(tree: Tree, table: TidyTable): Finding[] {
  const page = tree.get(table.dependencyPage) ?? "";
  const findings: Finding[] = [];
  for (const [path, text] of tree) {
    if (!/^packages\/[^/]+\/package\.json$/.test(path)) continue;
    const { dependencies = {} } = JSON.parse(text) as Manifest;
    for (const [name, version] of Object.entries(dependencies)) {
      if (version.startsWith("workspace:") || hasLine(page, name)) continue;
      const line = text.slice(0, text.indexOf(`"${name}"`)).split("\n").length;
      const message = `"${name}" has no line in ${table.dependencyPage}`;
      findings.push({ path, line, rule: "dependency", message });
    }
  }
  return findings;
}

function hasLine(page: string, name: string): boolean {
  return page.split("\n").some((line) => line.startsWith(`| \`${name}\` |`));
}
