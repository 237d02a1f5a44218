// What operators say of the machines that chunkservers run on: labels, and what part a machine
// takes. It is said of the name, not of the store: a machine that comes back with a new disk stands
// where it stood, and is in maintenance if it was.

import { DONE, type Reply, refuse } from "./command.js";
import { corrupt, encodeWhole, readLabels, readWhole, writeLabels } from "./fields.js";
import { nodeKey } from "./keys.js";
import { type Server, serverOfName } from "./servers.js";
import type { State, StateView } from "./state.js";

/**
 * What part a machine takes: all of it; no new chunks, and those it has leave; no new chunks, and
 * nothing is repaired while it is away; or none any more, and it may be switched off.
 */
export type Standing = (typeof STANDINGS)[number];

/** In the order of their numbers in the record. */
const STANDINGS = ["active", "draining", "maintenance", "decommissioned"] as const;

export interface NodeSettings {
  readonly standing: Standing;
  /** They come before those that the chunkserver was started with. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface NodeChange {
  readonly name: string;
  /** Undefined leaves it as it is. */
  readonly standing: Standing | undefined;
  readonly setLabels: Readonly<Record<string, string>>;
  readonly removeLabels: readonly string[];
}

export const LABELS_MAX = 32;

const UNSAID: NodeSettings = { standing: "active", labels: {} };

/** Nobody has said anything of most machines. */
export function nodeOf(view: StateView, name: string): NodeSettings {
  const bytes = view.get(nodeKey(name));
  return bytes === undefined ? UNSAID : decodeNode(bytes);
}

/** The labels that count: those of operators before those of the chunkserver's own settings. */
export function labelsOf(view: StateView, server: Server): Readonly<Record<string, string>> {
  return { ...server.labels, ...nodeOf(view, server.name).labels };
}

export function changeNode(state: State, change: NodeChange): Reply {
  const { name, standing, setLabels, removeLabels } = change;
  const what = `Cannot change node "${name}"`;
  if (serverOfName(state, name) === undefined) {
    return refuse("NOT_FOUND", `${what}: no chunkserver of this name has ever registered`);
  }
  const before = nodeOf(state, name);
  const gone = new Set(removeLabels);
  const kept = Object.entries(before.labels).filter(([label]) => !gone.has(label));
  const labels = { ...Object.fromEntries(kept), ...setLabels };
  if (LABELS_MAX < Object.keys(labels).length) {
    return refuse("INVALID_ARGUMENT", `${what}: a node has at most ${LABELS_MAX} labels`);
  }
  putNode(state, name, { standing: standing ?? before.standing, labels });
  return DONE;
}

export function setStanding(state: State, name: string, standing: Standing): void {
  putNode(state, name, { ...nodeOf(state, name), standing });
}

export function encodeNode(node: NodeSettings): Uint8Array {
  return encodeWhole((writer) => {
    writer.u8(standingNumber(node.standing));
    writeLabels(writer, node.labels);
  });
}

export function decodeNode(bytes: Uint8Array): NodeSettings {
  return readWhole("node record", bytes, (r) => {
    const standing = standingOfNumber(r.u8());
    return { standing, labels: readLabels(r) };
  });
}

/** The number of a standing in records and commands, from 1. */
export function standingNumber(standing: Standing): number {
  return STANDINGS.indexOf(standing) + 1;
}

/** @throws LumeoError CORRUPT */
export function standingOfNumber(number: number): Standing {
  const standing = STANDINGS[number - 1];
  if (standing === undefined) throw corrupt("node record", `its standing is ${number}`);
  return standing;
}

function putNode(state: State, name: string, node: NodeSettings): void {
  const isUnsaid = node.standing === "active" && Object.keys(node.labels).length === 0;
  if (isUnsaid) state.delete(nodeKey(name));
  else state.put(nodeKey(name), encodeNode(node));
}
