// The group as the rest of a master sees it: who takes part, who leads, and how to change both.

import type { Logger, LumeoError, NodeId } from "@lumeofs/base";
import type { Membership } from "../raft/entry.js";
import type { MemberChange } from "../raft/member-change.js";
import { isJoint } from "../raft/membership.js";
import type { MembershipStatus, PeerStatus, RaftInput } from "../raft/message.js";
import { overloaded } from "./answers.js";
import { type GroupAnswer, GroupChanges } from "./group-changes.js";
import { GroupView } from "./group-view.js";
import type { PeerIdentity, PeerLinks } from "./peer-link.js";
import type { RoleStatus } from "./replication.js";

/** What operators and the other parts of a master do with the group. */
export interface GroupControl {
  /** Who takes part, as this member knows it: committed, and with it who may follow. */
  readonly memberships: MembershipStatus;
  /** What a leader knows of the others; empty on all others. */
  readonly peers: readonly PeerStatus[];
  /** The group has gone on without this member. */
  readonly isRemoved: boolean;
  /**
   * Changes who takes part; resolves when the change is complete and no joint membership is left.
   *
   * @throws PRECONDITION, NOT_FOUND or EXISTS  It makes no sense, or not now; the message says why.
   * @throws NOT_LEADER or NO_LEADER  Refused.
   * @throws OVERLOADED       Refused: another change, or a handover, is under way. Try again.
   * @throws LEADERSHIP_LOST  Unknown: the next leader may still complete it, or undo it.
   */
  change(changes: readonly MemberChange[]): Promise<void>;
  /**
   * Hands the leadership to a voter, by default to the nearest one; resolves when this member leads
   * no longer.
   *
   * @throws PRECONDITION  It cannot lead, or is silent.
   * @throws UNAVAILABLE   It did not take over within an election timeout: this member leads on.
   */
  transfer(to?: NodeId): Promise<void>;
  /** Leads no longer, whether or not there is somebody to hand over to. */
  giveUp(): Promise<void>;
  /** Calls whenever `memberships` changes. Returns the way to stop listening. */
  onMembership(listener: (memberships: MembershipStatus) => void): () => void;
}

export interface GroupParts {
  readonly id: NodeId;
  readonly self: PeerIdentity;
  readonly links: PeerLinks;
  readonly logger: Logger;
  readonly onFatal: (error: unknown) => void;
  /** Gives an input to the core now. Throws a LumeoError if this member has stopped. */
  readonly step: (action: string, input: RaftInput) => void;
  /** Whether an input would be taken at once. */
  readonly canStep: () => boolean;
  readonly role: () => RoleStatus;
  readonly peers: () => readonly PeerStatus[];
}

export class Group implements GroupControl {
  readonly #parts: GroupParts;
  readonly #view: GroupView;
  readonly #changes: GroupChanges;
  readonly #listeners = new Set<(memberships: MembershipStatus) => void>();

  constructor(memberships: MembershipStatus, parts: GroupParts) {
    this.#parts = parts;
    this.#view = new GroupView(memberships, parts);
    this.#changes = new GroupChanges((member) => this.addressOf(member));
  }

  get memberships(): MembershipStatus {
    return this.#view.memberships;
  }

  get peers(): readonly PeerStatus[] {
    return this.#parts.peers();
  }

  get isRemoved(): boolean {
    return this.#view.isRemoved;
  }

  /** host:port of a member. */
  addressOf(member: NodeId | undefined): string | undefined {
    return member === undefined ? undefined : this.#view.addressOf(member);
  }

  change(changes: readonly MemberChange[]): Promise<void> {
    return this.#ask("change the masters", { kind: "changeMembership", changes });
  }

  transfer(to?: NodeId): Promise<void> {
    return this.#ask("hand over the leadership", { kind: "transferLeadership", to });
  }

  async giveUp(): Promise<void> {
    if (this.#parts.role().role !== "leader") return;
    try {
      await this.transfer();
    } catch (error) {
      this.#parts.logger.warn("Giving up the leadership without a successor", { error });
      this.#parts.step("give up the leadership", { kind: "resign" });
    }
  }

  onMembership(listener: (memberships: MembershipStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Begins to know the others, once the links listen.
   *
   * @throws LumeoError CONFIG if this member's store may not take part under its name.
   */
  begin(): void {
    this.#view.checkSelf();
    this.#parts.links.follow(this.memberships);
  }

  /** The core sees other members than before. */
  changed(memberships: MembershipStatus): void {
    const before = this.memberships.current;
    this.#view.changed(memberships);
    if (before !== memberships.current) this.#tell(memberships.current);
    this.#changes.settled(memberships);
    for (const listener of this.#listeners) listener(memberships);
  }

  answered(output: GroupAnswer): void {
    this.#changes.answered(output);
  }

  roleChanged(role: RoleStatus, before: RoleStatus): void {
    this.#changes.roleChanged(role, before);
    if (role.role === "leader") this.#view.keepNews();
  }

  identified(member: NodeId, identity: PeerIdentity): void {
    this.#view.identified(member, identity);
  }

  disowned(peer: NodeId, why: "removed" | "other store"): void {
    this.#view.disowned(peer, why);
  }

  /** Time passes: a leader writes down what members have said of themselves. */
  tick(): void {
    const { role, canStep, logger } = this.#parts;
    if (role().role !== "leader" || !canStep()) return;
    const news = this.#view.takeNews();
    if (news.length === 0) return;
    this.change(news).catch((error: unknown) => {
      logger.debug("The group does not know its members yet", { error });
      this.#view.keepNews();
    });
  }

  /** Nobody is left without an answer. */
  end(error: LumeoError): void {
    this.#changes.end(error);
  }

  #ask(action: string, input: RaftInput): Promise<void> {
    const { canStep, step } = this.#parts;
    return this.#changes.ask(() => {
      if (!canStep()) throw overloaded(action);
      step(action, input);
    });
  }

  #tell(current: Membership): void {
    const parts = [
      `voters ${current.voters.join(" ")}`,
      ...(isJoint(current) ? [`until now ${current.votersOutgoing.join(" ")}`] : []),
      ...(current.learners.length === 0 ? [] : [`learners ${current.learners.join(" ")}`]),
    ];
    this.#parts.logger.info(`The masters are: ${parts.join("; ")}`);
  }
}
