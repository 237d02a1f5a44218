// Sees to it that nobody writes to a server any more that leaves for good. Writers hold grants that
// name it, for up to an hour, and most of them will never use what is left of those. So the server
// is asked to close them: then those under which nobody has a chunk that is in no file yet are
// ended.
//
// D1. A grant is ended here only if every chunk that its writer has finished is in a file: no
//     writer loses anything by it. Under the others somebody may still commit; they are asked about
//     again, and expire like all grants.
// D3. The server itself does not know of all of them: of a coded chunk its unit may be without
//     bytes, and then nobody writes there. But the first data unit has bytes, and so has the last
//     parity unit; of copies each has. So the first member is asked as well, or, where it does not
//     answer, the last one.
// D2. A job may end by a round over all chunks only if that has begun after the last grant had
//     ended, and the last growing chunk that the server has something of: what was committed or
//     sealed while the round went on may lie behind the round. (Chunks of which a member leaves are
//     sealed by duties/tails.)
// D4. A grant is closed only where it may be ended at once. Whoever writes under one that is closed
//     and goes on is refused here and not by the others, and what these have taken is live: it
//     would look as if somebody were going to commit it.

import {
  asLumeoError,
  type Clock,
  type GrantId,
  grantOf,
  type Logger,
  type MonotonicMs,
  type ServerId,
  wallMs,
} from "@lumeofs/base";
import type { Fleet } from "../../fleet/servers.js";
import { getGrant, isLive } from "../../metadata/grants.js";
import { grantsNaming, tailsNaming } from "../../metadata/healing-queries.js";
import type { JobId } from "../../metadata/jobs.js";
import { getServer, type Server } from "../../metadata/servers.js";
import type { StateReader } from "../../metadata/state.js";
import type { MetadataLog } from "../metadata-log.js";
import { CLOSED_GRANTS_MAX, type Orders } from "../orders.js";

const PAGE = 1_000;
/** Grants that are closed between two rounds. */
const GRANTS_AT_ONCE = 16 * CLOSED_GRANTS_MAX;
/** Whenever a grant was made. */
const ANY_TIME = wallMs(Number.MAX_SAFE_INTEGER);

export interface DepartureParts {
  readonly log: MetadataLog;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly orders: Pick<Orders, "closeGrants">;
  readonly fleet: Pick<Fleet, "liveness">;
  readonly logger: Logger;
}

/** A server that leaves, and the job that empties it. */
export interface Leaving {
  readonly job: JobId;
  readonly id: ServerId;
  readonly server: Server;
}

/** A grant, and who gets what is written under it. */
interface PlacedGrant {
  readonly grant: GrantId;
  readonly members: readonly ServerId[];
}

export class Departures {
  readonly #parts: DepartureParts;
  /** Since when no grant and no growing chunk names the server of a job. */
  readonly #freeSince = new Map<JobId, MonotonicMs>();

  constructor(parts: DepartureParts) {
    this.#parts = parts;
  }

  /**
   * Ends what grants can be ended.
   *
   * @param roundBeganAt  Of the round that has just found nothing left, or something.
   * @returns             What the job waits for; empty if for nothing (D2).
   */
  async waitsFor(state: StateReader, leaving: Leaving, roundBeganAt: MonotonicMs): Promise<string> {
    const { job, id } = leaving;
    const naming = await grantsNaming(state, id, PAGE);
    const ended = await this.#end(state, leaving, naming.slice(0, GRANTS_AT_ONCE));
    if (ended < naming.length) {
      this.#freeSince.delete(job);
      return `waits for ${naming.length - ended} grants of writers to end`;
    }
    const growing = await tailsNaming(state, id, PAGE);
    if (0 < growing) {
      this.#freeSince.delete(job);
      return `waits for ${growing} growing chunks to be sealed`;
    }
    if (0 < ended || !this.#freeSince.has(job)) {
      this.#freeSince.set(job, this.#parts.clock.monotonicMs());
    }
    const freeSince = this.#freeSince.get(job) as MonotonicMs;
    return freeSince <= roundBeganAt ? "" : "looks once more, now that nobody writes to it";
  }

  /** @returns How many of them have ended. */
  async #end(state: StateReader, leaving: Leaving, grants: readonly GrantId[]): Promise<number> {
    const { log, logger } = this.#parts;
    let count = 0;
    for (let at = 0; at < grants.length; at += CLOSED_GRANTS_MAX) {
      const some = grants.slice(at, at + CLOSED_GRANTS_MAX);
      const unused = await this.#close(state, leaving, some);
      if (unused.length === 0) continue;
      await log.change({ kind: "expireGrants", grants: unused, unusedSince: ANY_TIME });
      count += unused.length;
    }
    if (0 < count) logger.info("unused grants ended", { peer: leaving.server.name, count });
    return count;
  }

  /** @returns Those that nobody needs any more; none if the server does not answer. */
  async #close(
    state: StateReader,
    { id, server }: Leaving,
    grants: readonly GrantId[],
  ): Promise<readonly GrantId[]> {
    const candidates = grants.flatMap((grant) => {
      const members = getGrant(state, grant)?.members ?? [];
      const asked = [members.at(0), members.at(-1)]; // D3
      const mayEnd = asked.includes(id) || asked.some((member) => this.#isAlive(member));
      return mayEnd ? [{ grant, members }] : []; // D4
    });
    const theirs = candidates.map(({ grant }) => grant);
    const unused = new Set(await this.#unused(state, { id, server }, theirs));
    const placed = candidates.filter(({ grant }) => unused.has(grant));
    const known = placed.filter(({ members }) => members.at(0) === id || members.at(-1) === id);
    const others = placed.filter((one) => !known.includes(one));
    const first = await this.#confirm(state, others, 0);
    const last = await this.#confirm(state, first.silent, -1);
    return [...known.map(({ grant }) => grant), ...first.unused, ...last.unused];
  }

  /** Asks a member of each of these grants (D3). */
  async #confirm(
    state: StateReader,
    placed: readonly PlacedGrant[],
    at: 0 | -1,
  ): Promise<{ readonly unused: readonly GrantId[]; readonly silent: readonly PlacedGrant[] }> {
    const unused: GrantId[] = [];
    const silent: PlacedGrant[] = [];
    for (const member of new Set(placed.map(({ members }) => members.at(at)))) {
      const theirs = placed.filter(({ members }) => members.at(at) === member);
      const server = member === undefined ? undefined : getServer(state, member);
      const grants = theirs.map(({ grant }) => grant);
      const isKnown = member !== undefined && server !== undefined;
      const found = isKnown ? await this.#unused(state, { id: member, server }, grants) : undefined;
      if (found === undefined) silent.push(...theirs);
      else unused.push(...found);
    }
    return { unused, silent };
  }

  /** @returns Those under which a server has no chunk that is in no file; undefined if silent. */
  async #unused(
    state: StateReader,
    { id, server }: Pick<Leaving, "id" | "server">,
    grants: readonly GrantId[],
  ): Promise<readonly GrantId[] | undefined> {
    if (grants.length === 0) return [];
    // Waiting for one that hangs would hold up all healing, its own, too.
    if (!this.#isAlive(id)) return undefined;
    try {
      const used = await this.#parts.orders.closeGrants(server, grants);
      const needed = new Set(used.filter((handle) => isLive(state, handle)).map(grantOf));
      return grants.filter((grant) => !needed.has(grant));
    } catch (thrown) {
      const error = asLumeoError(thrown);
      this.#parts.logger.debug("grants not closed", { peer: server.name, code: error.code, error });
      return undefined;
    }
  }

  #isAlive(server: ServerId | undefined): boolean {
    const { fleet, clock } = this.#parts;
    return server !== undefined && fleet.liveness(server, clock.monotonicMs()) === "alive";
  }
}
