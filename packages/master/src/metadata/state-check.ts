import { KIND } from "./command-kind.js";

/** Places in a proposal without request: docs/formats/command.md. */
const FLAG_AT = 9;
const KIND_AT = 10;

/** Whether a log entry asks for a check of the state right behind it. Costs nothing. */
export function isStateCheck(proposal: Uint8Array): boolean {
  return proposal[FLAG_AT] === 0 && proposal[KIND_AT] === KIND.checkState;
}
