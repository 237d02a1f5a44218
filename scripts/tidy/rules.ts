// All rules over a whole tree.

import { arrowFindings } from "./arrows.js";
import { lineFindings, nameFindings, sourceShapeFindings } from "./shape.js";
import { parseSource } from "./source.js";
import type { TidyTable } from "./table.js";
import type { Finding, Tree } from "./tree.js";
import { impurityFindings, wordFindings } from "./words.js";
import { dependencyFindings, projectFindings } from "./workspace.js";

/** What is broken, in the order of the paths. An empty answer is a tidy tree. */
export function findings(tree: Tree, table: TidyTable): Finding[] {
  const found = [...tree].flatMap(([path, text]) => fileFindings(path, text, table));
  return [...found, ...projectFindings(tree), ...dependencyFindings(tree, table)];
}

function fileFindings(path: string, text: string, table: TidyTable): Finding[] {
  const found = [...wordFindings(path, text), ...nameFindings(path, table)];
  if (table.generated.some((beginning) => path.startsWith(beginning))) return found;
  if (!/\.(ts|js|mjs|proto)$/.test(path)) return found;
  found.push(...lineFindings(path, text, table));
  if (path.endsWith(".proto")) return found;
  const source = parseSource(path, text);
  found.push(...arrowFindings(source, table), ...sourceShapeFindings(source, table));
  found.push(...impurityFindings(source, table));
  return found;
}
