// For operators: who the masters are and who leads. Any master answers: one that does not lead
// passes the wish on to the one that does.
//
// Every call may be repeated when its outcome is unknown: what is already as it was wished is done.

import { LumeoError, type NodeId, nodeId, type Timers } from "@lumeofs/base";
import { type RpcMethod, serveUnary, unary } from "@lumeofs/node/rpc";
import { AdminService, lumeo } from "@lumeofs/proto";
import type { GroupControl } from "../consensus/group.js";
import type { Replication } from "../consensus/replication.js";
import type { MemberChange } from "../raft/member-change.js";
import { isVoter, membersOf } from "../raft/membership.js";
import { atLeader, type Forwardable, type Method } from "./at-leader.js";
import type { ChannelPool } from "./channel-pool.js";

type MasterStatus = lumeo.master.v1.IMasterStatus;

/** A new master that does not answer in this time is not there. */
const PROBE_TIMEOUT_MS = 3_000;
/** While another change is under way a wish waits for so long. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 50;
const IDS_MAX = 16;

export interface MasterAdminParts {
  readonly group: GroupControl;
  readonly replication: Replication;
  readonly channels: ChannelPool;
  readonly timers: Timers;
  /** Equal on all masters of a cluster. */
  readonly clusterName: string;
}

export function masterAdminMethods(parts: MasterAdminParts): readonly RpcMethod[] {
  const led = <Q extends Forwardable, A>(
    method: Method<Q, A>,
    serve: (request: Q) => Promise<A>,
  ): RpcMethod =>
    serveUnary(method, (request: Q) =>
      atLeader(parts, { what: "change the masters", method, request, serve }),
    );
  return [
    led(AdminService.addMaster, (request) => addMaster(parts, request)),
    led(AdminService.promoteMasters, (request) => promote(parts, idsOf(request.ids))),
    led(AdminService.removeMasters, (request) => remove(parts, idsOf(request.ids))),
    led(AdminService.transferLeadership, (request) => transfer(parts, request.to ?? "")),
  ];
}

async function addMaster(
  parts: MasterAdminParts,
  request: lumeo.master.v1.IAddMasterRequest,
): Promise<lumeo.master.v1.IAddMasterResponse> {
  const id = idOf(request.id ?? "");
  const address = request.address ?? "";
  if (!/^[^\s:,=]+:\d{1,5}$/.test(address)) {
    throw new LumeoError(
      "INVALID_ARGUMENT",
      `Cannot add master "${id}": its address is no host:port`,
    );
  }
  const { current } = parts.group.memberships;
  if (membersOf(current).includes(id) && current.addresses[id] === address) return {};
  if (!membersOf(current).includes(id)) {
    const store = await probe(parts, id, address);
    await change(parts, [{ kind: "addLearner", id, address, store }]);
    return {};
  }
  throw new LumeoError(
    "EXISTS",
    `Cannot add master "${id}": there is one of this name at ${current.addresses[id] ?? "?"}`,
  );
}

async function promote(
  parts: MasterAdminParts,
  ids: readonly NodeId[],
): Promise<lumeo.master.v1.IPromoteMastersResponse> {
  const { current } = parts.group.memberships;
  const open = ids.filter((id) => !current.voters.includes(id));
  if (0 < open.length)
    await change(
      parts,
      open.map((id) => ({ kind: "promote", id })),
    );
  return {};
}

async function remove(
  parts: MasterAdminParts,
  ids: readonly NodeId[],
): Promise<lumeo.master.v1.IRemoveMastersResponse> {
  const { current } = parts.group.memberships;
  const isGone = (id: NodeId): boolean =>
    !membersOf(current).includes(id) && current.retired.some((retired) => retired.id === id);
  const open = ids.filter((id) => !isGone(id));
  if (0 < open.length)
    await change(
      parts,
      open.map((id) => ({ kind: "remove", id })),
    );
  return {};
}

async function transfer(
  parts: MasterAdminParts,
  to: string,
): Promise<lumeo.master.v1.ITransferLeadershipResponse> {
  if (to !== "" && to === parts.replication.status.id) return {};
  await whenFree(parts, () => parts.group.transfer(to === "" ? undefined : idOf(to)));
  return {};
}

function change(parts: MasterAdminParts, changes: readonly MemberChange[]): Promise<void> {
  return whenFree(parts, () => parts.group.change(changes));
}

/** Waits while something else is being changed: most of it takes moments. */
async function whenFree(parts: MasterAdminParts, act: () => Promise<void>): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += PAUSE_MS) {
    try {
      return await act();
    } catch (error) {
      const isBusy = error instanceof LumeoError && error.code === "OVERLOADED";
      if (!isBusy || PATIENCE_MS <= waitedMs) throw error;
    }
    await new Promise<void>((resolve) => parts.timers.after(PAUSE_MS, resolve));
  }
}

/** Asks a master that wants to join who it is. Returns its store. */
async function probe(parts: MasterAdminParts, id: NodeId, address: string): Promise<string> {
  const refuse = (why: string, cause?: unknown): LumeoError =>
    new LumeoError("PRECONDITION", `Cannot add master "${id}": ${why}`, { cause });
  let status: MasterStatus | null | undefined;
  try {
    const options = { timeoutMs: PROBE_TIMEOUT_MS };
    const channel = parts.channels.to(address);
    // Another master may have been there, and the last attempt to reach it may have failed.
    await channel.ready(options);
    const answer = await unary(channel, AdminService.getMasterStatus, {}, options);
    status = answer.status;
  } catch (error) {
    throw refuse(
      `no master answers at ${address}. Start it there with --id ${id} and --join`,
      error,
    );
  }
  if (status?.id !== id) throw refuse(`the master at ${address} is "${status?.id ?? ""}"`);
  if (status.clusterName !== parts.clusterName) {
    throw refuse(
      `its setting clusterName is "${status.clusterName ?? ""}", here it is "${parts.clusterName}"`,
    );
  }
  if (status.standing !== lumeo.master.v1.MasterStanding.MASTER_STANDING_WAITING) {
    throw refuse(
      `the master at ${address} is in a group, or has founded one of its own. Start it with an ` +
        "empty folder and with --join",
    );
  }
  if (!status.store) throw refuse(`the master at ${address} does not say what store it has`);
  return status.store;
}

function idsOf(ids: readonly string[] | null | undefined): readonly NodeId[] {
  const unique = [...new Set(ids ?? [])];
  if (0 < unique.length && unique.length <= IDS_MAX) return unique.map(idOf);
  throw new LumeoError("INVALID_ARGUMENT", `Cannot change masters: name 1 to ${IDS_MAX} of them`);
}

function idOf(name: string): NodeId {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) return nodeId(name);
  const text = JSON.stringify(name);
  throw new LumeoError("INVALID_ARGUMENT", `Cannot name a master ${text}: use a-z, 0-9 and "-"`);
}

const { MasterStanding } = lumeo.master.v1;

/** What part a member has, as this master knows it. */
export function standingOf(group: GroupControl, id: NodeId): lumeo.master.v1.MasterStanding {
  const { current } = group.memberships;
  if (current.voters.includes(id)) return MasterStanding.MASTER_STANDING_VOTER;
  if (isVoter(current, id)) return MasterStanding.MASTER_STANDING_LEAVING;
  if (current.learners.includes(id)) return MasterStanding.MASTER_STANDING_LEARNER;
  const isNew = current.voters.length === 0;
  return isNew ? MasterStanding.MASTER_STANDING_WAITING : MasterStanding.MASTER_STANDING_REMOVED;
}
