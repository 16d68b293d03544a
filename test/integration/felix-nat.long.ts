import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { calicoApiVersion } from "../../src/api/meta.ts";
import type { BGPConfiguration } from "../../src/api/resources/bgp.ts";
import type { FelixConfiguration } from "../../src/api/resources/felix-configuration.ts";
import { isDatastoreError } from "../../src/datastore/datastore.ts";
import { node, pool, profile } from "../states/resources.ts";
import { Background } from "../support/lab.ts";
import { waitFor } from "../support/wait-for.ts";
import { FelixNode, inside, podEndpoint } from "./felix-node.ts";

/**
 * What becomes of packets that leave the cluster, and of those for services that nobody has (facts 4.5),
 * with each setting, while felix runs. Outside is 203.0.113.10, behind 192.168.1.1; 192.168.1.12 is another
 * node; 10.1.0.0/16 is a pool without natOutgoing, of which an address is outside, too.
 */

const felix = new FelixNode("nat");
let [masqueraded, plain] = ["", ""];
let echo: ChildProcess;

const outside = "203.0.113.10";
const otherNode = "192.168.1.12";
const outsideAddresses = [outside, otherNode, "10.1.0.99", "2001:db8::10"];

/** Answers UDP and TCP with the address and the port that it sees. */
const server = `
  const told = (address, port) => address.replace("::ffff:", "") + " " + port;
  for (const own of process.argv.slice(1)) {
    const udp = require("dgram").createSocket(own.includes(":") ? "udp6" : "udp4");
    udp.on("message", (_text, from) => udp.send(told(from.address, from.port), from.port, from.address));
    udp.bind(7000, own);
  }
  require("net").createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.end(told(socket.remoteAddress, socket.remotePort));
  }).listen(7000, "::");`;

/** Asks until there is an answer: UDP may be lost, and a neighbour may have to be found. */
const client = `
  const [protocol, address] = process.argv.slice(1);
  const print = (text) => { console.log(String(text)); process.exit(); };
  const family = address.includes(":") ? "udp6" : "udp4";
  const ask = () => {
    if (protocol === "udp") {
      require("dgram").createSocket(family).on("message", print).send("?", 7000, address);
    } else {
      require("net").connect(7000, address).on("data", print).on("error", () => setTimeout(ask, 100));
    }
  };
  ask();
  if (protocol === "udp") setInterval(ask, 500);
  setTimeout(() => process.exit(1), 20000);`;

before(async () => {
  masqueraded = felix.addPod("a", "10.0.0.1", "02:00:00:00:00:01");
  plain = felix.addPod("b", "10.1.0.2", "02:00:00:00:00:02");
  felix.addOutside("192.168.1.1/24");
  const ipOutside = (...args: string[]) => inside(felix.outside, "ip", args);
  ipOutside("address", "add", "192.168.1.12/24", "dev", "other");
  for (const own of ["203.0.113.10/32", "10.1.0.99/32"])
    ipOutside("address", "add", own, "dev", "lo");
  ipOutside("link", "set", "lo", "up");
  ipOutside("route", "add", "10.0.0.0/16", "via", "192.168.1.11");
  ipOutside("route", "add", "10.1.0.0/16", "via", "192.168.1.11");
  felix.run("ip", "address", "add", "192.168.1.99/32", "dev", "eth0");
  // Each refusal is told, not one a second.
  felix.run("sysctl", "-q", "-w", "net.ipv4.icmp_ratelimit=0");
  addIpv6();
  await felix.create(
    node("node-a", "192.168.1.11/24"),
    node("node-b", "192.168.1.12/24"),
    pool("masqueraded", "10.0.0.0/16", { natOutgoing: true }),
    pool("plain", "10.1.0.0/16", { natOutgoing: false }),
    pool("six", "fd00::/64", { natOutgoing: true }),
    profile("kns.prod"),
    podEndpoint("a", "10.0.0.1", { ipNetworks: ["10.0.0.1/32", "fd00::1/128"] }),
    podEndpoint("b", "10.1.0.2"),
  );
  await felix.start();
  const program = [process.execPath, "-e", server, ...outsideAddresses];
  echo = spawn("ip", ["netns", "exec", felix.outside, ...program], { stdio: "inherit" });
  await waitFor(() => inside(felix.outside, "ss", ["-Hlntu"]).match(/:7000/g)?.length === 5, {
    what: "the echo",
  });
});
after(async () => {
  echo.kill("SIGKILL");
  await felix.close();
});

function addIpv6(): void {
  felix.run("ip", "address", "add", "fd01::11/64", "dev", "eth0", "nodad");
  felix.run("ip", "route", "add", "default", "via", "fd01::1");
  const ipOutside = (...args: string[]) => inside(felix.outside, "ip", args);
  ipOutside("address", "add", "fd01::1/64", "dev", "other", "nodad");
  ipOutside("address", "add", "2001:db8::10/128", "dev", "lo", "nodad");
  ipOutside("route", "add", "fd00::/64", "via", "fd01::11");
  const inPod = (...args: string[]) => inside(masqueraded, "ip", args);
  inPod("address", "add", "fd00::1/128", "dev", "eth0", "nodad");
  // The address that the kernel makes of ee:ee:ee:ee:ee:ee.
  inPod("route", "add", "default", "via", "fe80::ecee:eeff:feee:eeee", "dev", "eth0");
}

/** From which address, and port, the other side was asked. */
function seenAs(netns: string, address: string, protocol: "udp" | "tcp" = "udp") {
  const text = inside(netns, process.execPath, ["-e", client, protocol, address]);
  const [source = "", port = ""] = text.trim().split(" ");
  return { source, port: Number(port) };
}

/** The only FelixConfiguration has this spec, and the kernel's rules follow. */
async function configure(
  spec: Readonly<Record<string, unknown>>,
  rules: RegExp,
  table = "nat",
): Promise<void> {
  const key = { kind: "FelixConfiguration", name: "default" } as const;
  const present = await felix.datastore.get(key).catch((error: unknown) => {
    if (isDatastoreError(error, "not-found")) return undefined;
    throw error;
  });
  const metadata = present?.metadata ?? { name: "default" };
  const wanted: FelixConfiguration = {
    apiVersion: calicoApiVersion,
    kind: "FelixConfiguration",
    metadata,
    spec,
  };
  await felix.datastore[present === undefined ? "create" : "update"]<"FelixConfiguration">(wanted);
  const show = () => felix.run("sh", "-c", `iptables-save -t ${table} 2>/dev/null`);
  await waitFor(() => rules.test(show()), { timeoutMs: 60_000, intervalMs: 100, what: `${rules}` });
}

test("what leaves the pools of a pool with natOutgoing has the node's address, all else keeps its own", () => {
  assert.equal(seenAs(masqueraded, outside).source, "192.168.1.11");
  assert.equal(seenAs(masqueraded, outside, "tcp").source, "192.168.1.11");
  assert.equal(seenAs(masqueraded, "10.1.0.99").source, "10.0.0.1");
  assert.equal(seenAs(plain, outside).source, "10.1.0.2");
  assert.equal(seenAs(masqueraded, otherNode).source, "192.168.1.11");
  assert.equal(seenAs(masqueraded, "2001:db8::10").source, "fd01::11");
});

test("natOutgoingExclusions IPPoolsAndHostIPs: other nodes see the pod's own address", async () => {
  await configure({ natOutgoingExclusions: "IPPoolsAndHostIPs" }, /cali40all-hosts-net dst/);
  assert.equal(seenAs(masqueraded, otherNode).source, "10.0.0.1");
  assert.equal(seenAs(masqueraded, outside).source, "192.168.1.11");
});

test("natPortRange: ports are of it, for UDP and TCP, and there is no more", async () => {
  await configure({ natPortRange: "30000:30003" }, /--to-ports 30000-30003/);
  for (const protocol of ["udp", "tcp"] as const) {
    for (let i = 0; i < 2; i++) {
      const { source, port } = seenAs(masqueraded, outside, protocol);
      assert.equal(source, "192.168.1.11");
      assert.ok(port >= 30_000 && port <= 30_003, `${protocol} ${port}`);
    }
  }
  assert.match(inside(masqueraded, "ping", ["-c1", "-W5", outside]), / 0% packet loss/);
});

test("natOutgoingAddress takes the node's address' place, with natPortRange too; IPv6 is masqueraded", async () => {
  const spec = { natOutgoingAddress: "192.168.1.99" };
  await configure(spec, /cali-nat-outgoing .*SNAT --to-source 192\.168\.1\.99/);
  assert.equal(seenAs(masqueraded, outside).source, "192.168.1.99");
  assert.equal(seenAs(masqueraded, "2001:db8::10").source, "fd01::11");
  const both = { ...spec, natPortRange: "31000:31001" };
  await configure(both, /SNAT --to-source 192\.168\.1\.99:31000-31001/);
  const { source, port } = seenAs(masqueraded, outside, "tcp");
  assert.deepEqual([source, port === 31_000 || port === 31_001], ["192.168.1.99", true]);
});

test("iptablesNATOutgoingInterfaceFilter: only what leaves by such an interface is masqueraded", async () => {
  const filter = (name: string) => ({ iptablesNATOutgoingInterfaceFilter: name });
  await configure(filter("bond+"), /cali-nat-outgoing .*-o bond\+/);
  assert.equal(seenAs(masqueraded, outside).source, "10.0.0.1");
  await configure(filter("eth+"), /cali-nat-outgoing .*-o eth\+/);
  assert.equal(seenAs(masqueraded, outside).source, "192.168.1.11");
  await configure(filter("eth0"), /cali-nat-outgoing .*-o eth0/);
  assert.equal(seenAs(masqueraded, outside).source, "192.168.1.11");
});

/** Of each kind: an address that no service has. */
const unserved = ["10.96.0.9", "198.51.100.9", "198.51.101.9"];

test("serviceLoopPrevention: what is for a service that nobody has ends here, by Drop or Reject; Disabled: it goes round", async () => {
  for (const cidr of ["10.96.0.0/12", "198.51.100.0/23"]) {
    inside(felix.outside, "ip", ["route", "add", cidr, "via", "192.168.1.11"]);
  }
  await felix.create({
    apiVersion: calicoApiVersion,
    kind: "BGPConfiguration",
    metadata: { name: "default" },
    spec: {
      serviceClusterIPs: [{ cidr: "10.96.0.0/12" }],
      serviceExternalIPs: [{ cidr: "198.51.100.0/24" }],
      serviceLoadBalancerIPs: [{ cidr: "198.51.101.0/24" }],
    },
  } satisfies BGPConfiguration);
  // One that a service has: kube-proxy has led it to a pod by then.
  const served = ["-d", "10.96.0.10", "-j", "DNAT", "--to-destination", "10.0.0.1"];
  felix.run("iptables", "-t", "nat", "-I", "PREROUTING", ...served);

  await configure({}, /cali-cidr-block -d 198\.51\.101\.0\/24 .*-j DROP/, "filter");
  assert.deepEqual(await comesBack(unserved), []);
  assert.match(ping(felix.outside, "10.96.0.10"), / 0% packet loss/);
  assert.match(ping(masqueraded, "10.96.0.9"), / 100% packet loss/);

  const reject = { serviceLoopPrevention: "Reject" };
  await configure(reject, /cali-cidr-block -d 198\.51\.101\.0\/24 .*-j REJECT/, "filter");
  assert.deepEqual(await comesBack(unserved), []);
  for (const address of unserved) {
    assert.match(
      ping(felix.outside, address),
      /From 192\.168\.1\.11.* Destination Port Unreachable/,
    );
  }

  const chain = "cali-cidr-block";
  await configure(
    { serviceLoopPrevention: "Disabled" },
    new RegExp(`^(?!.*-A ${chain})`, "s"),
    "filter",
  );
  assert.deepEqual(await comesBack(unserved), unserved);
});

/** Those of the addresses for which a ping from outside is sent back there. */
async function comesBack(addresses: readonly string[]): Promise<string[]> {
  const dump = new Background(felix.outside, "tcpdump", "-lnQ", "in", "-i", "other", "icmp");
  await waitFor(() => dump.output.includes("listening"), { what: "tcpdump" });
  for (const address of addresses) ping(felix.outside, address);
  // What comes after all of them is seen after all of them.
  ping(felix.outside, "192.168.1.11");
  await waitFor(() => dump.output.includes("192.168.1.11 > 192.168.1.1: ICMP echo reply"), {
    what: "the last answer",
  });
  const text = await dump.stop();
  return addresses.filter((address) => text.includes(`> ${address}: ICMP echo request`));
}

function ping(netns: string, address: string): string {
  return inside(netns, "sh", ["-c", `ping -n -c1 -W1 ${address} || true`]);
}
