// The bytes of a membership, in entries, in the head of a log and in snapshots:
// docs/formats/raft-log.md.

import { ByteReader, ByteWriter, invariant, LumeoError, type NodeId, nodeId } from "@lumeofs/base";
import type { Membership, RetiredMember } from "./entry.js";
import { membersOf } from "./membership.js";

const FORMAT_VERSION = 2;
/** More members than any sensible group has; a larger count is taken for damage. */
const MEMBERS_MAX = 64;
/** More than `member-change` ever keeps. */
const RETIRED_MAX = 1_024;

/** Version, the three lists, address and store of every member, then who was removed. */
export function encodeMembership(membership: Membership): Uint8Array {
  const text = new TextEncoder();
  const writer = new ByteWriter().u8(FORMAT_VERSION);
  const string = (value: string) => writer.sized(text.encode(value));
  for (const ids of [membership.voters, membership.votersOutgoing, membership.learners]) {
    writer.u8(ids.length);
    for (const id of ids) string(id);
  }
  const members = membersOf(membership);
  invariant(members.length <= MEMBERS_MAX, "too many members", { count: members.length });
  for (const id of members) {
    string(membership.addresses[id] ?? "");
    string(membership.stores[id] ?? "");
  }
  writer.u16(membership.retired.length);
  for (const { id, store } of membership.retired) {
    string(id);
    string(store);
  }
  return writer.finish();
}

/** @throws LumeoError CORRUPT if these are not the bytes of a membership. */
export function decodeMembership(bytes: Uint8Array): Membership {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== FORMAT_VERSION) {
    throw corrupt(
      `its version is ${version}, known is ${FORMAT_VERSION}: another release of LumeoFS wrote it`,
    );
  }
  const string = () => stringFrom(reader);
  const ids = () =>
    Array.from({ length: bounded(reader.u8(), MEMBERS_MAX) }, () => idFrom(string()));
  const lists = { voters: ids(), votersOutgoing: ids(), learners: ids() };
  const addresses: Record<NodeId, string> = {};
  const stores: Record<NodeId, string> = {};
  for (const id of membersOf({ ...lists, addresses, stores, retired: [] })) {
    addresses[id] = string();
    const store = string();
    if (store !== "") stores[id] = store;
  }
  const retired = Array.from(
    { length: bounded(reader.u16(), RETIRED_MAX) },
    (): RetiredMember => ({ id: idFrom(string()), store: string() }),
  );
  if (reader.remaining !== 0) throw corrupt(`${reader.remaining} bytes are left over`);
  return { ...lists, addresses, stores, retired };
}

function stringFrom(reader: ByteReader): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(reader.sized());
  } catch (cause) {
    if (cause instanceof LumeoError) throw cause;
    throw corrupt("text is not UTF-8");
  }
}

function bounded(count: number, max: number): number {
  if (max < count) throw corrupt(`${count} members, at most ${max} are possible`);
  return count;
}

function idFrom(name: string): NodeId {
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) throw corrupt("a member's name is malformed");
  return nodeId(name);
}

function corrupt(state: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot read membership: ${state}`);
}
