// Who may speak to this member under which name, and where everybody is.
//
// Y1. A store that the group knows under a name is the only one that speaks under it: a master
//     whose folder was wiped has forgotten votes and entries that the others count on.
// Y2. A name that the group knows without a store keeps, as long as this process runs, the first
//     store that spoke under it.
// Y3. Nobody else is turned away, member or not: votes are answered to whoever asks. (3.5.45a)

import type { NodeId } from "@lumeofs/base";
import type { PeerIdentity } from "../consensus/peer-link.js";
import { isRetired, isStoreOf } from "../raft/member-change.js";
import { membersOf } from "../raft/membership.js";
import type { MembershipStatus } from "../raft/message.js";

/** What the group holds of a caller. */
export type Standing = "welcome" | "removed" | "other store";

export class PeerRegistry {
  /** Addresses from this member's own settings: the group may know newer ones, or none yet. */
  readonly #hints: Readonly<Record<NodeId, string>>;
  readonly #heard = new Map<NodeId, PeerIdentity>();
  #memberships: MembershipStatus | undefined;

  constructor(hints: Readonly<Record<NodeId, string>>) {
    this.#hints = hints;
  }

  follow(memberships: MembershipStatus): void {
    this.#memberships = memberships;
    for (const id of this.#heard.keys()) if (!this.isMember(id)) this.#heard.delete(id);
  }

  isMember(id: NodeId): boolean {
    return Object.hasOwn(this.#memberships?.reach ?? {}, id);
  }

  /** What is settled about a caller; one that is welcome is remembered if it is a member. */
  standingOf(id: NodeId, identity: PeerIdentity): Standing {
    const { store } = identity;
    const settled = this.#memberships?.settled;
    if (settled === undefined) return "welcome";
    if (isRetired(settled, { id, store })) return "removed";
    if (!isStoreOf(settled, id, store)) return "other store";
    if (!this.isMember(id)) return "welcome";
    const before = this.#heard.get(id);
    const isNamed = membersOf(settled).includes(id) && settled.stores[id] !== undefined;
    if (!isNamed && before !== undefined && before.store !== store) return "other store";
    // A snapshot says nothing about addresses.
    if (identity.address !== "" || before === undefined) this.#heard.set(id, identity);
    return "welcome";
  }

  /** Where a member may be, the likeliest first; not empty for a member. */
  addressesOf(id: NodeId): readonly string[] {
    const heard = this.#heard.get(id)?.address ?? "";
    const known = this.#memberships?.reach[id] ?? "";
    const all = [known, heard, this.#hints[id] ?? ""].filter((address) => address !== "");
    return [...new Set(all)];
  }
}
