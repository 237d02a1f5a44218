import { LumeoError } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import {
  addressesOf,
  CHUNKSERVERS_MAX,
  masterEndpoints,
  memberArguments,
  planMembers,
  resumeTopology,
  TOPOLOGY_DEFAULT,
  withMaster,
  withoutMasters,
} from "./topology.js";

test("planMembers() gives every member ports of its own", (t) => {
  const topologies = fc.record({
    masters: fc.constantFrom(1, 3, 5),
    joined: fc.constant([]),
    removed: fc.constant([]),
    chunkservers: fc.integer({ min: 1, max: CHUNKSERVERS_MAX }),
    disks: fc.constant(1),
    host: fc.constant("127.0.0.1"),
    portBase: fc.integer({ min: 1, max: 65_000 }),
  });
  fc.assert(
    fc.property(topologies, (topology) => {
      const addresses = planMembers(topology).flatMap(addressesOf);
      const ports = addresses.map((address) => Number(address.split(":")[1]));
      return new Set(addresses).size === addresses.length && ports.every((port) => port < 65_536);
    }),
  );
  t.pass();
});

test("planMembers() puts the default cluster on the documented ports", (t) => {
  const members = planMembers(TOPOLOGY_DEFAULT);
  t.deepEqual(
    members.map(({ id, address }) => `${id}=${address}`),
    [
      ...["m1=127.0.0.1:7400", "m2=127.0.0.1:7401", "m3=127.0.0.1:7402"],
      ...["cs1=127.0.0.1:7410", "cs2=127.0.0.1:7411", "cs3=127.0.0.1:7412"],
      "cs4=127.0.0.1:7413",
    ],
  );
  t.deepEqual(masterEndpoints(members), ["127.0.0.1:7400", "127.0.0.1:7401", "127.0.0.1:7402"]);
});

test("planMembers() refuses an even number of masters and ports beyond the last", (t) => {
  for (const wrong of [{ masters: 2 }, { chunkservers: 0 }, { chunkservers: 21 }]) {
    t.throws(() => planMembers({ ...TOPOLOGY_DEFAULT, ...wrong }), { instanceOf: LumeoError });
  }
  t.throws(() => planMembers({ ...TOPOLOGY_DEFAULT, portBase: 65_500 }), { message: /65500/ });
});

test("memberArguments() tells a master its peers and a chunkserver its masters", (t) => {
  const members = planMembers({ ...TOPOLOGY_DEFAULT, masters: 1, chunkservers: 1 });
  const [master, chunkserver] = members;
  t.deepEqual(master && memberArguments(master, members, ["/d/m1"]), [
    ...["--id", "m1", "--dir", "/d/m1", "--listen", "127.0.0.1:7400"],
    ...["--peers", "m1=127.0.0.1:7400"],
  ]);
  t.deepEqual(chunkserver && memberArguments(chunkserver, members, ["/d/cs1"]), [
    ...["--name", "cs1", "--dir", "/d/cs1"],
    ...["--listen-data", "127.0.0.1:7410", "--listen-control", "127.0.0.1:7430"],
    ...["--masters", "127.0.0.1:7400"],
  ]);
  const [first, ...rest] =
    chunkserver === undefined ? [] : memberArguments(chunkserver, members, ["/d/1", "/d/2"]);
  t.is(first, "--name");
  t.deepEqual(rest.slice(1, 5), ["--dir", "/d/1", "--dir", "/d/2"]);
});

test("resumeTopology() keeps what is stored, adds chunkservers and moves ports", (t) => {
  const stored = { ...TOPOLOGY_DEFAULT, portBase: 9000 };
  t.deepEqual(resumeTopology(stored, {}), stored);
  t.deepEqual(resumeTopology(stored, { chunkservers: 6, portBase: 9100 }), {
    ...stored,
    chunkservers: 6,
    portBase: 9100,
  });
});

test("resumeTopology() refuses another group of masters, fewer chunkservers, other disks", (t) => {
  t.throws(() => resumeTopology(TOPOLOGY_DEFAULT, { masters: 1 }), { message: /--masters/ });
  const grown = withMaster({ ...TOPOLOGY_DEFAULT, masters: 1 }).topology;
  t.is(resumeTopology(grown, { masters: 2 }).masters, 1, "as many as there are");
  t.throws(() => resumeTopology(TOPOLOGY_DEFAULT, { chunkservers: 3 }), {
    message: /--chunkservers/,
  });
  t.throws(() => resumeTopology(TOPOLOGY_DEFAULT, { disks: 2 }), { message: /--disks/ });
});

test("a master that joins gets a new name and a port that nobody has", (t) => {
  const first = withMaster({ ...TOPOLOGY_DEFAULT, masters: 1, chunkservers: 1 });
  const second = withMaster(first.topology);
  t.deepEqual([first.id, second.id], ["m2", "m3"]);
  const fewer = withoutMasters(second.topology, ["m1", "m3"]);
  const again = withMaster(fewer);
  t.is(again.id, "m4");
  t.deepEqual(masterEndpoints(planMembers(again.topology)), ["127.0.0.1:7401", "127.0.0.1:7400"]);
  const members = planMembers(again.topology);
  const joining = members.find(({ id }) => id === "m4");
  t.deepEqual(joining && memberArguments(joining, members, ["/d/m4"]).slice(-4), [
    ...["--peers", "m2=127.0.0.1:7401,m4=127.0.0.1:7400"],
    ...["--join", "127.0.0.1:7401"],
  ]);
  t.throws(() => withoutMasters(fewer, ["m3"]), { code: "NOT_FOUND" });
});
