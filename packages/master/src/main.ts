// One master as a process.

import { LumeoError } from "@lumeofs/base";
import { EXIT, JsonLogger, runProcess } from "@lumeofs/node";
import { readConfig } from "./config.js";
import { Master } from "./master.js";

const failures = await JsonLogger.open({ level: "info" });
try {
  const invocation = await readConfig(process.argv.slice(2), process.env);
  if (invocation.kind === "help") {
    process.stdout.write(`${invocation.text}\n`);
  } else {
    const { config } = invocation;
    const logger = await JsonLogger.open({ level: config.logLevel, fields: { node: config.id } });
    const start = ({ crash }: { crash(error: unknown): void }): Promise<Master> =>
      Master.start(config, { logger, onFatal: crash });
    await runProcess({ logger, start });
  }
} catch (error) {
  const isMisuse = error instanceof LumeoError && error.code === "INVALID_ARGUMENT";
  if (isMisuse) process.stderr.write(`lumeo-master: error: ${error.message}\n`);
  else failures.error("start failed", { error });
  await failures.close();
  process.exitCode = isMisuse ? EXIT.usage : EXIT.configInvalid;
}
