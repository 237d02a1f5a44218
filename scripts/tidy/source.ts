// One TypeScript file as the rules see it: imports, exports, functions and a few calls.

import { parseSync } from "oxc-parser";

export interface Import {
  readonly from: string;
  readonly line: number;
}

export interface FunctionShape {
  readonly line: number;
  readonly lines: number;
  readonly parameters: number;
}

export interface Place {
  readonly line: number;
  readonly text: string;
}

export interface Source {
  readonly path: string;
  readonly imports: readonly Import[];
  readonly functions: readonly FunctionShape[];
  /** `export default` and `export *`. */
  readonly faceless: readonly Place[];
  /** Questions to the machine's clocks and chance. */
  readonly impure: readonly Place[];
  /** `test.skip`, `test.only` and their like. */
  readonly partialTests: readonly Place[];
}

type Node = { readonly type: string; readonly start: number; readonly end: number } & Record<
  string,
  unknown
>;

const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);
const IMPURE = new Set(["Date.now", "Math.random"]);
const PARTIAL_TESTS = new Set(["test.skip", "test.only", "test.todo", "test.failing"]);

/** @throws Error if the file does not parse. */
export function parseSource(path: string, text: string): Source {
  const parsed = parseSync(path, text);
  const [failure] = parsed.errors;
  if (failure !== undefined) throw new Error(`${path}: ${failure.message}`);
  const lineAt = lineFinder(text);
  const found = {
    path,
    imports: [] as Import[],
    functions: [] as FunctionShape[],
    faceless: [] as Place[],
    impure: [] as Place[],
    partialTests: [] as Place[],
  };
  walk(parsed.program as unknown as Node, (node) => {
    const line = lineAt(node.start);
    const from = importedFrom(node);
    if (from !== undefined) found.imports.push({ from, line });
    if (FUNCTIONS.has(node.type)) found.functions.push(shapeOf(node, lineAt));
    if (node.type === "ExportDefaultDeclaration") {
      found.faceless.push({ line, text: "export default" });
    }
    if (node.type === "ExportAllDeclaration") found.faceless.push({ line, text: "export *" });
    const text = dotted(node);
    if (IMPURE.has(text) || isTimeless(node)) {
      found.impure.push({ line, text: text === "" ? "new Date()" : text });
    }
    if (PARTIAL_TESTS.has(text)) found.partialTests.push({ line, text });
  });
  return found;
}

function importedFrom(node: Node): string | undefined {
  const hasSource =
    node.type === "ImportDeclaration" ||
    node.type === "ExportNamedDeclaration" ||
    node.type === "ExportAllDeclaration" ||
    node.type === "ImportExpression" ||
    node.type === "TSImportType";
  if (!hasSource) return undefined;
  const source = node["source"] as Node | null | undefined;
  return typeof source?.["value"] === "string" ? source["value"] : undefined;
}

function shapeOf(node: Node, lineAt: (offset: number) => number): FunctionShape {
  const line = lineAt(node.start);
  const listed = node["params"] as readonly Node[] | { readonly items?: readonly Node[] };
  const parameters = Array.isArray(listed) ? listed.length : 0;
  return { line, lines: lineAt(node.end) - line + 1, parameters };
}

/** `a.b` as text; "" for every other node. */
function dotted(node: Node): string {
  if (node.type !== "MemberExpression" || node["computed"] === true) return "";
  const object = node["object"] as Node;
  const property = node["property"] as Node;
  return object.type === "Identifier" ? `${object["name"]}.${property["name"]}` : "";
}

/** `new Date()` and `Date()`, which ask the clock; `new Date(ms)` does not. */
function isTimeless(node: Node): boolean {
  const callee = node["callee"] as Node | undefined;
  if (callee?.type !== "Identifier" || callee["name"] !== "Date") return false;
  if (node.type === "CallExpression") return true;
  return node.type === "NewExpression" && (node["arguments"] as readonly Node[]).length === 0;
}

function walk(node: Node, visit: (node: Node) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walk(child, visit);
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && "start" in value;
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0];
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
