import type { GroupControl } from "../consensus/group.js";
import { membersOf } from "../raft/membership.js";

/** Where all masters are, for everybody who has to find one. */
export interface MasterDirectory {
  /** host:port, the same array until something changes; empty if this master is in no group. */
  readonly addresses: readonly string[];
  /** Grows with every change that is committed. */
  readonly revision: number;
  /** Returns the way to stop listening. */
  onChange(listener: () => void): () => void;
}

/** The directory of the group that this master belongs to. */
export function masterDirectory(group: GroupControl): MasterDirectory {
  let addresses = addressesOf(group);
  const listeners = new Set<() => void>();
  group.onMembership(() => {
    const now = addressesOf(group);
    if (now.length === addresses.length && now.every((one, i) => one === addresses[i])) return;
    addresses = now;
    for (const listener of listeners) listener();
  });
  return {
    get addresses() {
      return addresses;
    },
    get revision() {
      return group.memberships.settledIndex;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Voters come first: one of them leads. */
function addressesOf({ memberships }: GroupControl): readonly string[] {
  const { current, reach } = memberships;
  const members = membersOf(current).map((id) => reach[id] ?? "");
  return members.filter((address) => address !== "");
}
