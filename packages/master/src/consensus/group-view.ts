// Who takes part, as one member sees it, and what it does about that: keeps the links to the
// others, tells the group what members say of themselves, and stops when it is not one of them.
//
// W1. A member whose name the group gives to another store does not go on: it has forgotten what
//     the others count on.
// W2. A member that was removed stays a follower without a leader; it can do no harm, and is told
//     to people.

import { type Logger, LumeoError, type NodeId } from "@lumeofs/base";
import { isRetired, isStoreOf, type MemberChange } from "../raft/member-change.js";
import { isJoint } from "../raft/membership.js";
import type { MembershipStatus } from "../raft/message.js";
import { Introductions } from "./introductions.js";
import type { PeerIdentity, PeerLinks } from "./peer-link.js";

/** What to do about a master that may not come back under its name. */
const NEW_NAME =
  "remove it with `lumeo master remove`, and start it with an empty folder, under a new name and " +
  "with --join";

export interface GroupViewParts {
  readonly id: NodeId;
  readonly self: PeerIdentity;
  readonly links: PeerLinks;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
}

export class GroupView {
  readonly #parts: GroupViewParts;
  readonly #introductions = new Introductions();
  #memberships: MembershipStatus;
  #isRemoved = false;
  /** There may be something to tell the group. */
  #hasNews = true;

  constructor(memberships: MembershipStatus, parts: GroupViewParts) {
    this.#parts = parts;
    this.#memberships = memberships;
    this.#introductions.heard(parts.id, parts.self);
  }

  get memberships(): MembershipStatus {
    return this.#memberships;
  }

  /** The group has gone on without this member. */
  get isRemoved(): boolean {
    return this.#isRemoved;
  }

  addressOf(member: NodeId): string | undefined {
    return this.#memberships.reach[member];
  }

  /** @throws LumeoError CONFIG if this store may not take part under its name. */
  checkSelf(): void {
    const { id, self } = this.#parts;
    const { settled } = this.#memberships;
    if (!isStoreOf(settled, id, self.store)) throw replaced(id);
    if (isRetired(settled, { id, store: self.store })) {
      throw new LumeoError(
        "CONFIG",
        `Cannot start master "${id}": the group has removed it. To use this machine again, start ` +
          "a master with an empty folder, under a new name and with --join",
      );
    }
  }

  changed(memberships: MembershipStatus): void {
    const { id, self, links, onFatal } = this.#parts;
    this.#memberships = memberships;
    this.#hasNews = true;
    links.follow(memberships);
    const { settled } = memberships;
    if (!isStoreOf(settled, id, self.store)) onFatal(replaced(id));
    else if (isRetired(settled, { id, store: self.store })) this.#removed();
  }

  identified(member: NodeId, identity: PeerIdentity): void {
    this.#introductions.heard(member, identity);
    this.#hasNews = true;
  }

  disowned(peer: NodeId, why: "removed" | "other store"): void {
    const { id, onFatal, logger } = this.#parts;
    if (why === "removed") return this.#removed();
    logger.error("The other masters do not know the store of this one", { peer });
    onFatal(replaced(id));
  }

  /** What a leader should write into the membership now, if anything. */
  takeNews(): readonly MemberChange[] {
    const { current, settled } = this.#memberships;
    if (!this.#hasNews || current !== settled || isJoint(current)) return [];
    this.#hasNews = false;
    return this.#introductions.news(current);
  }

  /** What was taken has not been written: it is to be taken again. */
  keepNews(): void {
    this.#hasNews = true;
  }

  #removed(): void {
    if (this.#isRemoved) return;
    this.#isRemoved = true;
    const text = "The group has removed this master: it can be stopped, and its folder deleted";
    this.#parts.logger.warn(text, { node: this.#parts.id });
  }
}

function replaced(id: NodeId): LumeoError {
  return new LumeoError(
    "CONFIG",
    `Cannot take part as master "${id}": the group knows another store under this name, so the ` +
      "folder of this one was made anew, or is another master's. " +
      `If the old folder is lost, ${NEW_NAME}`,
  );
}
