import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import type { AnyResource } from "../../src/api/resource-of-kind.ts";
import { block, node, pod, pool, profile } from "../states/resources.ts";
import { waitFor } from "../support/wait-for.ts";
import { FelixNode, inside, pings } from "./felix-node.ts";

/** The same dataplane in IPv6: a pool over VXLAN, a pod with an address of each family. */

const felix = new FelixNode("f6");
const { datastore } = felix;

/** Without what the kernel makes by itself. */
const routes = () =>
  felix
    .run("ip", "-6", "route", "show", "table", "main")
    .trim()
    .split(/ *\n/)
    .filter((line) => !line.startsWith("fe80") && !line.includes("proto kernel"))
    .map((line) => line.replace(/ pref medium$/, ""))
    .sort();

const wanted = [
  "blackhole fd00:10::/125 dev lo proto 80 metric 1024",
  "fd00:10::1 dev calia metric 1024",
  "fd00:10::10/125 via fd00:10::10 dev vxlan-v6.calico metric 1024 onlink",
  "fd00:10::8/125 via 2001:db8:1::12 dev eth0 proto 80 metric 1024 onlink",
];

let netns = "";

before(async () => {
  felix.run("ip", "address", "add", "2001:db8:1::11/64", "dev", "eth0");
  netns = felix.addPod("a", "10.0.0.1", "02:00:00:00:00:01");
  const inPod = (...args: string[]) => inside(netns, "ip", args);
  const gateway = "fe80::ecee:eeff:feee:eeee";
  for (const address of ["fd00:10::1", "fd00:99::1"]) {
    inPod("address", "add", `${address}/128`, "dev", "eth0", "nodad");
  }
  inPod("route", "add", "default", "via", gateway, "dev", "eth0");
  inPod("neighbor", "add", gateway, "lladdr", "ee:ee:ee:ee:ee:ee", "dev", "eth0");
  const host = (name: string, address: string, tunnel: string) =>
    node(name, "192.168.1.11/24", {
      bgp: { ipv6Address: address },
      ipv6VXLANTunnelAddr: tunnel,
    });
  const resources: AnyResource[] = [
    host("node-a", "2001:db8:1::11/64", "fd00:10::"),
    host("node-b", "2001:db8:1::12/64", "fd00:10::8"),
    host("node-c", "2001:db8:2::13/64", "fd00:10::10"),
    pool("v6", "fd00:10::/64", { vxlanMode: "CrossSubnet" }),
    block("fd00:10::/125", "node-a", { 0: "node-a", 1: "node-a" }),
    block("fd00:10::8/125", "node-b", { 0: "node-b" }),
    block("fd00:10::10/125", "node-c", { 0: "node-c" }),
    profile("kns.prod"),
    pod("node--a-k8s-a-eth0", {
      ip: "",
      ipNetworks: ["10.0.0.1/32", "fd00:10::1/128"],
      pod: "a",
      interfaceName: "calia",
    }),
  ];
  for (const resource of resources) await datastore.create(resource as never);
  await felix.start();
});
after(() => felix.close());

test("IPv6 routes are Calico's", () => {
  assert.deepEqual(routes(), wanted.toSorted());
});

test("the IPv6 tunnel device has its MTU, address and peers", () => {
  const link = felix.run("ip", "-d", "link", "show", "vxlan-v6.calico");
  assert.match(link, /mtu 1430 .*vxlan id 4096 local 2001:db8:1::11 dev eth0/s);
  assert.match(felix.run("ip", "-6", "addr", "show", "vxlan-v6.calico"), /inet6 fd00:10::\/128/);
  const neighbors = felix.run("ip", "-6", "neigh", "show", "dev", "vxlan-v6.calico");
  assert.match(neighbors, /^fd00:10::10 lladdr 66:\S+ PERMANENT/m);
});

test("a block of the same subnet goes through the tunnel when its pool always uses it, and back", async () => {
  const mode = async (vxlanMode: string) => {
    const present = await datastore.get({ kind: "IPPool", name: "v6" });
    await datastore.update({ ...present, spec: { ...present.spec, vxlanMode } } as never);
  };
  await mode("Always");
  const tunneled = "fd00:10::8/125 via fd00:10::8 dev vxlan-v6.calico metric 1024 onlink";
  await waitFor(() => routes().includes(tunneled), { what: "the tunnel" });
  await mode("CrossSubnet");
  await waitFor(() => isDeepStrictEqual(routes(), wanted.toSorted()), { what: "the routes" });
  assert.doesNotMatch(felix.log, /"level":[45]0|apply failed/);
});

test("masquerading and the pod's chains are there in IPv6", () => {
  assert.match(felix.run("ip6tables-nft-save", "-t", "filter"), /-A cali-tw-calia /);
  assert.match(felix.run("ip6tables-nft-save", "-t", "nat"), /cali60masq-ipam-pools/);
  assert.match(felix.run("ipset", "list", "cali60masq-ipam-pools"), /^fd00:10::\/64$/m);
});

test("what a pod sends from an address that is not its own is dropped, in IPv6 too", async () => {
  const dropped = () => {
    const rules = felix.run("ip6tables-save", "-c", "-t", "raw");
    return Number(/^\[(\d+):.*--invert.* DROP$/m.exec(rules)?.[1]);
  };
  const before = dropped();
  const send = (from: string) => pings(netns, "2001:db8:1::12", 0.1, from);
  await send("fd00:10::1");
  assert.equal(dropped(), before, "its own");
  await send("fd00:99::1");
  assert.ok(dropped() > before, "another");
});

test("an IPv6 route of a pod that was deleted is repaired when the kernel tells of it", async () => {
  felix.run("ip", "-6", "route", "del", "fd00:10::1");
  await waitFor(() => routes().includes("fd00:10::1 dev calia metric 1024"), {
    what: "the route",
  });
});

test("a fresh process after kill -9 leaves IPv6 as it is", async () => {
  await felix.stop("SIGKILL");
  const before = felix.run("ip6tables-nft-save");
  await felix.start();
  assert.deepEqual(routes(), wanted.toSorted());
  const timeless = (text: string) => text.replaceAll(/^#.*$|\[\d+:\d+\]/gm, "");
  assert.equal(timeless(felix.run("ip6tables-nft-save")), timeless(before));
  assert.doesNotMatch(felix.log, /"level":50|apply failed/);
});
