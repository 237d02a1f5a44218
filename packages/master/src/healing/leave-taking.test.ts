import { type ServerId, serverId } from "@lumeofs/base";
import test from "ava";
import { jobId } from "../metadata/jobs.js";
import { tooFewWithout } from "./leave-taking.js";
import type { OpenJob, Picture, Site } from "./picture.js";

function picture(
  count: number,
  changes: Readonly<Record<number, Partial<Site>>> = {},
  jobs: readonly OpenJob[] = [],
): Picture {
  const sites = Array.from({ length: count }, (_, i): Site => {
    const id = serverId(i + 1);
    const fine = { liveness: "alive", isLost: false, standing: "active" } as const;
    const rest = { domain: undefined, room: undefined };
    return { id, name: `cs${i + 1}`, ...fine, ...rest, ...changes[i + 1] };
  });
  return { sites: new Map(sites.map((site) => [site.id, site])), jobs, isDamaged: () => false };
}

const TWO: ServerId = serverId(2);

test("a server can be spared while others are left for every copy", (t) => {
  t.is(tooFewWithout(picture(4), TWO, 3), undefined);
  t.is(tooFewWithout(picture(7), TWO, 6), undefined);
  t.regex(tooFewWithout(picture(6), TWO, 6) ?? "", /^5 chunkservers.*some chunks have 6$/);
  t.regex(tooFewWithout(picture(3), TWO, 2) ?? "", /^2 chunkservers.*new files have 3$/);
});

test("those that are lost, emptied or in maintenance are not left, and are named", (t) => {
  const job = { id: jobId(1), kind: "drain", subject: serverId(5), isRunning: true } as const;
  const changes = { 3: { isLost: true }, 4: { standing: "maintenance" } } as const;
  t.is(tooFewWithout(picture(7, changes), TWO, 3), undefined);
  t.is(
    tooFewWithout(picture(6, changes, [job]), TWO, 2),
    "2 chunkservers would be left to take copies " +
      '("cs3" is lost, "cs4" is in maintenance, "cs5" is emptied), and new files have 3',
  );
});

test("a cluster that is too small for three copies anyway may lose what its chunks do not need", (t) => {
  t.is(tooFewWithout(picture(2), TWO, 1), undefined);
  t.regex(tooFewWithout(picture(2), TWO, 2) ?? "", /some chunks have 2/);
});

test("one that is lost can always be given up: nothing gets worse by it", (t) => {
  t.is(tooFewWithout(picture(3, { 2: { isLost: true } }), TWO, 3), undefined);
});
