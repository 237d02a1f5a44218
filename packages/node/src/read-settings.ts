// Settings from four places, the later ones stronger: defaults, file, environment, flags. What
// comes out is a plain object for the process's schema, which checks types, ranges and names.

import { readFile } from "node:fs/promises";
import { LumeoError } from "@lumeofs/base";

/** Values by setting name in camelCase. Those of the environment are text. */
export type Settings = Readonly<Record<string, unknown>>;

export interface SettingsSources {
  /** Every setting by its name, with its default; undefined where there is none. */
  readonly defaults: Settings;
  /** A YAML or JSON file with one mapping. A file that is named must be there. */
  readonly file?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Stands before the name in the environment: `LUMEO_MASTER_` for `LUMEO_MASTER_DATA_DIR`. */
  readonly environmentPrefix: string;
  /** Undefined means that the flag was not given. */
  readonly flags: Settings;
}

/**
 * Merges the sources.
 *
 * @throws LumeoError CONFIG if the file cannot be read, or if the file, or the environment under
 *         the prefix, has a name that is no setting.
 */
export async function readSettings(sources: SettingsSources): Promise<Settings> {
  const names = Object.keys(sources.defaults);
  const fromFile = sources.file === undefined ? {} : await readFileSettings(sources.file, names);
  const fromEnvironment = readEnvironment(sources, names);
  const merged: Record<string, unknown> = {};
  for (const source of [sources.defaults, fromFile, fromEnvironment, sources.flags]) {
    for (const [name, value] of Object.entries(source)) {
      if (value !== undefined) merged[name] = value;
    }
  }
  return merged;
}

async function readFileSettings(file: string, names: readonly string[]): Promise<Settings> {
  const { parse } = await import("yaml");
  let parsed: unknown;
  try {
    parsed = parse(await readFile(file, "utf8")) ?? {};
  } catch (cause) {
    const why = (cause as Error).message;
    throw new LumeoError("CONFIG", `Cannot read settings "${file}": ${why}`, { cause });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new LumeoError("CONFIG", `Cannot use settings "${file}": it must hold one mapping`);
  }
  for (const name of Object.keys(parsed)) {
    if (!names.includes(name)) throw unknown(name, `file "${file}"`, names);
  }
  return parsed as Settings;
}

function readEnvironment(sources: SettingsSources, names: readonly string[]): Settings {
  const byVariable = new Map(
    names.map((name) => [variableOf(sources.environmentPrefix, name), name]),
  );
  const found: Record<string, string> = {};
  for (const [variable, value] of Object.entries(sources.environment)) {
    if (value === undefined || !variable.startsWith(sources.environmentPrefix)) continue;
    const name = byVariable.get(variable);
    if (name === undefined) throw unknown(variable, "environment", [...byVariable.keys()]);
    found[name] = value;
  }
  return found;
}

/** How a setting is called in the environment: `dataDir` → `LUMEO_MASTER_DATA_DIR`. */
export function variableOf(prefix: string, name: string): string {
  return prefix + name.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function unknown(name: string, where: string, known: readonly string[]): LumeoError {
  const list = [...known].sort().join(", ");
  return new LumeoError(
    "CONFIG",
    `Cannot use setting "${name}" of the ${where}: no such setting; there are ${list}`,
  );
}
