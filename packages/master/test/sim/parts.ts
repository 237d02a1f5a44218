// The product code that a simulation runs: the real one, or a mutant of it.

import * as driver from "../../src/consensus/driver.js";
import type { GroupControl } from "../../src/consensus/group.js";
import * as readGate from "../../src/consensus/read-gate.js";
import * as snapshotStore from "../../src/consensus/snapshot-store.js";
import * as stateMachine from "../../src/metadata/state-machine.js";
import * as raft from "../../src/raft/raft.js";
import * as machineState from "../../src/state/machine-state.js";

export interface Parts {
  readonly RaftCore: typeof raft.RaftCore;
  readonly Driver: typeof driver.Driver;
  readonly SnapshotStore: typeof snapshotStore.SnapshotStore;
  readonly ReadGate: typeof readGate.ReadGate;
  readonly MachineState: typeof machineState.MachineState;
  readonly applyEntry: typeof stateMachine.applyEntry;
}

export const REAL_PARTS: Parts = {
  RaftCore: raft.RaftCore,
  Driver: driver.Driver,
  SnapshotStore: snapshotStore.SnapshotStore,
  ReadGate: readGate.ReadGate,
  MachineState: machineState.MachineState,
  applyEntry: stateMachine.applyEntry,
};

/** What a simulated process is to its users, whichever shell drives it. */
export interface Process {
  readonly group: Pick<GroupControl, "change" | "transfer" | "giveUp">;
  propose(command: Uint8Array): Promise<Uint8Array>;
  read(): Promise<unknown>;
}
