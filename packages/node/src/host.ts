// Third entry point, @lumeofs/node/host: the few adapters that the SDK needs, without the logger,
// the metrics server and the configuration reader, which would double the start of a command.
export { nativeCrc32c } from "./native-crc32c.js";
export { SystemClock, SystemTimers, type SystemTimersOptions } from "./system-clock.js";
export { SystemRandom } from "./system-random.js";
