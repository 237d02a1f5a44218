import { once } from "node:events";
import { connect, createServer } from "node:net";
import test from "ava";
import { connectedPorts } from "./connections.js";

test("connectedPorts() names the servers that a process talks to, while it does", async (t) => {
  if (process.platform !== "linux") {
    t.pass("only Linux tells");
    return;
  }
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  t.false(connectedPorts(process.pid).has(port));
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  t.true(connectedPorts(process.pid).has(port));
  const closed = once(socket, "close");
  socket.destroy();
  await closed;
  t.false(connectedPorts(process.pid).has(port));
});
