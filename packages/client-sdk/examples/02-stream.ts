// Stores what comes from a stream of unknown length and saves it to a local file, with progress.
// Run: LUMEO_ENDPOINTS=127.0.0.1:7400 node dist/examples/02-stream.js FILE

import { connect } from "@lumeofs/client";

const [target = "numbers.txt"] = process.argv.slice(2);

async function* numbers(): AsyncGenerator<string> {
  for (let i = 1; i <= 100_000; i++) yield `${i}\n`;
}

await using client = await connect();
let calls = 0;
const put = await client.put("/numbers.txt", numbers(), { onProgress: () => calls++ });
console.log(`stored ${put.size} bytes, progress was told: ${0 < calls}`);

const reading = await client.get("/numbers.txt");
await reading.saveTo(target);
console.log(`saved ${reading.info.size} bytes`);
