// What a search may do: small numbers of everything, so that all of it can be tried.

/** Each list goes epoch by epoch. */
export interface Story {
  /** Who becomes primary. */
  readonly primaries: readonly number[];
  /** Which servers hear its primary. */
  readonly reach?: readonly (readonly number[])[];
  /** Which writes clients send to it. */
  readonly writes?: readonly (readonly number[])[];
}

export interface ModelSettings {
  readonly name: string;
  /** Servers 1 to `replicas` hold the chunk; further ones are spare. */
  readonly servers: 2 | 3 | 4;
  readonly replicas: 2 | 3 | 4;
  readonly epochs: number;
  /** Different writes; each may be sent again to every primary. */
  readonly writes: number;
  /** Processes that end and start again, for all servers together. */
  readonly crashes: number;
  /** Disks that are wiped: the server is another one then (rule 2). */
  readonly wipes: number;
  /** Copies of which everything is found to be damaged (rule 20). */
  readonly damages: number;
  /** Masters may replace one member by a spare server with each grant. */
  readonly replaces: boolean;
  /** Masters may tell servers to remove superfluous copies. */
  readonly removes: boolean;
  /** Primaries may say at any time what is committed. */
  readonly notices: boolean;
  /**
   * What can be late without any other effect than being late is never late: an answer to the
   * primary that counts as soon as it was sent, and the reading of a donor that is fenced.
   */
  readonly hurries: boolean;
  /**
   * A message that a copy refused, or took before, may matter again: where copies can forget. All
   * messages are kept then.
   */
  readonly recalls?: boolean;
  /** Narrows the search to where one long story may happen; undefined: everything may. */
  readonly story?: Story;
  /** A wiped server comes back under the same identity: what rule 2 forbids. */
  readonly keepsIdentity?: boolean;
  /** Stop after so many states. */
  readonly statesMax: number;
}

/** One write, two epochs, nothing that fails but messages: a beginning for other settings. */
export const SMALLEST: ModelSettings = {
  name: "3 replicas, 2 epochs, 1 write",
  servers: 3,
  replicas: 3,
  epochs: 2,
  writes: 1,
  crashes: 0,
  wipes: 0,
  damages: 0,
  replaces: false,
  removes: false,
  notices: false,
  hurries: true,
  statesMax: 400_000,
};
