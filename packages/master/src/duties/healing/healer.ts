// Healing as one leader does it in one term of office. A piece of work settles the moves that have
// ended, begins and ends jobs, looks at a page of chunks, and begins moves for those that need one.
//
// Z1. What counts is in the state: jobs and moves. All else here (the round, the queue, setbacks)
//     may be lost at any time: the next round finds it again.
// Z2. A move is in the state before its copy is ordered, and is ended there only after the copy was
//     read again: see MoveRunner.
// Z3. A chunk is assessed again, from the state of that moment, right before its move begins.

import type { ChunkHandle, Clock, Logger, MonotonicMs, ServerId } from "@lumeofs/base";
import type { Fleet } from "../../fleet/servers.js";
import { type Assessment, assess, type HeldChunk } from "../../healing/assess.js";
import { chooseMove, type PlannedMove } from "../../healing/choose-move.js";
import {
  beginByRound,
  beginMends,
  callOff,
  type Decision,
  endOf,
  judge,
  remark,
  type Verdict,
} from "../../healing/keep-jobs.js";
import { Pace, type PaceLimits, type Way } from "../../healing/pace.js";
import type { OpenJob } from "../../healing/picture.js";
import { type MakingPlan, replanMaking } from "../../healing/plan-making.js";
import { MoveQueue } from "../../healing/queue.js";
import { lostServers, Round } from "../../healing/round.js";
import { type ChunkRecord, getChunk } from "../../metadata/chunk-table.js";
import { COMMAND_ITEMS_MAX } from "../../metadata/command.js";
import { isLive } from "../../metadata/grants.js";
import { chunksPage, movesPage } from "../../metadata/healing-queries.js";
import { holdsNothing, memberLength } from "../../metadata/member-content.js";
import { getMove, type NewMove } from "../../metadata/moves.js";
import type { StateReader } from "../../metadata/state.js";
import type { MetadataLog } from "../metadata-log.js";
import type { Holder, Orders } from "../orders.js";
import { Departures } from "./departures.js";
import type { HealingFigures } from "./figures.js";
import { Hindrances } from "./hindrances.js";
import { MoveRunner } from "./move-runner.js";
import { Rebalancing } from "./rebalancing.js";
import { Setbacks } from "./setbacks.js";
import { type PictureTerms, type TakenPicture, takePicture } from "./take-picture.js";

/** Chunks looked at in one piece of work. */
const CHUNKS_PAGE = 2_000;
/** Chunks of the queue looked at in one piece of work. */
const PLANNED_MAX = 128;
/** Between two rounds of which the first has found nothing that could be done. */
const ROUND_PAUSE_MS = 1_000;
/** And so many times as long as a round took, if that is more. */
const ROUND_PAUSE_FACTOR = 4;
/** Between two rounds while nothing is known to be wrong. */
const IDLE_ROUND_MS = 10 * 60_000;
/** Ended jobs that are kept for operators to see. */
const JOBS_KEPT = 200;
/**
 * So many times the moves that a server makes at once are begun for it: small chunks must not wait
 * for a piece of work each.
 */
const BEGUN_FACTOR = 8;
/** Chunks that may lose more copies than this wait until the round has found those with fewer. */
const URGENT_MARGIN_MAX = 0;
/** But not longer: terms of office may be shorter than a round. */
const SORTING_MS_MAX = 10_000;

export interface HealerParts {
  readonly log: MetadataLog;
  readonly clock: Clock;
  readonly fleet: Fleet;
  readonly orders: Orders;
  readonly logger: Logger;
  readonly seen: HealingFigures;
}

export type HealingLimits = PaceLimits & PictureTerms;

/** What one piece of work decides from. */
interface Moment {
  readonly state: StateReader;
  readonly picture: TakenPicture;
  readonly now: MonotonicMs;
}

export class Healer {
  readonly #parts: HealerParts;
  readonly #limits: HealingLimits;
  readonly #runner: MoveRunner;
  readonly #pace: Pace;
  readonly #ways = new Map<ChunkHandle, Way>();
  readonly #queue = new MoveQueue();
  readonly #setbacks = new Setbacks();
  readonly #departures: Departures;
  readonly #rebalancing = new Rebalancing();
  readonly #hindrances = new Hindrances();
  #isBegun = false;
  #round: Round | undefined;
  /** The round under way has a reason to find what is urgent among much that is not. */
  #isSorting = false;
  #roundEndedAt: MonotonicMs | undefined;
  #hasProgress = false;

  /** @param mandate  Of this term: see MetadataLog.mandate. */
  constructor(parts: HealerParts, limits: HealingLimits, mandate: number) {
    this.#parts = parts;
    this.#limits = limits;
    const begun = limits.movesPerServer * BEGUN_FACTOR;
    this.#pace = new Pace({ ...limits, movesPerServer: begun });
    const { orders, logger } = parts;
    this.#runner = new MoveRunner({ orders, mandate, logger, limits });
    this.#departures = new Departures(parts);
  }

  /** This master does not lead any more. */
  stop(): void {
    this.#runner.stop();
  }

  /** One bounded piece of work. */
  async work(): Promise<"done" | "more"> {
    const state = await this.#parts.log.read();
    const now = this.#parts.clock.monotonicMs();
    await this.#settle(state);
    let picture = await this.#picture(state, now);
    if (!this.#isBegun) await this.#takeUp(state, picture);
    const running = new Set(picture.jobs.filter((job) => job.isRunning).map((job) => job.id));
    this.#runner.withdraw((move) => running.has(move.job));
    if (await this.#keepJobs(picture)) picture = await this.#picture(state, now);
    if (this.#isRoundDue(picture, now)) this.#round = this.#newRound(picture, now);
    if (this.#round !== undefined) await this.#look(state, picture, this.#round);
    await this.#plan(state, picture, now);
    const hasMoves = 0 < this.#runner.size + this.#queue.size;
    const isNews = this.#isLossNews(picture) || this.#parts.seen.isLookWanted;
    const hasReason = 0 < picture.jobs.length || isNews;
    // A look without a reason takes its time: it must not be felt on a large table.
    return hasMoves || (this.#round !== undefined && hasReason) ? "more" : "done";
  }

  #picture(state: StateReader, now: MonotonicMs): Promise<TakenPicture> {
    return takePicture({ state, fleet: this.#parts.fleet, now }, this.#limits);
  }

  /** Writes down what became of the moves that have ended. */
  async #settle(state: StateReader): Promise<void> {
    const { log, fleet, clock, seen } = this.#parts;
    const ended = this.#runner.ended(COMMAND_ITEMS_MAX);
    if (ended.length === 0) return;
    const moves = ended.map(({ move, outcome }) => ({ handle: move.handle, outcome }));
    await log.change({ kind: "endMoves", moves });
    this.#runner.settled(ended.length);
    const now = clock.monotonicMs();
    const picture = await this.#picture(state, now);
    for (const end of ended) {
      const { move, outcome, bad } = end;
      const { handle, target, leaving } = move;
      this.#endWay(handle);
      seen.count(end);
      for (const server of bad) fleet.suspect({ server, handle });
      if (outcome !== "moved") {
        this.#setbacks.note(handle, target, now);
        if (end.why !== undefined) this.#hindrances.failed(move.job, end.why);
        continue;
      }
      this.#hasProgress = true;
      for (const round of [seen.round, this.#round]) round?.moved(move, end.bytes);
      this.#setbacks.forget(handle);
      for (const server of [target, leaving ?? target]) fleet.forgetDamage(server, handle);
      const left = this.#assessNow(state, picture, handle);
      if (left?.found.need !== undefined) this.#queue.offer(handle, left.found.margin);
    }
  }

  /** Orders the moves again that the leader before has left under way. */
  async #takeUp(state: StateReader, picture: TakenPicture): Promise<void> {
    for (let after = 0; ; ) {
      const page = await movesPage(state, after, COMMAND_ITEMS_MAX);
      for (const move of page) this.#order(state, picture, move);
      after = page.at(-1)?.handle ?? 0;
      if (page.length < COMMAND_ITEMS_MAX) break;
    }
    this.#isBegun = true;
  }

  /** Jobs that begin or end by themselves at once. @returns Whether one did. */
  async #keepJobs(picture: TakenPicture): Promise<boolean> {
    const { fleet } = this.#parts;
    const state = this.#parts.log.local;
    const mends = beginMends(picture, (server) => {
      let missed = 0;
      for (const handle of fleet.damagedOf(server)) {
        const chunk = this.#assessNow(state, picture, handle)?.chunk;
        if (chunk?.members.includes(server) && !holdsNothing(chunk, server)) missed++;
        else if (!mayCountYet(state, handle, server)) fleet.forgetDamage(server, handle);
      }
      return missed;
    });
    const backs = callOff(picture);
    if (0 < backs.length) this.#parts.seen.lookAgain(); // what was missing is there again
    const decisions = [...backs, ...mends];
    await this.#carryOut(decisions);
    return 0 < decisions.length;
  }

  #isRoundDue(picture: TakenPicture, now: MonotonicMs): boolean {
    if (this.#round !== undefined) return false;
    const last = this.#parts.seen.round;
    if (last === undefined || this.#roundEndedAt === undefined) return true;
    const sinceMs = now - this.#roundEndedAt;
    const pauseMs = Math.max(ROUND_PAUSE_MS, ROUND_PAUSE_FACTOR * this.#parts.seen.roundTookMs);
    const isLossNews = this.#isLossNews(picture) || this.#parts.seen.isLookWanted;
    if (0 < picture.jobs.length || isLossNews) {
      const isNews = isLossNews || picture.jobs.some((job) => !last.jobs.has(job.id));
      const isIdle = this.#runner.size === 0 && this.#queue.size === 0;
      return (isIdle && (isNews || this.#hasProgress)) || pauseMs <= sinceMs;
    }
    return IDLE_ROUND_MS <= sinceMs;
  }

  /** A server is lost that was not when the last complete round began. */
  #isLossNews(picture: TakenPicture): boolean {
    const known = this.#parts.seen.round?.lostServers;
    return lostServers(picture).some((server) => known?.has(server) !== true);
  }

  #newRound(picture: TakenPicture, now: MonotonicMs): Round {
    const measured = this.#parts.seen.round;
    const queue = this.#queue;
    this.#rebalancing.begin({ picture, measured, open: this.#runner.open(), queue });
    this.#isSorting = queue.size === 0 || this.#isLossNews(picture);
    this.#hasProgress = false;
    this.#parts.seen.isLookWanted = false;
    return new Round(picture, now);
  }

  /** Looks at the next page of chunks; after the last one, at the jobs. */
  async #look(state: StateReader, picture: TakenPicture, round: Round): Promise<void> {
    const page = await chunksPage(state, round.cursor, CHUNKS_PAGE);
    for (const { handle, chunk } of page) {
      round.cursor = handle;
      if (chunk.releasedAt !== undefined) continue;
      const held = { handle, ...chunk };
      const found = assess(picture, held);
      round.note(held, found);
      if (getMove(state, handle) !== undefined) continue;
      if (found.need !== undefined) {
        this.#queue.offer(handle, found.margin);
        continue;
      }
      const avoid = this.#setbacks.targetsOf(handle);
      this.#rebalancing.weigh({ round, queue: this.#queue }, held, found, avoid);
    }
    if (page.length === CHUNKS_PAGE) return;
    const now = this.#parts.clock.monotonicMs();
    this.#round = undefined;
    this.#roundEndedAt = now;
    this.#parts.seen.roundTookMs = now - round.startedAt;
    this.#parts.seen.round = round;
    await this.#conclude(state, round, now);
  }

  async #conclude(state: StateReader, round: Round, now: MonotonicMs): Promise<void> {
    const picture = await this.#picture(state, now);
    const decisions = [...beginByRound(picture, round)];
    for (const open of picture.jobs) {
      const job = picture.allJobs.find(({ id }) => id === open.id)?.job;
      if (job === undefined) continue;
      const waitsFor = await this.#waitsFor(state, { picture, round }, open);
      const hindrances = this.#hindrances.of(open.id);
      const verdict = { job, open, round, hindrances, waitsFor };
      const isRebalance = open.kind === "rebalance";
      decisions.push(...(isRebalance ? this.#judgeRebalance(verdict) : judge(verdict)));
    }
    this.#hindrances.clear(picture.jobs);
    await this.#carryOut(decisions);
    const ended = picture.allJobs.filter(({ job }) => 0 < job.endedAt && job.moves === 0);
    const old = ended.slice(0, Math.min(COMMAND_ITEMS_MAX, ended.length - JOBS_KEPT));
    if (JOBS_KEPT < ended.length) {
      await this.#parts.log.change({ kind: "dropJobs", jobs: old.map(({ id }) => id) });
    }
  }

  /** Only where it has chosen what to move does a round say that nothing is left to be moved. */
  #judgeRebalance(verdict: Verdict): readonly Decision[] {
    const why = this.#rebalancing.givesUp(verdict.open.id);
    if (why !== undefined) return endOf(verdict, [why, ...verdict.hindrances].join("; "));
    if (this.#rebalancing.isChoosing) return judge(verdict);
    const { waiting } = this.#rebalancing;
    if (waiting === 0 || 0 < verdict.job.moves) return remark(verdict);
    const waits = `${waiting} chunks wait until their servers have made more urgent copies`;
    return remark({ ...verdict, hindrances: [...verdict.hindrances, waits] });
  }

  /**
   * A server may be switched off for good only when nobody may still write to it, and what is
   * damaged on a server only it knows.
   */
  async #waitsFor(
    state: StateReader,
    { picture, round }: { readonly picture: TakenPicture; readonly round: Round },
    { id, kind, subject, isRunning }: OpenJob,
  ): Promise<string> {
    const site = subject === undefined ? undefined : picture.sites.get(subject);
    const server = subject === undefined ? undefined : picture.servers.get(subject);
    if (site === undefined || server === undefined) return "";
    const isUnheard = site.room === undefined && !site.isLost;
    if (kind === "mend" && isUnheard) return `waits to hear from ${site.name}`;
    if (kind !== "decommission" || !isRunning) return "";
    const leaving = { job: id, id: site.id, server };
    return this.#departures.waitsFor(state, leaving, round.startedAt);
  }

  async #carryOut(decisions: readonly Decision[]): Promise<void> {
    const { log, logger } = this.#parts;
    for (const decision of decisions) {
      const reply = await log.change(commandOf(decision));
      if (decision.kind === "end") logger.info(`job ${decision.to}`, { job: decision.job });
      if (decision.kind !== "begin" || reply.kind !== "jobCreated") continue;
      logger.info(`${decision.job} begun`, { job: reply.job, server: decision.subject });
    }
  }

  /** Begins moves for the most urgent chunks of the queue, as far as the pace allows. */
  async #plan(state: StateReader, picture: TakenPicture, now: MonotonicMs): Promise<void> {
    if (this.#queue.size === 0 || this.#pace.isFull) return;
    const isSorting =
      this.#isSorting && this.#round !== undefined && now - this.#round.startedAt < SORTING_MS_MAX;
    const marginMax = isSorting ? URGENT_MARGIN_MAX : Infinity;
    const planned: PlannedMove[] = [];
    const later: { readonly handle: ChunkHandle; readonly margin: number }[] = [];
    for (const handle of this.#queue.take(PLANNED_MAX, marginMax)) {
      const choice = this.#choose({ state, picture, now }, handle);
      if (choice?.kind === "busy") {
        later.push({ handle, margin: choice.margin });
        continue;
      }
      this.#rebalancing.forget(handle);
      if (choice === undefined) continue;
      planned.push(choice);
      this.#beginWay(choice, choice.bytes, now);
    }
    for (const { handle, margin } of later) this.#queue.offer(handle, margin);
    await this.#begin(state, picture, planned);
  }

  /** What is to be done about a chunk of the queue; undefined if nothing now. */
  #choose(
    { state, picture, now }: Moment,
    handle: ChunkHandle,
  ):
    | (PlannedMove & { readonly bytes: number })
    | { readonly kind: "busy"; readonly margin: number }
    | undefined {
    const current = this.#assessNow(state, picture, handle);
    const need = current?.found.need ?? this.#rebalancing.pickOf(picture, handle);
    if (current === undefined || need === undefined) return undefined;
    const { held, found, chunk } = current;
    if (!chunk.members.includes(need.leaving)) return undefined; // moved since it was picked
    if (!this.#setbacks.isOver(handle, now)) {
      this.#hindrances.heldBack(need.job);
      return undefined;
    }
    const { margin } = found;
    if (this.#pace.isFull) return { kind: "busy", margin };
    const avoid = this.#setbacks.targetsOf(handle);
    const choice = chooseMove(held, found, need, { picture, pace: this.#pace, now, avoid });
    switch (choice.kind) {
      case "move":
        return { ...choice, bytes: memberLength(chunk, need.leaving) };
      case "busy":
        return { kind: "busy", margin };
      case "noTarget":
        this.#hindrances.homeless(need.job);
        return undefined;
      case "noSource":
        return undefined;
    }
  }

  async #begin(
    state: StateReader,
    picture: TakenPicture,
    planned: readonly PlannedMove[],
  ): Promise<void> {
    if (planned.length === 0) return;
    const moves = planned.map(({ move }) => move);
    const begun = new Set<ChunkHandle>();
    try {
      const reply = await this.#parts.log.change({ kind: "beginMoves", moves });
      if (reply.kind === "movesBegun") for (const handle of reply.handles) begun.add(handle);
    } finally {
      for (const { handle } of moves) if (!begun.has(handle)) this.#endWay(handle);
    }
    for (const { move, ...plan } of planned) {
      if (begun.has(move.handle)) this.#order(state, picture, move, plan);
    }
  }

  #order(state: StateReader, picture: TakenPicture, move: NewMove, chosen?: MakingPlan): void {
    const { handle } = move;
    const current = this.#assessNow(state, picture, handle);
    const target = picture.servers.get(move.target);
    if (current === undefined || target === undefined) return this.#runner.drop(move);
    const { held, found, chunk } = current;
    const { making, givers, sources: ids } = chosen ?? replanMaking(held, found, move);
    const sources = ids.flatMap((id): Holder[] => {
      const server = picture.servers.get(id);
      return server === undefined ? [] : [{ id, server }];
    });
    this.#runner.start({ move, chunk, target, making, sources, givers });
  }

  #assessNow(
    state: StateReader,
    picture: TakenPicture,
    handle: ChunkHandle,
  ):
    | { readonly chunk: ChunkRecord; readonly held: HeldChunk; readonly found: Assessment }
    | undefined {
    const chunk = getChunk(state, handle);
    if (chunk === undefined || chunk.releasedAt !== undefined) return undefined;
    const held = { handle, ...chunk };
    return { chunk, held, found: assess(picture, held) };
  }

  #beginWay({ move, ...plan }: PlannedMove, bytes: number, now: MonotonicMs): void {
    const sources = plan.sources.slice(0, plan.givers);
    const way = { sources, target: move.target, bytes };
    this.#ways.set(move.handle, way);
    this.#pace.begin(way, now);
  }

  #endWay(handle: ChunkHandle): void {
    const way = this.#ways.get(handle);
    if (way !== undefined) this.#pace.end(way);
    this.#ways.delete(handle);
  }
}

function commandOf(decision: Decision) {
  switch (decision.kind) {
    case "begin":
      return { kind: "createJob", job: decision.job, subject: decision.subject } as const;
    case "end":
      return {
        kind: "changeJob",
        job: decision.job,
        to: decision.to,
        note: decision.note,
      } as const;
    case "note":
      return {
        kind: "noteJob",
        job: decision.job,
        total: decision.total,
        note: decision.note,
      } as const;
  }
}

/**
 * Whether this server may become a member of the chunk with what it has now: by a commit, or by
 * the end of a move. Its damage is told once, and is not forgotten before.
 */
function mayCountYet(state: StateReader, handle: ChunkHandle, server: ServerId): boolean {
  return isLive(state, handle) || getMove(state, handle)?.target === server;
}
