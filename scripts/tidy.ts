// Checks what the compiler and the linters cannot see: arrows between packages and folders, sizes,
// names, purity, unfinished work, places of one machine. The law is in tidy/table.ts.

import { resolve } from "node:path";
import { findings } from "./tidy/rules.js";
import { TABLE } from "./tidy/table.js";
import { readTree } from "./tidy/tree.js";

const tree = readTree(resolve(import.meta.dirname, "../.."));
const found = findings(tree, TABLE);
for (const { path, line, rule, message } of found) {
  console.log(`${path}:${line}: ${rule}: ${message}`);
}
console.log(`${tree.size} files, ${found.length} findings`);
if (0 < found.length) process.exitCode = 1;
