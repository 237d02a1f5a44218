// The ports of @lumeofs/base on Node.js.
export { AdminHttp, type AdminHttpOptions, type Readiness } from "./admin-http.js";
export { alignedMemory } from "./aligned-memory.js";
export { FileDisk } from "./file-disk.js";
export { folderBytes } from "./folder-bytes.js";
export { JsonLogger, type JsonLoggerOptions, LOG_LEVELS, type LogLevel } from "./json-logger.js";
export { nativeCrc32c } from "./native-crc32c.js";
export { nativeHmacSha256 } from "./native-hmac.js";
export { PairSum, type PairTotals } from "./pair-sum.js";
export { LUMEOFS_VERSION, type ProcessFacts, processFacts } from "./process-facts.js";
export { programHelp, wrongFlags } from "./program-help.js";
export {
  type Counter,
  type CounterDeclaration,
  counter,
  type Gauge,
  type GaugeDeclaration,
  gauge,
  type Histogram,
  type HistogramDeclaration,
  histogram,
  type Labels,
  type MetricDeclaration,
  type Metrics,
  type MetricsText,
  type MetricTable,
  openMetrics,
} from "./prometheus.js";
export { readerAtSync } from "./read-at-sync.js";
export { readSettings, type Settings, type SettingsSources } from "./read-settings.js";
export {
  EXIT,
  type ProcessControl,
  type ProcessHost,
  type RunProcessOptions,
  runProcess,
} from "./run-process.js";
export { SystemClock, SystemTimers, type SystemTimersOptions } from "./system-clock.js";
export { SystemRandom } from "./system-random.js";
