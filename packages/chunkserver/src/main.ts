// One chunkserver as a process.

import { JsonLogger, runProcess } from "@lumeofs/node";
import { Chunkserver } from "./chunkserver.js";
import { readConfig } from "./config.js";

const failures = await JsonLogger.open({ level: "info" });
try {
  const config = await readConfig(process.argv.slice(2), process.env);
  const logger = await JsonLogger.open({ level: config.logLevel, fields: { node: config.name } });
  await runProcess({ logger, start: (control) => Chunkserver.start(config, { logger, control }) });
} catch (error) {
  failures.error("start failed", { error });
  await failures.close();
  process.exitCode = 10;
}
