// Which server this is and which disks it has, from what its folders say at a start. Values only:
// open-disks.ts looks and acts.
//
// U1. A server never gets a second identity by accident: where no folder says who we are, and one
//     that might say it cannot be read, there is no start.
// U2. A disk of another server, a disk given twice, and a disk of ours that is not given are the
//     operator's to explain: no start.
// U3. A disk that is missing, or does not work, is lost: the others serve.
// U4. A missing folder is never made for a server that has disks: it may be a disk that is not
//     mounted. An empty one that is there is a new disk.

import { LumeoError } from "@lumeofs/base";
import type { Membership, VolumeName } from "../store/volume.js";
import type { DiskLoss, Roster, RosterEntry } from "./roster.js";

/** What a folder says. */
export type Found =
  | {
      readonly kind: "store";
      readonly folder: string;
      readonly name: VolumeName;
      readonly membership: Membership | undefined;
      readonly roster: Roster | undefined;
    }
  | { readonly kind: "empty" | "missing"; readonly folder: string }
  | { readonly kind: "failed"; readonly folder: string; readonly error: LumeoError };

export interface MusterTerms {
  /** Uuids of disks that the operator has given up. */
  readonly retired: readonly string[];
  /** Milliseconds since 1970. */
  readonly nowMs: number;
}

/** What is to be done with the folders. */
export interface Mustered {
  /** Undefined: a new server is to be made of all folders. */
  readonly server: string | undefined;
  readonly membership: Membership | undefined;
  /** The newest that was found. */
  readonly roster: Roster | undefined;
  /** Folders to be formatted. */
  readonly fresh: readonly string[];
  /** Disks that are not there. */
  readonly lost: readonly (RosterEntry & { readonly loss: DiskLoss })[];
  /** One of these is not known to be lost: what was on it has to be looked for. */
  readonly isNews: boolean;
  /** A disk is here that was given up before. */
  readonly isBack: boolean;
}

type Store = Extract<Found, { readonly kind: "store" }>;

/** @throws LumeoError CONFIG (U2); what made a folder unreadable (U1). */
export function muster(found: readonly Found[], terms: MusterTerms): Mustered {
  const stores = found.filter((one) => one.kind === "store");
  const [first] = stores;
  if (first === undefined) return musterNew(found);
  checkStores(stores);
  const roster = newestOf(stores);
  const memberships = stores.flatMap(({ membership }) => membership ?? []);
  const here = new Set(stores.map(({ name }) => name.uuid));
  const isEntryHere = ({ uuid }: RosterEntry): boolean => here.has(uuid);
  const entries = roster?.disks ?? [];
  const { lost, isNews } = lostOf(found, entries, terms);
  return {
    server: first.name.server,
    membership: memberships[0],
    roster,
    fresh: found.filter(({ kind }) => kind === "empty").map(({ folder }) => folder),
    lost,
    isNews,
    isBack: entries.some((entry) => entry.loss !== undefined && isEntryHere(entry)),
  };
}

/** U1. */
function musterNew(found: readonly Found[]): Mustered {
  for (const one of found) if (one.kind === "failed") throw one.error;
  return {
    server: undefined,
    membership: undefined,
    roster: undefined,
    fresh: found.map(({ folder }) => folder),
    lost: [],
    isNews: false,
    isBack: false,
  };
}

/** U2, as far as it is about what is there. */
function checkStores(stores: readonly Store[]): void {
  const byUuid = new Map<string, Store>();
  const [first] = stores;
  for (const store of stores) {
    const { name, folder, membership } = store;
    const twin = byUuid.get(name.uuid);
    if (twin !== undefined) {
      const what = `"${twin.folder}" and "${folder}" are the same disk ${name.uuid}, or a copy`;
      throw refused(`${what}; give each disk once`);
    }
    byUuid.set(name.uuid, store);
    if (first === undefined) continue;
    if (name.server !== first.name.server) {
      const what = `"${folder}" belongs to another chunkserver than "${first.folder}"`;
      throw refused(`${what}; give it back to that one, or empty it to make it a new disk here`);
    }
    const isOther =
      membership !== undefined &&
      first.membership !== undefined &&
      (membership.serverId !== first.membership.serverId ||
        membership.clusterId !== first.membership.clusterId);
    if (isOther) {
      const what = `"${folder}" is of another cluster, or another server number, than`;
      throw refused(`${what} "${first.folder}"; empty one of them`);
    }
  }
}

function newestOf(stores: readonly Store[]): Roster | undefined {
  let newest: Roster | undefined;
  for (const { roster } of stores) {
    if (roster === undefined) continue;
    if (newest === undefined || newest.generation < roster.generation) newest = roster;
  }
  return newest;
}

/** U2, as far as it is about what is not there; U3. */
function lostOf(
  found: readonly Found[],
  entries: readonly RosterEntry[],
  { retired, nowMs }: MusterTerms,
): Pick<Mustered, "lost" | "isNews"> {
  const byFolder = new Map(found.map((one) => [one.folder, one]));
  const here = new Set(found.flatMap((one) => (one.kind === "store" ? [one.name.uuid] : [])));
  const lost: (RosterEntry & { readonly loss: DiskLoss })[] = [];
  let isNews = false;
  for (const { uuid, folder, loss } of entries) {
    if (here.has(uuid)) continue;
    const place = byFolder.get(folder);
    isNews ||= loss === undefined;
    if (place === undefined) {
      // Whoever was lost before, and is not given any more, is given up.
      if (loss !== undefined || retired.includes(uuid)) continue;
      const way = `give its folder too, even if the disk is gone, or --retired-disk ${uuid}`;
      throw refused(`its disk ${uuid}, last at "${folder}", is not given; ${way}`);
    }
    // A new disk, or another one of ours, stands in its place.
    if (place.kind === "empty" || place.kind === "store" || retired.includes(uuid)) continue;
    lost.push({ uuid, folder, loss: loss ?? { sinceMs: nowMs, why: whyOf(place) } });
  }
  const known = new Set(lost.map(({ folder }) => folder));
  for (const one of found) {
    if (one.kind !== "failed" && one.kind !== "missing") continue;
    if (known.has(one.folder)) continue;
    lost.push({ uuid: "", folder: one.folder, loss: { sinceMs: nowMs, why: whyOf(one) } });
    isNews ||= one.kind === "failed";
  }
  return { lost, isNews };
}

function whyOf(found: Exclude<Found, Store>): string {
  if (found.kind === "failed") return found.error.message;
  return "its folder is missing: is the disk mounted?";
}

function refused(why: string): LumeoError {
  return new LumeoError("CONFIG", `Cannot start this chunkserver: ${why}`);
}
