// Stores a file, reads it back whole and in part, and looks at it.
// Run: LUMEO_ENDPOINTS=127.0.0.1:7400 node dist/examples/01-put-get.js

import { connect } from "@lumeofs/client";

await using client = await connect();

const put = await client.put("/greetings/hello.txt", "Hello, world!\n");
console.log(`stored ${put.size} bytes as ${put.etag}`);

const reading = await client.get("/greetings/hello.txt");
console.log((await reading.text()).trim());

const part = await client.get("/greetings/hello.txt", { range: { start: 7, end: 12 } });
console.log(await part.text());

for await (const { path, kind, size } of client.list("/", { recursive: true })) {
  console.log(`${kind} ${path} ${size}`);
}
