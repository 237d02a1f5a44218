// A master as a library: what tests, tools and the local cluster start.
export { checkSettings, type Invocation, type MasterConfig, readConfig } from "./config.js";
export { Master, type MasterPorts } from "./master.js";
export { type BackedUpState, type FoundingMember, restoreMember } from "./restore-member.js";
