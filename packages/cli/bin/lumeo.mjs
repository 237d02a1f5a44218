#!/usr/bin/env node
// The command as installed: everything else is compiled TypeScript.
import { existsSync } from "node:fs";

const main = new URL("../dist/src/main.js", import.meta.url);
if (existsSync(main)) {
  await import(main.href);
} else {
  console.error('lumeo: error: not built yet. Run "npm run setup" in the repository first');
  process.exitCode = 1;
}
