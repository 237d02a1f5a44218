// Sizes, names and faces of files.

import type { Source } from "./source.js";
import type { TidyTable } from "./table.js";
import { type Finding, isTest } from "./tree.js";

/** Rules that need only the path and the lines. */
export function lineFindings(path: string, text: string, table: TidyTable): Finding[] {
  const findings: Finding[] = [];
  const lines = text.split("\n");
  const count = text.endsWith("\n") ? lines.length - 1 : lines.length;
  const limit = isTest(path) ? table.limits.testLines : table.limits.sourceLines;
  if (limit < count) {
    const message = `${count} lines, the limit is ${limit}: split by reason to change`;
    findings.push({ path, line: 1, rule: "file-size", message });
  }
  for (const [index, line] of lines.entries()) {
    const columns = [...line].length;
    if (columns <= table.limits.lineColumns || isTitle(path, line)) continue;
    const message = `${columns} columns, the limit is ${table.limits.lineColumns}`;
    findings.push({ path, line: index + 1, rule: "line-width", message });
  }
  return findings;
}

/** Functions that are too long or ask for too much; exports without a name. */
export function sourceShapeFindings(source: Source, table: TidyTable): Finding[] {
  const { path } = source;
  const { parameters: parametersMax } = table.limits;
  const linesMax = isTest(path) ? table.limits.testFunctionLines : table.limits.functionLines;
  const findings: Finding[] = [];
  for (const { line, lines, parameters } of source.functions) {
    if (linesMax < lines) {
      const message = `${lines} lines, the limit is ${linesMax}`;
      findings.push({ path, line, rule: "function-length", message });
    }
    if (parametersMax < parameters) {
      const message = `${parameters} parameters, the limit is ${parametersMax}: use named fields`;
      findings.push({ path, line, rule: "parameters", message });
    }
  }
  for (const { line, text } of source.faceless) {
    if (table.defaultExports.includes(path)) continue;
    findings.push({ path, line, rule: "named-exports", message: `${text}: export by name` });
  }
  for (const { line, text } of source.partialTests) {
    findings.push({ path, line, rule: "whole-tests", message: `${text} does not reach main` });
  }
  return findings;
}

/** Names that say nothing. */
export function nameFindings(path: string, table: TidyTable): Finding[] {
  if (table.bannedNameExceptions.some((beginning) => path.startsWith(beginning))) return [];
  const parts = path.split("/").map((part) => part.split(".")[0] ?? "");
  const banned = parts.find((part) => table.bannedNames.includes(part));
  if (banned === undefined) return [];
  const message = `"${banned}" says nothing: name it after the one thing it holds`;
  return [{ path, line: 1, rule: "name", message }];
}

/** The name of a test is one sentence on one line, however long. */
function isTitle(path: string, line: string): boolean {
  return isTest(path) && /^\s*(test|check)(\.\w+)?\(["`]/.test(line);
}
