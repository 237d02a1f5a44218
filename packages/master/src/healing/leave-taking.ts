// Whether a server can be spared: what would be left when it is emptied, with all that leave.

import type { ServerId } from "@lumeofs/base";
import { leavingJob, type Picture, type Site } from "./picture.js";

/** Copies that a new file gets where nobody says otherwise. */
const COPIES_DEFAULT = 3;

/**
 * Why a server is not to be emptied: too few would be left for what there is, or for new files.
 *
 * @param widest  Copies, or units, of the chunk that has the most of them; 0 if nobody knows.
 * @returns       For people; undefined if enough are left.
 */
export function tooFewWithout(
  picture: Picture,
  subject: ServerId,
  widest: number,
): string | undefined {
  const sites = [...picture.sites.values()];
  // Nothing gets worse by it.
  if (picture.sites.get(subject)?.isLost === true) return undefined;
  const takers = sites.filter((site) => whyNot(picture, site) === "");
  const left = takers.filter(({ id }) => id !== subject);
  const isUsual = COPIES_DEFAULT <= takers.length;
  const needed = Math.max(widest, isUsual ? COPIES_DEFAULT : 0);
  if (needed <= left.length) return undefined;
  const what = widest < needed ? "new files have" : "some chunks have";
  const others = sites.flatMap((site) => {
    const why = site.id === subject ? "" : whyNot(picture, site);
    return why === "" ? [] : [`"${site.name}" ${why}`];
  });
  const aside = others.length === 0 ? "" : ` (${others.join(", ")})`;
  return `${left.length} chunkservers would be left to take copies${aside}, and ${what} ${needed}`;
}

/** Why nothing new goes to a server; empty if it takes part. */
function whyNot(picture: Picture, { id, isLost, standing }: Site): string {
  if (isLost) return "is lost";
  if (standing === "maintenance") return "is in maintenance";
  return standing === "active" && leavingJob(picture, id) === undefined ? "" : "is emptied";
}
