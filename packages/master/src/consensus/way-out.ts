/**
 * What to do about a member whose disk does not hold what was written to it. It has forgotten
 * entries or votes, so the others must be there and agree before it may begin anew.
 */
export const WAY_OUT =
  "When a majority of the other masters runs, take this one out with `lumeo master " +
  "remove`, start one with an empty folder, under a new name and with --join, and let " +
  "the group take it in with `lumeo master add`: it gets everything from them";
