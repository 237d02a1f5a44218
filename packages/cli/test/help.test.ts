// The help of every command below the first level, in one reviewed file.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import test from "ava";
import type { Command } from "commander";
import { buildProgram } from "../src/program/program.js";

const GOLDEN = fileURLToPath(new URL("../../test/golden/all-commands.txt", import.meta.url));

function leavesOf(command: Command): readonly Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);
}

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (piece) => {
      text += piece;
    },
    getOutHelpWidth: () => 100,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text;
}

const program = buildProgram("0.0.0", () => Promise.resolve(), []);
const leaves = leavesOf(program).filter((command) => command.name() !== "help");

test("every command explains itself with two examples", (t) => {
  for (const command of leaves) {
    const [, examples = ""] = helpOf(command).split("Examples:");
    t.true(2 <= examples.trim().split("\n").length, command.name());
    for (const argument of command.registeredArguments) t.not(argument.description, "");
  }
});

test("the help of every command is as reviewed", (t) => {
  const texts = leaves.map((command) => helpOf(command));
  const all = texts.map((text) => text.replace(/\nGlobal Options:[\s\S]*?(?=\nExamples:)/, ""));
  const shown = all.join("\n\n");
  if (process.env["LUMEO_REWRITE_GOLDEN"] === "1") writeFileSync(GOLDEN, shown);
  t.true(existsSync(GOLDEN), `run with LUMEO_REWRITE_GOLDEN=1 and review "${GOLDEN}"`);
  t.is(shown, readFileSync(GOLDEN, "utf8"));
});
