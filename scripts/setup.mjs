// Makes a clone ready to run: packages from the lock file, then the build. Plain JavaScript,
// because it runs before anything is compiled; it needs Node.js and npm only.
//
// S1. The installation is skipped when nothing that decides it has changed since the last one: a
//     hash of the lock file, the manifests and the platform lies in node_modules.
// S2. Compiled files whose source is gone are removed: the compiler leaves them, and a test that
//     was deleted or renamed would go on running.
// S3. Nothing asks a question, with a terminal or without.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const STAMP = join(ROOT, "node_modules/.lumeo-setup");
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

checkNode();
const wanted = fingerprint();
if (!isInstalled(wanted)) {
  process.stderr.write("Installing packages from the lock file\n");
  // pnpm asks before it replaces a folder of another version, unless it believes to be in CI.
  run("npx", ["-y", manifest.packageManager, "install", "--frozen-lockfile", "--prefer-offline"], {
    CI: "true",
    npm_config_loglevel: "error",
  });
  writeFileSync(STAMP, wanted);
}
removeOrphans();
run(join(ROOT, "node_modules/.bin/tsc"), ["-b", "packages"], {});

function checkNode() {
  const least = /(\d+)\.(\d+)/.exec(manifest.engines.node).slice(1).map(Number);
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (least[0] < major || (least[0] === major && least[1] <= minor)) return;
  fail(`LumeoFS needs Node.js ${least.join(".")} or newer; this is ${process.versions.node}`);
}

function fingerprint() {
  const hash = createHash("sha256");
  const manifests = [".", ...members(), "bench"].map((folder) => join(folder, "package.json"));
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", ".npmrc", ...manifests.sort()]) {
    if (existsSync(join(ROOT, file)))
      hash.update(`${file}\0`).update(readFileSync(join(ROOT, file)));
  }
  return hash.update(`${process.platform} ${process.arch}`).digest("hex");
}

function isInstalled(hash) {
  const present = existsSync(join(ROOT, "node_modules/.modules.yaml")) && existsSync(STAMP);
  return present && readFileSync(STAMP, "utf8") === hash;
}

function removeOrphans() {
  for (const project of [...members(), "bench", "scripts"]) {
    const dist = join(ROOT, project, "dist");
    if (!existsSync(dist)) continue;
    for (const file of readdirSync(dist, { recursive: true, encoding: "utf8" })) {
      const stem = /^(.*)\.js$/.exec(file)?.[1];
      if (stem === undefined || existsSync(join(ROOT, project, `${stem}.ts`))) continue;
      for (const end of [".js", ".js.map", ".d.ts", ".d.ts.map"]) {
        rmSync(join(dist, stem + end), { force: true });
      }
    }
  }
}

function members() {
  return readdirSync(join(ROOT, "packages"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `packages/${entry.name}`);
}

/** Output is shown only if the command fails: it is of no use otherwise. */
function run(command, args, environment) {
  const done = spawnSync(command, args, {
    cwd: ROOT,
    env: { ...process.env, ...environment },
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (done.status === 0) return;
  process.stderr.write(`${done.stdout ?? ""}${done.stderr ?? ""}`);
  fail(`Cannot set up: "${command} ${args.join(" ")}" failed ${done.error ?? ""}`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
