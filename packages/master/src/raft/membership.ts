// Who takes part in the group, and since which entry.
//
// A membership takes effect when its entry is appended, not when it is committed (Raft §6). So it
// goes away again when that entry is truncated, and the history below remembers what was before.
//
// H1. The history is never empty, and its indexes grow.
// H2. Its first element is in force at the commit index and is never truncated.

import { ByteReader, ByteWriter, invariant, LumeoError, type NodeId, nodeId } from "@lumeofs/base";
import type { LogIndex, Membership } from "./entry.js";

const FORMAT_VERSION = 1;
/** More members than any sensible group has; a larger count is taken for damage. */
const MEMBERS_MAX = 64;

/** Every member once: voters, outgoing voters and learners, in this order. */
export function membersOf(membership: Membership): readonly NodeId[] {
  const { voters, votersOutgoing, learners } = membership;
  return [...new Set([...voters, ...votersOutgoing, ...learners])];
}

/** Whether this node's vote counts, in either voter set. */
export function isVoter(membership: Membership, id: NodeId): boolean {
  return membership.voters.includes(id) || membership.votersOutgoing.includes(id);
}

/** Whether this node alone decides: the group needs nobody else to elect and to commit. */
export function isSoleVoter(membership: Membership, id: NodeId): boolean {
  const decides = (voters: readonly NodeId[]) => voters.every((voter) => voter === id);
  return (
    isVoter(membership, id) && decides(membership.voters) && decides(membership.votersOutgoing)
  );
}

/** The memberships that a member may still have to go back to, oldest first. */
export class MembershipHistory {
  readonly #since: { readonly index: LogIndex; readonly membership: Membership }[];

  /** @param index The entry that brought `membership`, or any later committed one. */
  constructor(index: LogIndex, membership: Membership) {
    this.#since = [{ index, membership }];
  }

  get current(): Membership {
    const newest = this.#since.at(-1);
    invariant(newest !== undefined, "membership history is empty");
    return newest.membership;
  }

  append(index: LogIndex, membership: Membership): void {
    invariant(this.#newestIndex < index, "membership entries out of order", { index });
    this.#since.push({ index, membership });
  }

  /** Goes back to what was in force before the entry at `from`. */
  truncate(from: LogIndex): void {
    while (from <= this.#newestIndex) {
      invariant(1 < this.#since.length, "a committed membership was truncated", { from });
      this.#since.pop();
    }
  }

  /** Forgets what can no longer be gone back to. */
  committed(commit: LogIndex): void {
    const next = () => this.#since[1];
    for (let second = next(); second !== undefined && second.index <= commit; second = next()) {
      this.#since.shift();
    }
  }

  get #newestIndex(): LogIndex {
    const newest = this.#since.at(-1);
    invariant(newest !== undefined, "membership history is empty");
    return newest.index;
  }
}

/** The bytes of a membership entry: version, then the three lists with addresses (u32 sizes). */
export function encodeMembership(membership: Membership): Uint8Array {
  const text = new TextEncoder();
  const writer = new ByteWriter().u8(FORMAT_VERSION);
  for (const ids of [membership.voters, membership.votersOutgoing, membership.learners]) {
    writer.u8(ids.length);
    for (const id of ids) writer.sized(text.encode(id));
  }
  const members = membersOf(membership);
  invariant(members.length <= MEMBERS_MAX, "too many members", { count: members.length });
  for (const id of members) writer.sized(text.encode(membership.addresses[id] ?? ""));
  return writer.finish();
}

/** @throws LumeoError CORRUPT if these are not the bytes of a membership. */
export function decodeMembership(bytes: Uint8Array): Membership {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== FORMAT_VERSION) {
    throw corrupt(`version is ${version}, expected ${FORMAT_VERSION}`);
  }
  const text = new TextDecoder("utf-8", { fatal: true });
  const string = () => {
    try {
      return text.decode(reader.sized());
    } catch (cause) {
      if (cause instanceof LumeoError) throw cause;
      throw corrupt("text is not UTF-8");
    }
  };
  const ids = () => Array.from({ length: boundedCount(reader.u8()) }, () => idFrom(string()));
  const lists = { voters: ids(), votersOutgoing: ids(), learners: ids() };
  const addresses: Record<NodeId, string> = {};
  for (const id of membersOf({ ...lists, addresses })) addresses[id] = string();
  if (reader.remaining !== 0) throw corrupt(`${reader.remaining} bytes are left over`);
  return { ...lists, addresses };
}

function boundedCount(count: number): number {
  if (MEMBERS_MAX < count) throw corrupt(`${count} members, at most ${MEMBERS_MAX} are possible`);
  return count;
}

function idFrom(name: string): NodeId {
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) throw corrupt("a member's name is malformed");
  return nodeId(name);
}

function corrupt(state: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot read membership: ${state}`);
}
