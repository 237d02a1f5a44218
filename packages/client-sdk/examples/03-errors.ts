// Protects a file against being overwritten, tells errors apart, and gives up in time.
// Run: LUMEO_ENDPOINTS=127.0.0.1:7400 node dist/examples/03-errors.js

import { connect, LumeoError, NotFoundError } from "@lumeofs/client";

await using client = await connect();

const { etag } = await client.put("/config.json", JSON.stringify({ version: 1 }));
await client.put("/config.json", JSON.stringify({ version: 2 }), { ifMatch: etag });
try {
  await client.put("/config.json", JSON.stringify({ version: 3 }), { ifMatch: etag });
} catch (error) {
  if (!LumeoError.is(error, "LUMEO_PRECONDITION")) throw error;
  console.log("somebody else was first");
}

try {
  await client.get("/none.json", { signal: AbortSignal.timeout(30_000) });
} catch (error) {
  if (!(error instanceof NotFoundError)) throw error;
  console.log(`${error.code}: ${error.path}`);
}
