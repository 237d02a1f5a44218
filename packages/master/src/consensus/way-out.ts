/**
 * What to do about a member whose disk does not hold what was written to it. It has forgotten
 * entries or votes, so the others must be there and agree before it may begin anew.
 */
export const WAY_OUT =
  "When all other masters run and one of them leads, move the whole folder of this one away and " +
  "start it again: it gets everything from them";
