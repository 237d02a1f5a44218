// @lumeofs/simulation: whole clusters on virtual time. For tests and tools only.
export { main } from "./command-line.js";
