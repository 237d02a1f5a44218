#!/usr/bin/env node
// A chunkserver as it is started by hand. Node.js makes its threads for files when it first needs
// one, which it does to load the first ES module: so their number is said here, in a module of the
// older kind, which is loaded without them. Everything else is compiled TypeScript.
"use strict";

const { existsSync } = require("node:fs");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");

/** As many as a chunkserver may have: settings in a file may name them, too. */
const DISKS_MAX = 32;

const isFolder = (flag) => flag === "--dir" || flag.startsWith("--dir=");
const disks = process.argv.slice(2).filter(isFolder).length || DISKS_MAX;
// As packages/local-cluster does: four for each disk, and four for all else.
process.env.UV_THREADPOOL_SIZE ??= String(4 + 4 * disks);

const main = join(__dirname, "../dist/src/main.js");
if (existsSync(main)) {
  void import(pathToFileURL(main).href);
} else {
  console.error('lumeo-chunkserver: error: not built yet. Run "npm run setup" in the repository');
  process.exitCode = 1;
}
