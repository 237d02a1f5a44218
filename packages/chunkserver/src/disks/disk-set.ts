// The disks of a chunkserver: which there are, which of them work, and what is known of the others.
//
// T1. A disk that has failed is used by nobody any more. The others go on; with the last one the
//     process ends.
// T2. The roster on the disks has every change before anything rests on it (`update`).
// T3. Who we are stands on every disk: the masters' number is given to a new disk, too.

import {
  type Clock,
  type Closable,
  type Crc32c,
  invariant,
  type Logger,
  LumeoError,
} from "@lumeofs/base";
import type { ChunkserverHost } from "../host.js";
import { type Membership, Volume } from "../store/volume.js";
import { type Looked, lookAt, ROSTER_FILE } from "./look-at-folders.js";
import { MirroredFile, type MirroredFileOptions } from "./mirrored-file.js";
import { type Mustered, muster } from "./muster.js";
import { DISKS_MAX, encodeRoster, type Roster, type RosterEntry } from "./roster.js";
import { ServerDisk, type ServerDiskOptions } from "./server-disk.js";
import { openWatched, WatchedFolders, type WatchLimits } from "./watched-disk.js";

export interface DiskSetOptions {
  readonly folders: readonly string[];
  /** Uuids of disks that are gone for good. */
  readonly retired: readonly string[];
  readonly host: Pick<ChunkserverHost, "openDisk" | "openIndex" | "newUuid" | "timers">;
  readonly clock: Pick<Clock, "wallMs">;
  readonly crc32c: Crc32c;
  readonly logger: Logger;
  /** Each of the disks. */
  readonly store: Pick<
    ServerDiskOptions,
    "capacityBytes" | "lowWaterBytes" | "compactBytesPerSecond" | "segmentBytes" | "onDamage"
  >;
  /** When a disk whose calls do not return is suspect, and when it is lost. */
  readonly watch: WatchLimits;
  /** The last disk has failed. */
  readonly onFailure: (error: LumeoError) => void;
}

/** The options, with disks that are watched. */
interface WatchedOptions extends DiskSetOptions {
  readonly watched: WatchedFolders;
}

/** A disk of which nothing is served. */
export type LostDisk = RosterEntry & { readonly loss: NonNullable<RosterEntry["loss"]> };

/** See the head of this file. */
export class DiskSet implements Closable {
  readonly #options: DiskSetOptions;
  readonly #file: MirroredFile;
  /** Of the server. */
  readonly uuid: string;
  /** Whether a disk came back that was given up before. */
  readonly isBack: boolean;
  #membership: Membership | undefined;
  #serving: readonly ServerDisk[];
  /** Those whose small files are as new as any. */
  readonly #current: ReadonlySet<ServerDisk>;
  #roster: Roster;
  #lost: readonly LostDisk[];
  /** A server that never had more than one disk keeps none. */
  readonly #keepsRoster: boolean;
  #written: Promise<void> = Promise.resolve();
  readonly #closing: Promise<void>[] = [];
  readonly #listeners: ((disk: ServerDisk) => void)[] = [];

  private constructor(options: DiskSetOptions, parts: SetParts) {
    this.#options = options;
    this.uuid = parts.uuid;
    this.isBack = parts.isBack;
    this.#membership = parts.membership;
    this.#serving = parts.disks;
    this.#current = new Set(parts.current);
    this.#roster = parts.roster;
    this.#lost = lostIn(parts.roster);
    this.#keepsRoster = parts.keepsRoster;
    this.#file = this.mirrored(ROSTER_FILE);
  }

  /** Opens what is there. @throws LumeoError CONFIG (muster.ts); what the last disk says. */
  static async open(options: DiskSetOptions): Promise<DiskSet> {
    const { folders, host, watch } = options;
    checkFolders(folders);
    const watched = new WatchedFolders(folders, host, watch);
    const openDisk: ChunkserverHost["openDisk"] = (folder, how) => watched.openDisk(folder, how);
    try {
      const set = await DiskSet.#open({ ...options, watched, host: { ...host, openDisk } });
      await watched.closeAllBut(set.serving.map(({ folder }) => folder));
      return set;
    } catch (error) {
      await watched.closeAllBut([]);
      throw error;
    }
  }

  static async #open(options: WatchedOptions): Promise<DiskSet> {
    const { folders, host, crc32c, retired, clock } = options;
    const looked = await Promise.all(folders.map((folder) => lookAt(folder, host, crc32c)));
    const nowMs = clock.wallMs();
    const plan = muster(
      looked.map(({ found }) => found),
      { retired, nowMs },
    );
    const set = await DiskSet.#openAll(options, looked, plan);
    try {
      await set.#begin();
      return set;
    } catch (error) {
      await set.close();
      throw error;
    }
  }

  static async #openAll(
    options: WatchedOptions,
    looked: readonly Looked[],
    plan: Mustered,
  ): Promise<DiskSet> {
    const server = plan.server ?? options.host.newUuid();
    const volumes = await formatFresh(options, looked, { ...plan, server });
    const lost: LostDisk[] = [...plan.lost];
    const opened = await openStores(options, volumes, lost);
    const { roster: before } = plan;
    const generations = new Map(
      looked.map(({ found }) => {
        return [found.folder, found.kind === "store" ? (found.roster?.generation ?? 0) : 0];
      }),
    );
    const isCurrent = ({ folder }: ServerDisk): boolean => {
      return generations.get(folder) === (before?.generation ?? 0);
    };
    const current = opened.filter(isCurrent);
    const disks = [...current, ...opened.filter((disk) => !isCurrent(disk))];
    // What a disk brings back is looked through, too, and that is to go on after a restart.
    const isNews = plan.isNews || plan.isBack || plan.lost.length < lost.length;
    return new DiskSet(options, {
      uuid: server,
      isBack: plan.isBack,
      membership: plan.membership,
      disks,
      current,
      roster: rosterOf(before, { disks, lost, server, isNews, nowMs: options.clock.wallMs() }),
      keepsRoster: before !== undefined || 1 < options.folders.length,
    });
  }

  /** Those that work; what was away is last. Never empty, until the process ends. */
  get serving(): readonly ServerDisk[] {
    return this.#serving;
  }

  get lost(): readonly LostDisk[] {
    return this.#lost;
  }

  get roster(): Roster {
    return this.#roster;
  }

  get membership(): Membership | undefined {
    return this.#membership;
  }

  /** A disk works that is new, or was away while small files changed. */
  get hasOutdated(): boolean {
    return this.#serving.some((disk) => !this.#current.has(disk));
  }

  /** Tells whenever a disk is lost, when others are left. */
  onLoss(tell: (disk: ServerDisk) => void): void {
    this.#listeners.push(tell);
  }

  /**
   * Makes a call of the kernel for a folder that goes past its disk: watched as all others.
   *
   * @throws LumeoError UNAVAILABLE if no disk works there; as `work`; STORE_FAILED if it hangs.
   */
  call<T>(folder: string, what: string, work: () => Promise<T>): Promise<T> {
    const disk = this.#serving.find((one) => one.folder === folder);
    if (disk !== undefined) return disk.call(what, work);
    const message = `Cannot ${what} in "${folder}": its disk is lost`;
    return Promise.reject(new LumeoError("UNAVAILABLE", message));
  }

  /** Keeps what the masters said, durably. (T3) */
  async join(membership: Membership): Promise<void> {
    const joined = await Promise.allSettled(
      this.#serving.map((disk) => disk.io(() => disk.volume.join(membership))),
    );
    const failed = joined.find((one) => one.status === "rejected");
    if (failed !== undefined && this.#serving.length === 0) throw failed.reason;
    this.#membership = membership;
  }

  /** A small file on every disk that works. */
  mirrored(form: Omit<MirroredFileOptions, "disks" | "crc32c">): MirroredFile {
    const { crc32c } = this.#options;
    return new MirroredFile({ ...form, crc32c, disks: () => this.#serving });
  }

  /** What the disks have of a mirrored file, as far as none of them was away when it changed. */
  async contents(file: MirroredFile): Promise<readonly Uint8Array[]> {
    const contents: Uint8Array[] = [];
    for (const disk of this.#serving) {
      if (!this.#current.has(disk)) continue;
      try {
        const content = await file.read(disk);
        if (content !== undefined) contents.push(content);
      } catch (error) {
        if (!(error instanceof LumeoError) || this.#serving.length === 1) throw error;
        disk.fail(error);
      }
    }
    return contents;
  }

  /** Changes the roster; durable when it resolves, unless no disk is left (T2). */
  update(change: (roster: Roster) => Partial<Roster>): Promise<void> {
    const { generation } = this.#roster;
    this.#roster = { ...this.#roster, ...change(this.#roster), generation: generation + 1 };
    this.#lost = lostIn(this.#roster);
    if (!this.#keepsRoster) return Promise.resolve();
    this.#written = this.#written
      .then(() => this.#file.write(encodeRoster(this.#roster)))
      .catch((error: unknown) => {
        if (!(error instanceof LumeoError)) throw error; // the process has been told to end
      });
    return this.#written;
  }

  async close(): Promise<void> {
    await this.#written;
    const disks = this.#serving;
    this.#serving = [];
    const ends = await Promise.allSettled(disks.map((disk) => disk.close()));
    await Promise.allSettled(this.#closing);
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  async #begin(): Promise<void> {
    const { logger } = this.#options;
    for (const disk of this.#serving) {
      disk.onFailure = (error) => this.#lose(disk, error);
    }
    for (const { folder, uuid, loss } of this.lost) {
      logger.error("disk lost", {
        path: folder,
        peer: uuid,
        code: "STORE_FAILED",
        error: loss.why,
      });
    }
    if (this.#membership !== undefined) await this.join(this.#membership);
    await this.update(() => ({}));
  }

  /** T1. */
  #lose(disk: ServerDisk, error: LumeoError): void {
    if (!this.#serving.includes(disk)) return;
    const { logger, clock, onFailure } = this.#options;
    this.#serving = this.#serving.filter((one) => one !== disk);
    if (this.#serving.length === 0) return onFailure(error);
    const { code } = error;
    logger.error("disk lost", { path: disk.folder, peer: disk.uuid, code, error });
    const loss = { sinceMs: clock.wallMs(), why: error.message };
    void this.update(({ disks }) => ({
      disks: disks.map((one) => (one.uuid === disk.uuid ? { ...one, loss } : one)),
      lossAtMs: loss.sinceMs,
    }));
    for (const tell of this.#listeners) tell(disk);
    this.#closing.push(disk.close().catch(() => undefined)); // its failure is known
  }
}

interface SetParts {
  readonly uuid: string;
  readonly isBack: boolean;
  readonly membership: Membership | undefined;
  readonly disks: readonly ServerDisk[];
  readonly current: readonly ServerDisk[];
  readonly roster: Roster;
  readonly keepsRoster: boolean;
}

interface Opened {
  readonly looked: Looked;
  readonly volume: Volume;
}

function lostIn({ disks }: Roster): readonly LostDisk[] {
  return disks.filter((entry): entry is LostDisk => entry.loss !== undefined);
}

function checkFolders(folders: readonly string[]): void {
  if (new Set(folders).size < folders.length) {
    throw new LumeoError("CONFIG", "Cannot start this chunkserver: a --dir is given twice");
  }
  if (folders.length === 0 || DISKS_MAX < folders.length) {
    const what = `it has from 1 to ${DISKS_MAX} disks, not ${folders.length}`;
    throw new LumeoError("CONFIG", `Cannot start this chunkserver: ${what}`);
  }
}

/** Makes new disks of empty folders; the first one of a new server bears its uuid. */
async function formatFresh(
  { host, crc32c }: DiskSetOptions,
  looked: readonly Looked[],
  { fresh, server, server: uuid }: Mustered & { readonly server: string },
): Promise<readonly Opened[]> {
  const opened: Opened[] = [];
  const isNew = looked.every(({ volume }) => volume === undefined);
  for (const one of looked) {
    const { folder } = one.found;
    if (one.volume !== undefined) opened.push({ looked: one, volume: one.volume });
    if (!fresh.includes(folder)) continue;
    const disk = one.disk ?? (await host.openDisk(folder, { make: true }));
    if ((await Volume.find(disk, crc32c)) !== undefined) {
      const what = `"${folder}" is another name of a folder that is given, too`;
      throw new LumeoError("CONFIG", `Cannot start this chunkserver: ${what}`);
    }
    const isFirst = isNew && opened.length === 0;
    const name = { uuid: isFirst ? uuid : host.newUuid(), server };
    const volume = await Volume.format(disk, name, crc32c);
    opened.push({ looked: { ...one, disk, volume }, volume });
  }
  return opened;
}

/** Opens the stores; those that do not open are lost, unless none does. */
async function openStores(
  options: WatchedOptions,
  opened: readonly Opened[],
  lost: LostDisk[],
): Promise<readonly ServerDisk[]> {
  const { host, crc32c, clock, logger, store } = options;
  const { timers } = host;
  const ends = await Promise.allSettled(
    opened.map(async ({ looked: { found, disk }, volume }) => {
      const { folder } = found;
      const place = 1 < options.folders.length ? { path: folder } : {};
      const log = logger.child({ component: "store", ...place });
      if (disk === undefined) throw new LumeoError("STORE_FAILED", `Cannot open "${folder}"`);
      const watch = options.watched.watchOf(folder);
      invariant(watch !== undefined, "every folder is watched", { folder });
      const openIndex = () => host.openIndex(folder, log, options.folders.length);
      const index = () => openWatched(openIndex, watch);
      const parts = { folder, disk, volume, watch, crc32c, timers, logger: log };
      return ServerDisk.open({ ...parts, ...store, openIndex: index });
    }),
  );
  const disks = ends.flatMap((end) => (end.status === "fulfilled" ? [end.value] : []));
  const failures = ends.flatMap((end, i) => {
    const one = opened[i];
    return end.status === "rejected" && one !== undefined ? [{ ...one, why: end.reason }] : [];
  });
  const fatal = failures.find(({ why }) => disks.length === 0 || !isOfDisk(why));
  if (fatal !== undefined) {
    await Promise.allSettled(disks.map((disk) => disk.close()));
    throw fatal.why;
  }
  for (const { looked, volume, why } of failures) {
    const loss = { sinceMs: clock.wallMs(), why: (why as Error).message };
    lost.push({ uuid: volume.uuid, folder: looked.found.folder, loss });
  }
  return disks;
}

/** Another process in the folder is no fault of the disk; nor is a bug of ours. */
function isOfDisk(error: unknown): boolean {
  if (error instanceof LumeoError) return error.code !== "CONFIG";
  return error instanceof Error && "code" in error;
}

function rosterOf(
  before: Roster | undefined,
  now: {
    readonly disks: readonly ServerDisk[];
    readonly lost: readonly LostDisk[];
    readonly server: string;
    readonly isNews: boolean;
    readonly nowMs: number;
  },
): Roster {
  const { disks, lost, server, isNews, nowMs } = now;
  const used = disks.map(({ uuid, folder }) => ({ uuid, folder, loss: undefined }));
  const tailsOn = before?.tailsOn ?? server;
  const hasTails = disks.some(({ uuid }) => uuid === tailsOn);
  return {
    generation: before?.generation ?? 0,
    disks: [...used, ...lost],
    tailsOn,
    tailFloor: hasTails ? (before?.tailFloor ?? 0) : "unknown",
    lossAtMs: isNews || !hasTails ? nowMs : (before?.lossAtMs ?? 0),
  };
}
