// What members have said of themselves and the group does not know yet: the store of a founder, and
// the address of a member that has moved. The leader writes it into the membership.

import type { NodeId } from "@lumeofs/base";
import type { Membership } from "../raft/entry.js";
import type { MemberChange } from "../raft/member-change.js";
import { membersOf } from "../raft/membership.js";
import type { PeerIdentity } from "./peer-link.js";

export class Introductions {
  readonly #heard = new Map<NodeId, PeerIdentity>();

  heard(member: NodeId, identity: PeerIdentity): void {
    const before = this.#heard.get(member);
    const address = identity.address === "" ? (before?.address ?? "") : identity.address;
    this.#heard.set(member, { store: identity.store, address });
  }

  /** What differs from this membership; what contradicts it is left out. */
  news(membership: Membership): readonly MemberChange[] {
    const news: MemberChange[] = [];
    for (const id of membersOf(membership)) {
      const heard = this.#heard.get(id);
      if (heard === undefined || heard.store === "") continue;
      const known = membership.stores[id];
      if (known !== undefined && known !== heard.store) continue;
      const address = addressOf(membership, id, heard);
      if (known === heard.store && membership.addresses[id] === address) continue;
      news.push({ kind: "describe", id, address, store: heard.store });
    }
    return news;
  }
}

/** What the member says, unless somebody else is there. */
function addressOf(membership: Membership, id: NodeId, { address }: PeerIdentity): string {
  const known = membership.addresses[id] ?? "";
  const others = membersOf(membership).filter((other) => other !== id);
  const isTaken = others.some((other) => membership.addresses[other] === address);
  return address === "" || isTaken ? known : address;
}
