// Which members a local cluster has, and what each one listens on: arithmetic only.
//
// T1. No two members share a port.
// T2. A member's id, addresses and folder depend only on the topology, so a restart finds them.

import { LumeoError } from "@lumeofs/base";

export type Role = "master" | "chunkserver";

export interface Topology {
  /** 1, 3 or 5: an even number adds a voter without adding tolerance. */
  readonly masters: number;
  readonly chunkservers: number;
  /** Address that every member binds. */
  readonly host: string;
  /** First port; see `planMembers` for the rest. */
  readonly portBase: number;
}

export const TOPOLOGY_DEFAULT: Topology = {
  masters: 3,
  chunkservers: 4,
  host: "127.0.0.1",
  portBase: 7400,
};

/** More would make the data ports run into the control ports. */
export const CHUNKSERVERS_MAX = 20;
const DATA_PORT_OFFSET = 10;
const CONTROL_PORT_OFFSET = 30;
const PORTS_SPAN = CONTROL_PORT_OFFSET + CHUNKSERVERS_MAX;
const PORT_BASE_MAX = 65_535 - PORTS_SPAN;
const MASTERS_ALLOWED: readonly number[] = [1, 3, 5];

export type MemberPlan =
  | { readonly id: string; readonly role: "master"; readonly address: string }
  | {
      readonly id: string;
      readonly role: "chunkserver";
      /** Data plane. */
      readonly address: string;
      readonly controlAddress: string;
    };

/**
 * The members of a topology, masters first.
 *
 * Master i listens on portBase + i − 1; chunkserver i on portBase + 10 + i − 1 for data and
 * portBase + 30 + i − 1 for control.
 *
 * @throws LumeoError CONFIG naming the setting that is out of range.
 */
export function planMembers(topology: Topology): readonly MemberPlan[] {
  check(topology);
  const at = (offset: number): string => `${topology.host}:${topology.portBase + offset}`;
  const masters = countTo(topology.masters).map(
    (i): MemberPlan => ({ id: `m${i + 1}`, role: "master", address: at(i) }),
  );
  const chunkservers = countTo(topology.chunkservers).map(
    (i): MemberPlan => ({
      id: `cs${i + 1}`,
      role: "chunkserver",
      address: at(DATA_PORT_OFFSET + i),
      controlAddress: at(CONTROL_PORT_OFFSET + i),
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

/** The command line of a member, behind the entry file. */
export function memberArguments(
  member: MemberPlan,
  members: readonly MemberPlan[],
  dataDir: string,
): readonly string[] {
  const masters = members.filter((one) => one.role === "master");
  if (member.role === "master") {
    const peers = masters.map((one) => `${one.id}=${one.address}`).join(",");
    return ["--id", member.id, "--dir", dataDir, "--listen", member.address, "--peers", peers];
  }
  return [
    ...["--name", member.id, "--dir", dataDir],
    ...["--listen-data", member.address, "--listen-control", member.controlAddress],
    ...["--masters", masters.map((one) => one.address).join(",")],
  ];
}

/**
 * What a restart runs: what the folder holds, with the wishes that may change.
 *
 * Chunkservers may be added and ports may move; the group of masters stays what it was formed as.
 *
 * @throws LumeoError CONFIG if the wish does not fit what is stored.
 */
export function resumeTopology(stored: Topology, wish: Partial<Topology>): Topology {
  if (wish.masters !== undefined && wish.masters !== stored.masters) {
    throw new LumeoError(
      "CONFIG",
      `Cannot run ${wish.masters} masters here: this cluster was made with ${stored.masters}. ` +
        "Leave --masters out, or use another --dir",
    );
  }
  if (wish.chunkservers !== undefined && wish.chunkservers < stored.chunkservers) {
    throw new LumeoError(
      "CONFIG",
      `Cannot run ${wish.chunkservers} chunkservers here: ${stored.chunkservers} hold data of ` +
        "this cluster. Leave --chunkservers out, or use another --dir",
    );
  }
  return { ...stored, ...wish };
}

function check(topology: Topology): void {
  if (!MASTERS_ALLOWED.includes(topology.masters)) {
    throw new LumeoError(
      "CONFIG",
      `Cannot run ${topology.masters} masters: choose one of ${MASTERS_ALLOWED.join(", ")}`,
    );
  }
  between("chunkservers", topology.chunkservers, 1, CHUNKSERVERS_MAX);
  between("port base", topology.portBase, 1, PORT_BASE_MAX);
}

function between(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && min <= value && value <= max) return;
  throw new LumeoError("CONFIG", `Cannot use ${value} as ${name}: must be from ${min} to ${max}`);
}

function countTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}
