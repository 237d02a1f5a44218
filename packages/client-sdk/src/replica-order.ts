// Which replica of a chunk is read first, and which next. Pure: chance is passed in.
//
// O1. A replica that is worse by what is known of its server comes behind all better ones.
// O2. Among equals the nearest come first: on this machine, then those that share the most of the
//     client's labels, counted from the widest.
// O3. Among equally near ones the primary comes first, unless it is much slower than the best:
//     after a put its copy alone is in its server's memory, and primaries are spread over the
//     servers.
// O4. Otherwise the better of two random ones comes first: the fastest gets most, and many clients
//     that know the same do not all run to one server.

import { integerBetween, type Random } from "@lumeofs/base";

/** What there is to know about one replica when it is chosen. */
export interface Prospect {
  /** 0 for a server that nothing speaks against; the higher the worse. */
  readonly doubt: number;
  /** 0 for this machine. */
  readonly distance: number;
  /** Lower is better; see ServerScores. */
  readonly expectedMs: number;
  readonly isPrimary: boolean;
}

/** A primary so many times slower than the best is no better than the others (O3). */
const PRIMARY_SLOWER_MAX = 3;

/** Where a client stands. */
export interface Standpoint {
  /** From the widest to the narrowest, such as zone, then rack. */
  readonly labels: Readonly<Record<string, string>>;
  /** Names and addresses of this machine. */
  readonly hosts: ReadonlySet<string>;
}

/** How far a server is away (O2). */
export function distanceOf(
  from: Standpoint,
  server: { readonly address: string; readonly labels: Readonly<Record<string, string>> },
): number {
  if (from.hosts.has(hostOf(server.address))) return 0;
  const labels = Object.entries(from.labels);
  const differing = labels.findIndex(([name, value]) => server.labels[name] !== value);
  return 1 + (differing < 0 ? 0 : labels.length - differing);
}

/** The replicas in the order in which they are asked. */
export function inOrderOfHope<T>(
  replicas: readonly T[],
  prospectOf: (replica: T) => Prospect,
  random: Random,
): readonly T[] {
  const seen = replicas.map((replica) => ({
    replica,
    ...prospectOf(replica),
    lot: random.fraction(),
  }));
  seen.sort((a, b) => a.doubt - b.doubt || a.distance - b.distance || a.lot - b.lot);
  for (let from = 0; from < seen.length; ) {
    const first = seen[from] as (typeof seen)[number];
    const isLike = (one: typeof first): boolean =>
      one.doubt === first.doubt && one.distance === first.distance;
    const end = seen.findIndex((one, i) => from < i && !isLike(one));
    const group = seen.slice(from, end < 0 ? seen.length : end);
    seen.splice(from, group.length, ...amongEquals(group, random));
    from += group.length;
  }
  return seen.map(({ replica }) => replica);
}

/** The first one by O3 and O4, then the others, the best first. */
function amongEquals<T extends Pick<Prospect, "expectedMs" | "isPrimary">>(
  group: readonly T[],
  random: Random,
): readonly T[] {
  const best = [...group].sort((a, b) => a.expectedMs - b.expectedMs);
  const limitMs = PRIMARY_SLOWER_MAX * (best[0]?.expectedMs ?? 0);
  const primary = best.findIndex((one) => one.isPrimary && one.expectedMs <= limitMs);
  if (0 <= primary) return [...best.splice(primary, 1), ...best];
  if (best.length < 3) return best;
  const one = integerBetween(random, 0, best.length - 1);
  const other = (one + integerBetween(random, 1, best.length - 1)) % best.length;
  const [first] = best.splice(Math.min(one, other), 1) as [T];
  return [first, ...best];
}

/** Of "host:port", without brackets. */
export function hostOf(address: string): string {
  const host = address.slice(0, Math.max(0, address.lastIndexOf(":")));
  return host.startsWith("[") ? host.slice(1, -1) : host;
}
