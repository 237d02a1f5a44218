// One chunkserver as a process.

import { LumeoError } from "@lumeofs/base";
import { EXIT, JsonLogger, runProcess } from "@lumeofs/node";
import { Chunkserver } from "./chunkserver.js";
import { readInvocation } from "./config.js";

const failures = await JsonLogger.open({ level: "info" });
try {
  const invocation = await readInvocation(process.argv.slice(2), process.env);
  if (invocation.kind === "help") {
    process.stdout.write(`${invocation.text}\n`);
  } else {
    const { config } = invocation;
    const logger = await JsonLogger.open({ level: config.logLevel, fields: { node: config.name } });
    await runProcess({
      logger,
      start: (control) => Chunkserver.start(config, { logger, control }),
    });
  }
} catch (error) {
  const isMisuse = error instanceof LumeoError && error.code === "INVALID_ARGUMENT";
  if (isMisuse) process.stderr.write(`lumeo-chunkserver: error: ${error.message}\n`);
  else failures.error("start failed", { error });
  await failures.close();
  process.exitCode = isMisuse ? EXIT.usage : EXIT.configInvalid;
}
