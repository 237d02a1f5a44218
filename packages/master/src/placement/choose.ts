// Which servers get the copies, or the units, of a new chunk (GFS §4.2): never two on one server,
// as evenly over racks as there are racks, room and load balanced by two random choices, and
// servers that failed this client only if there is nobody else.

import { CHUNK_BYTES_DEFAULT, type Random, type ServerId } from "@lumeofs/base";
import type { Liveness, ServerLoad } from "../fleet/servers.js";
import { type Refused, refuse } from "../metadata/command.js";

/** A server with less room than one chunk may take gets no new ones. */
export const FREE_BYTES_MIN = CHUNK_BYTES_DEFAULT;

export interface Candidate {
  readonly id: ServerId;
  readonly liveness: Liveness;
  readonly load: ServerLoad | undefined;
  /** Servers of one rack fail together; undefined if nobody said. */
  readonly rack: string | undefined;
  /** An operator has taken it out: it is emptied, or in maintenance. */
  readonly isAside?: boolean;
}

export interface Wish {
  /** Servers of each placement. */
  readonly replicas: number;
  /** They are for units of a code, and not for copies. */
  readonly areUnits: boolean;
  /** How many placements, one for each grant. */
  readonly count: number;
  readonly avoid: ReadonlySet<ServerId>;
}

export interface Placements {
  readonly kind: "placed";
  /** For each grant its servers, the primary first. */
  readonly placements: readonly (readonly ServerId[])[];
}

interface Eligible {
  readonly id: ServerId;
  readonly rack: string | undefined;
  readonly freeBytes: number;
  readonly isAvoided: boolean;
  /** Writes under way and grants given in this round. */
  busy: number;
}

/**
 * Chooses servers for new chunks.
 *
 * @returns UNAVAILABLE if fewer servers are alive than there are copies, TOO_FEW_SERVERS if fewer
 *          than there are units, NO_SPACE if enough are alive but too few have room; UNAVAILABLE
 *          again if servers that were just there, or were not heard since this master leads, may
 *          have it.
 */
export function choosePlacements(
  candidates: readonly Candidate[],
  wish: Wish,
  random: Random,
): Placements | Refused {
  const eligible = eligibleOf(candidates, wish.avoid);
  if (eligible.length < wish.replicas) return refusePlacement(candidates, wish, eligible.length);
  const placements = Array.from({ length: wish.count }, () => {
    const chosen: Eligible[] = [];
    while (chosen.length < wish.replicas) chosen.push(chooseNext(eligible, chosen, random));
    for (const server of chosen) server.busy++;
    return chosen.map((server) => server.id);
  });
  return { kind: "placed", placements };
}

function eligibleOf(
  candidates: readonly Candidate[],
  avoid: ReadonlySet<ServerId>,
): readonly Eligible[] {
  return candidates.flatMap(({ id, liveness, load, rack, isAside }) => {
    if (isAside === true) return [];
    if (liveness !== "alive" || load === undefined || !hasRoom(load)) return [];
    const { freeBytes, writesInFlight: busy } = load;
    return [{ id, rack, freeBytes, isAvoided: avoid.has(id), busy }];
  });
}

function hasRoom(load: ServerLoad): boolean {
  return !load.isReadOnly && FREE_BYTES_MIN <= load.freeBytes;
}

/**
 * One more server for a placement: not avoided before a good rack, and of the racks the one that
 * has the fewest so far. So a rack that is lost takes as few units with it as can be.
 */
function chooseNext(
  eligible: readonly Eligible[],
  chosen: readonly Eligible[],
  random: Random,
): Eligible {
  const free = eligible.filter((server) => !chosen.includes(server));
  const wanted = prefer(free, (server) => !server.isAvoided);
  const taken = new Map<string, number>();
  for (const { rack } of chosen) {
    if (rack !== undefined) taken.set(rack, (taken.get(rack) ?? 0) + 1);
  }
  const crowd = ({ rack }: Eligible): number => (rack === undefined ? 0 : (taken.get(rack) ?? 0));
  const fewest = wanted.reduce((least, server) => Math.min(least, crowd(server)), Infinity);
  const pool = wanted.filter((server) => crowd(server) === fewest);
  const first = draw(pool, random);
  const second = draw(pool, random);
  return second.busy < first.busy ? second : first;
}

function prefer(
  servers: readonly Eligible[],
  isBetter: (server: Eligible) => boolean,
): readonly Eligible[] {
  const better = servers.filter(isBetter);
  return 0 < better.length ? better : servers;
}

/** One of the servers, each as likely as it has room. */
function draw(pool: readonly Eligible[], random: Random): Eligible {
  const total = pool.reduce((sum, server) => sum + server.freeBytes, 0);
  let rest = random.fraction() * total;
  for (const server of pool) {
    rest -= server.freeBytes;
    if (rest < 0) return server;
  }
  return pool.at(-1) as Eligible; // rounding can leave a last crumb
}

/** Silent, but not given up: it may be alive in a moment. */
function mayHaveRoom({ liveness, load }: Candidate): boolean {
  return liveness === "suspect" && (load === undefined || hasRoom(load));
}

function refusePlacement(
  all: readonly Candidate[],
  { replicas, areUnits }: Wish,
  withRoom: number,
): Refused {
  const candidates = all.filter(({ isAside }) => isAside !== true);
  const alive = candidates.filter((candidate) => candidate.liveness === "alive").length;
  const what = `Cannot place ${replicas} ${areUnits ? "units of coded chunks" : "replicas"}`;
  const aside = all.length - candidates.length;
  const others = aside === 0 ? "" : `, ${aside} more are emptied or in maintenance`;
  const are = `${alive} of ${candidates.length} chunkservers are alive${others}`;
  if (replicas <= alive) {
    const room = `${withRoom} of them have room`;
    const unheard = candidates.filter(mayHaveRoom).length;
    if (replicas <= withRoom + unheard) {
      const what = `Cannot place ${replicas} of a chunk now`;
      return refuse("UNAVAILABLE", `${what}: ${are}, ${room}; ${unheard} are silent; try again`);
    }
    return refuse("NO_SPACE", `${what}: ${are}, ${room}; free space or add a chunkserver`);
  }
  if (areUnits) {
    const wayOut = "start more of them, use a narrower code, or let files be replicated instead";
    return refuse("TOO_FEW_SERVERS", `${what}: ${are}; ${wayOut}`);
  }
  return refuse("UNAVAILABLE", `${what}: ${are}; start more of them or ask for fewer replicas`);
}
