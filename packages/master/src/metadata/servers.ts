// The chunkservers that ever registered. A store is known by the uuid made when it was formatted,
// and has one number for ever; the name is for people and leads to the store that has it now.
//
// V1. A number belongs to one uuid and is never given again.
// V2. At most one server of a name is not retired.

import { type ServerId, serverId, type WallMs, wallMs } from "@lumeofs/base";
import type { FleetCommand } from "./command.js";
import { takeNumber } from "./counters.js";
import {
  encodeWhole,
  readFlag,
  readLabels,
  readText,
  readWhole,
  writeFlag,
  writeLabels,
  writeText,
} from "./fields.js";
import { serverKey, serverNameKey, serverUuidKey } from "./keys.js";
import type { State, StateView } from "./state.js";

export interface Server {
  readonly name: string;
  readonly storeUuid: string;
  readonly dataAddress: string;
  readonly controlAddress: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Another store has its name now. */
  readonly isRetired: boolean;
  /** When it last registered with something new. */
  readonly at: WallMs;
}

/** Adds a store, or brings the addresses of a known one up to date. */
export function registerServer(state: State, command: FleetCommand, at: WallMs): ServerId {
  const { name, storeUuid, dataAddress, controlAddress, labels } = command;
  const known = serverOfUuid(state, storeUuid);
  const id = known ?? serverId(takeNumber(state, "server"));
  const before = getServer(state, id);
  const namesake = serverOfName(state, name);
  if (namesake !== undefined && namesake !== id) retire(state, namesake);
  if (before !== undefined && before.name !== name) dropName(state, before.name, id);
  const server = { name, storeUuid, dataAddress, controlAddress, labels, isRetired: false, at };
  state.put(serverKey(id), encodeServer(server));
  state.put(serverUuidKey(storeUuid), encodeNumber(id));
  state.put(serverNameKey(name), encodeNumber(id));
  return id;
}

export function getServer(view: StateView, id: ServerId): Server | undefined {
  const bytes = view.get(serverKey(id));
  return bytes === undefined ? undefined : decodeServer(bytes);
}

/** The number of a store, if it has ever registered. */
export function serverOfUuid(view: StateView, storeUuid: string): ServerId | undefined {
  return getNumber(view, serverUuidKey(storeUuid));
}

/** The store that has this name now. */
export function serverOfName(view: StateView, name: string): ServerId | undefined {
  return getNumber(view, serverNameKey(name));
}

export function encodeServer(server: Server): Uint8Array {
  return encodeWhole((writer) => {
    writeText(writer, server.name);
    writeText(writer, server.storeUuid);
    writeText(writer, server.dataAddress);
    writeText(writer, server.controlAddress);
    writeLabels(writer, server.labels);
    writeFlag(writer, server.isRetired);
    writer.u53(server.at);
  });
}

export function decodeServer(bytes: Uint8Array): Server {
  return readWhole("server record", bytes, (r) => ({
    name: readText(r),
    storeUuid: readText(r),
    dataAddress: readText(r),
    controlAddress: readText(r),
    labels: readLabels(r),
    isRetired: readFlag(r),
    at: wallMs(r.u53()),
  }));
}

function retire(state: State, id: ServerId): void {
  const server = getServer(state, id);
  if (server === undefined) return;
  state.put(serverKey(id), encodeServer({ ...server, isRetired: true }));
}

/** A store that comes back under a new name gives its old one up, unless another has it now. */
function dropName(state: State, name: string, id: ServerId): void {
  if (serverOfName(state, name) === id) state.delete(serverNameKey(name));
}

function getNumber(view: StateView, key: Uint8Array): ServerId | undefined {
  const bytes = view.get(key);
  return bytes === undefined
    ? undefined
    : readWhole("server number", bytes, (r) => serverId(r.u53()));
}

function encodeNumber(id: ServerId): Uint8Array {
  return encodeWhole((writer) => writer.u53(id));
}
