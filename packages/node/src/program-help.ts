// What a program says when it is asked for help, or told something that it does not know.

import { LumeoError } from "@lumeofs/base";
import { variableOf } from "./read-settings.js";

/** A setting as a schema describes it; zod's types have this shape. */
export interface DescribedSetting {
  readonly description?: string | undefined;
  /** With undefined: its default, if it has one. */
  safeParse(value: undefined): { readonly success: boolean; readonly data?: unknown };
}

export interface ProgramHelp {
  /** One sentence. */
  readonly about: string;
  /** By setting name. */
  readonly settings: Readonly<Record<string, DescribedSetting>>;
  /** The flag of a setting, without dashes. */
  readonly flagOf: (name: string) => string;
  readonly environmentPrefix: string;
  /** Settings that one text cannot hold. */
  readonly notInEnvironment?: ReadonlySet<string>;
}

const INDENT = " ".repeat(6);

/** Every setting with its flag, what it is for, its default and its name in the environment. */
export function programHelp(help: ProgramHelp): string {
  const settings = Object.entries(help.settings).map(([name, setting]) => {
    const { success, data } = setting.safeParse(undefined);
    const isNeeded = !success;
    const facts = [
      isNeeded ? "Needed." : "",
      data === undefined ? "" : `Default: ${shown(data)}.`,
      help.notInEnvironment?.has(name) === true
        ? ""
        : `Environment: ${variableOf(help.environmentPrefix, name)}.`,
    ];
    const said = [`  --${help.flagOf(name)} VALUE`, INDENT + (setting.description ?? "")];
    const known = facts.filter((fact) => fact !== "").join(" ");
    return [...said, ...(known === "" ? [] : [INDENT + known])].join("\n");
  });
  return [
    help.about,
    "",
    "Flags are stronger than the environment, and that is stronger than the file of --config.",
    "",
    ...settings,
    "  --config FILE",
    `${INDENT}YAML file with any of these settings: ${Object.keys(help.settings).join(", ")}.`,
    "  --help",
    `${INDENT}Says this.`,
  ].join("\n");
}

/** Flags that a program does not take. */
export function wrongFlags(cause: unknown): LumeoError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `Cannot use the flags: ${why}; --help lists them`;
  return new LumeoError("INVALID_ARGUMENT", message, { cause });
}

function shown(value: unknown): string {
  if (typeof value !== "object") return String(value);
  return Object.keys(value ?? {}).length === 0 ? "none" : JSON.stringify(value);
}
