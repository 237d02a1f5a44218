// Which members a local cluster has, and what each one listens on: arithmetic only.
//
// T1. No two members share a port.
// T2. A member's id, addresses and folder depend only on the topology, so a restart finds them.
// T3. The name of a master is used once: one that joins is called by the next number, whoever has
//     been removed.

import { LumeoError } from "@lumeofs/base";

export type Role = "master" | "chunkserver";

export interface Topology {
  /** Founders: 1, 3 or 5, for an even number adds a voter without adding tolerance. */
  readonly masters: number;
  /** Masters that joined later. */
  readonly joined: readonly JoinedMaster[];
  /** Numbers of the masters, founders or not, that were removed. */
  readonly removed: readonly number[];
  readonly chunkservers: number;
  /** Disks of each chunkserver: folders of their own. */
  readonly disks: number;
  /** Address that every member binds. */
  readonly host: string;
  /** First port; see `planMembers` for the rest. */
  readonly portBase: number;
}

/** A master that was not there when the cluster was made. */
export interface JoinedMaster {
  /** 4 is called "m4". */
  readonly number: number;
  /** Where it listens, counted from the port base; free again when the master is removed. */
  readonly slot: number;
}

export const TOPOLOGY_DEFAULT: Topology = {
  masters: 3,
  joined: [],
  removed: [],
  chunkservers: 4,
  disks: 1,
  host: "127.0.0.1",
  portBase: 7400,
};

/** More would make the data ports run into the control ports. */
export const CHUNKSERVERS_MAX = 20;
/** Of one chunkserver. */
export const DISKS_MAX = 8;
const DATA_PORT_OFFSET = 10;
const CONTROL_PORT_OFFSET = 30;
const PORTS_SPAN = CONTROL_PORT_OFFSET + CHUNKSERVERS_MAX;
/** So that every member has a port. */
export const PORT_BASE_MAX = 65_535 - PORTS_SPAN;
/** Founders; an even number adds a voter without adding tolerance. */
export const MASTERS_ALLOWED: readonly number[] = [1, 3, 5];

export type MemberPlan =
  | {
      readonly id: string;
      readonly role: "master";
      readonly address: string;
      /** It waits to be taken into the group, and founds none. */
      readonly joins: boolean;
    }
  | {
      readonly id: string;
      readonly role: "chunkserver";
      /** Data plane. */
      readonly address: string;
      readonly controlAddress: string;
      readonly disks: number;
    };

/**
 * The members of a topology, masters first.
 *
 * Founding master i listens on portBase + i − 1, one that joins on the first port behind portBase
 * that no master has; chunkserver i on portBase + 10 + i − 1 for data and portBase + 30 + i − 1 for
 * control.
 *
 * @throws LumeoError CONFIG naming the setting that is out of range.
 */
export function planMembers(topology: Topology): readonly MemberPlan[] {
  check(topology);
  const at = (offset: number): string => `${topology.host}:${topology.portBase + offset}`;
  const masters = mastersOf(topology).map(
    ({ number, slot, joins }): MemberPlan => ({
      ...{ id: `m${number}`, role: "master", address: at(slot), joins },
    }),
  );
  const chunkservers = countTo(topology.chunkservers).map(
    (i): MemberPlan => ({
      id: `cs${i + 1}`,
      role: "chunkserver",
      address: at(DATA_PORT_OFFSET + i),
      controlAddress: at(CONTROL_PORT_OFFSET + i),
      disks: topology.disks,
    }),
  );
  return [...masters, ...chunkservers];
}

/** Addresses of the masters, in order: what clients are given. */
export function masterEndpoints(members: readonly MemberPlan[]): readonly string[] {
  return members.filter((member) => member.role === "master").map((member) => member.address);
}

/** Every address that a member binds. */
export function addressesOf(member: MemberPlan): readonly string[] {
  return member.role === "master" ? [member.address] : [member.address, member.controlAddress];
}

/**
 * The command line of a member, behind the entry file.
 *
 * @param dataDirs  Of a master one, of a chunkserver one for each disk.
 */
export function memberArguments(
  member: MemberPlan,
  members: readonly MemberPlan[],
  dataDirs: readonly string[],
): readonly string[] {
  const dirs = dataDirs.flatMap((dir) => ["--dir", dir]);
  const masters = members.filter((one) => one.role === "master");
  if (member.role === "master") {
    const peers = masters.map((one) => `${one.id}=${one.address}`).join(",");
    const others = masters.filter((one) => one.id !== member.id).map((one) => one.address);
    return [
      ...["--id", member.id, ...dirs, "--listen", member.address, "--peers", peers],
      ...(member.joins ? ["--join", others.join(",") || member.address] : []),
    ];
  }
  return [
    ...["--name", member.id, ...dirs],
    ...["--listen-data", member.address, "--listen-control", member.controlAddress],
    ...["--masters", masters.map((one) => one.address).join(",")],
  ];
}

/**
 * What a restart runs: what the folder holds, with the wishes that may change.
 *
 * Chunkservers may be added and ports may move; the group of masters is changed while it runs.
 *
 * @throws LumeoError CONFIG if the wish does not fit what is stored.
 */
export function resumeTopology(stored: Topology, wish: Partial<Topology>): Topology {
  const { masters = stored.masters, ...rest } = wish;
  const now = mastersOf(stored).length;
  if (masters !== stored.masters && masters !== now) {
    throw new LumeoError(
      "CONFIG",
      `Cannot run ${masters} masters here: this cluster has ${now}. Leave --masters out, and use ` +
        "`lumeo dev add-master` or `lumeo dev remove-master` while it runs",
    );
  }
  if (wish.chunkservers !== undefined && wish.chunkservers < stored.chunkservers) {
    throw new LumeoError(
      "CONFIG",
      `Cannot run ${wish.chunkservers} chunkservers here: ${stored.chunkservers} hold data of ` +
        "this cluster. Leave --chunkservers out, or use another --dir",
    );
  }
  if (wish.disks !== undefined && wish.disks !== stored.disks) {
    throw new LumeoError(
      "CONFIG",
      `Cannot run chunkservers with disks: ${wish.disks} here, they have ${stored.disks}. Leave ` +
        "--disks out, or use another --dir",
    );
  }
  return { ...stored, ...rest };
}

/**
 * The topology with one more master, and the name of that.
 *
 * @throws LumeoError CONFIG if there are too many.
 */
export function withMaster(topology: Topology): {
  readonly topology: Topology;
  readonly id: string;
} {
  const { joined, masters, removed } = topology;
  const taken = mastersOf(topology).map(({ slot }) => slot);
  const slot = countTo(DATA_PORT_OFFSET).find((one) => !taken.includes(one));
  if (slot === undefined) {
    throw new LumeoError("CONFIG", `Cannot run more than ${DATA_PORT_OFFSET} masters here`);
  }
  const number = 1 + Math.max(masters, ...joined.map((one) => one.number), ...removed);
  return {
    topology: { ...topology, joined: [...joined, { number, slot }] },
    id: `m${number}`,
  };
}

/** The topology without these masters. @throws LumeoError NOT_FOUND if one is not there. */
export function withoutMasters(topology: Topology, ids: readonly string[]): Topology {
  const numbers = ids.map((id) => {
    const found = mastersOf(topology).find(({ number }) => `m${number}` === id);
    if (found !== undefined) return found.number;
    throw new LumeoError("NOT_FOUND", `Cannot find master "${id}" in this cluster`);
  });
  return { ...topology, removed: [...topology.removed, ...numbers] };
}

interface PlannedMaster extends JoinedMaster {
  readonly joins: boolean;
}

function mastersOf({ joined, masters, removed }: Topology): readonly PlannedMaster[] {
  const founders = countTo(masters).map((i) => ({ number: i + 1, slot: i, joins: false }));
  const all = [...founders, ...joined.map((one) => ({ ...one, joins: true }))];
  return all.filter(({ number }) => !removed.includes(number));
}

function check(topology: Topology): void {
  if (!MASTERS_ALLOWED.includes(topology.masters)) {
    throw new LumeoError(
      "CONFIG",
      `Cannot run ${topology.masters} masters: choose one of ${MASTERS_ALLOWED.join(", ")}`,
    );
  }
  between("chunkservers", topology.chunkservers, 1, CHUNKSERVERS_MAX);
  between("disks", topology.disks, 1, DISKS_MAX);
  between("port base", topology.portBase, 1, PORT_BASE_MAX);
}

function between(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && min <= value && value <= max) return;
  throw new LumeoError("CONFIG", `Cannot use ${value} as ${name}: must be from ${min} to ${max}`);
}

function countTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}
