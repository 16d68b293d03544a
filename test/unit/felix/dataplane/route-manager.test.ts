import { strict as assert } from "node:assert";
import { test } from "node:test";
import type {
  ClusterRoute,
  PoolClass,
  RouteType,
  Vtep,
} from "../../../../src/felix/calc/updates.ts";
import { type RouteContext, RouteManager } from "../../../../src/felix/dataplane/route-manager.ts";
import { parseIpAddr } from "../../../../src/lib/ip-addr.ts";
import { parseMac } from "../../../../src/lib/mac.ts";
import { parsePrefix } from "../../../../src/lib/prefix.ts";
import { routeText } from "./fake-kernel.ts";

const block = parsePrefix("10.0.0.8/29");
const vtep: Vtep = {
  node: "node-b",
  v4: {
    tunnelAddress: parseIpAddr("10.0.0.8"),
    mac: parseMac("66:00:00:00:00:01"),
    nodeAddress: parseIpAddr("192.168.1.12"),
  },
};
const known: RouteContext = {
  vteps: new Map([["node-b", vtep]]),
  parentIfindex: { 4: 2 },
  vxlanIfindex: { 4: 3 },
  ipipIfindex: 4,
  deviceRouteProtocol: 3,
};

function route(
  types: readonly RouteType[],
  poolClass: PoolClass,
  rest: Partial<ClusterRoute> = {},
): ClusterRoute {
  return {
    destination: block,
    types: new Set(types),
    poolClass,
    node: "node-b",
    nodeAddress: parseIpAddr("192.168.1.12"),
    sameSubnet: false,
    natOutgoing: false,
    localWorkload: false,
    borrowed: false,
    ...rest,
  };
}

const vxlanOnly: readonly PoolClass[] = ["vxlan"];
const withIpip: readonly PoolClass[] = ["vxlan", "ipip"];
const withNoEncap: readonly PoolClass[] = ["vxlan", "noEncap"];
const remote: readonly RouteType[] = ["remoteWorkload"];
const host = parsePrefix("10.0.0.9/32");
const local = { node: "node-a" };

/** Facts 4.15, the worked table, and 4.9. Interface 2 is eth0, 3 is vxlan.calico, 4 is tunl0. */
const rows: readonly (readonly [
  what: string,
  owned: readonly PoolClass[],
  given: ClusterRoute,
  context: Partial<RouteContext>,
  routes: readonly string[],
])[] = [
  [
    "VXLAN, same subnet",
    vxlanOnly,
    route(remote, "vxlan", { sameSubnet: true }),
    {},
    ["10.0.0.8/29 via 192.168.1.12 dev 2 proto 80 onlink"],
  ],
  [
    "VXLAN, other subnet",
    vxlanOnly,
    route(remote, "vxlan"),
    {},
    ["10.0.0.8/29 via 10.0.0.8 dev 3 proto 3 onlink"],
  ],
  ["VXLAN, VTEP unknown", vxlanOnly, route(remote, "vxlan"), { vteps: new Map() }, []],
  ["VXLAN, no device yet", vxlanOnly, route(remote, "vxlan"), { vxlanIfindex: {} }, []],
  [
    "VXLAN, same subnet, parent unknown: the tunnel",
    vxlanOnly,
    route(remote, "vxlan", { sameSubnet: true }),
    { parentIfindex: {} },
    ["10.0.0.8/29 via 10.0.0.8 dev 3 proto 3 onlink"],
  ],
  ["no encapsulation, bgp owns", vxlanOnly, route(remote, "noEncap"), {}, []],
  [
    "no encapsulation, felix owns",
    withNoEncap,
    route(remote, "noEncap"),
    {},
    ["10.0.0.8/29 via 192.168.1.12 dev 2 proto 80 onlink"],
  ],
  [
    "no encapsulation, parent unknown: there is no tunnel",
    withNoEncap,
    route(remote, "noEncap"),
    { parentIfindex: {} },
    [],
  ],
  [
    "a tunnel address that is a borrowed workload's, too",
    vxlanOnly,
    route(["remoteTunnel", "remoteWorkload"], "vxlan", { destination: host, borrowed: true }),
    {},
    ["10.0.0.9/32 via 10.0.0.8 dev 3 proto 3 onlink"],
  ],
  [
    "UDP, other subnet",
    ["udp"],
    route(remote, "udp"),
    { udp: { ifindex: 5, tunnelAddress: () => parseIpAddr("10.0.0.8") } },
    ["10.0.0.8/29 via 10.0.0.8 dev 5 proto 3 onlink"],
  ],
  ["UDP, no device yet", ["udp"], route(remote, "udp"), {}, []],
  [
    "no encapsulation, node address unknown",
    withNoEncap,
    { ...route(remote, "noEncap"), nodeAddress: undefined } as unknown as ClusterRoute,
    {},
    [],
  ],
  [
    "IPIP, other subnet",
    withIpip,
    route(remote, "ipip"),
    {},
    ["10.0.0.8/29 via 192.168.1.12 dev 4 proto 80 onlink"],
  ],
  [
    "IPIP, same subnet",
    withIpip,
    route(remote, "ipip", { sameSubnet: true }),
    {},
    ["10.0.0.8/29 via 192.168.1.12 dev 2 proto 80 onlink"],
  ],
  ["IPIP, no device yet", withIpip, route(remote, "ipip"), { ipipIfindex: undefined }, []],
  ["IPIP, bgp owns", vxlanOnly, route(remote, "ipip"), {}, []],
  [
    "local block, IPIP",
    withIpip,
    route(["localWorkload"], "ipip", local),
    {},
    ["blackhole 10.0.0.8/29 proto 80"],
  ],
  ["no pool", withNoEncap, route(remote, "none"), {}, []],
  [
    "local block",
    vxlanOnly,
    route(["localWorkload"], "vxlan", local),
    {},
    ["blackhole 10.0.0.8/29 proto 80"],
  ],
  ["local block of bgp's", vxlanOnly, route(["localWorkload"], "noEncap", local), {}, []],
  [
    "local block of one address",
    vxlanOnly,
    route(["localWorkload"], "vxlan", { ...local, destination: host }),
    {},
    [],
  ],
  [
    "local pod",
    vxlanOnly,
    route(["localWorkload"], "vxlan", { ...local, destination: host, localWorkload: true }),
    {},
    [],
  ],
  [
    "borrowed from our block",
    vxlanOnly,
    route(remote, "vxlan", { destination: host, borrowed: true }),
    {},
    ["10.0.0.9/32 via 10.0.0.8 dev 3 proto 3 onlink"],
  ],
  [
    "tunnel address inside its node's block",
    vxlanOnly,
    route(["remoteTunnel"], "vxlan", { destination: host }),
    {},
    [],
  ],
  [
    "the VTEP's own address, borrowed from another's block",
    vxlanOnly,
    route(["remoteTunnel"], "vxlan", { destination: parsePrefix("10.0.0.8/32"), borrowed: true }),
    {},
    ["10.0.0.8/32 dev 3 proto 3 scope link"],
  ],
  [
    "a tunnel address of another kind, borrowed from another's block",
    vxlanOnly,
    route(["remoteTunnel"], "vxlan", { destination: host, borrowed: true }),
    {},
    ["10.0.0.9/32 via 10.0.0.8 dev 3 proto 3 onlink"],
  ],
  [
    "IPIP, borrowed tunnel address",
    withIpip,
    route(["remoteTunnel"], "ipip", { destination: host, borrowed: true }),
    {},
    ["10.0.0.9/32 via 192.168.1.12 dev 4 proto 80 onlink"],
  ],
  [
    "IPIP, borrowed from our block",
    withIpip,
    route(remote, "ipip", { destination: host, borrowed: true }),
    {},
    ["10.0.0.9/32 via 192.168.1.12 dev 4 proto 80 onlink"],
  ],
  [
    "IPIP, same subnet, parent unknown: the tunnel",
    withIpip,
    route(remote, "ipip", { sameSubnet: true }),
    { parentIfindex: {} },
    ["10.0.0.8/29 via 192.168.1.12 dev 4 proto 80 onlink"],
  ],
  [
    "IPIP, node address unknown",
    withIpip,
    { ...route(remote, "ipip"), nodeAddress: undefined } as unknown as ClusterRoute,
    {},
    [],
  ],
  ["local block, IPIP, bgp owns", vxlanOnly, route(["localWorkload"], "ipip", local), {}, []],
  ["a host's address", vxlanOnly, route(["remoteHost"], "vxlan", { destination: host }), {}, []],
  [
    "DeviceRouteProtocol 99",
    vxlanOnly,
    route(["localWorkload"], "vxlan", local),
    { deviceRouteProtocol: 99 },
    ["blackhole 10.0.0.8/29 proto 99"],
  ],
];

for (const [what, owned, given, context, routes] of rows) {
  test(`RouteManager: ${what}`, () => {
    const manager = new RouteManager(new Set(owned));
    manager.onUpdate({ op: "set", kind: "route", id: given.destination, value: given });
    assert.deepEqual(manager.routes({ ...known, ...context }).map(routeText), routes);
    manager.onUpdate({ op: "remove", kind: "route", id: given.destination });
    assert.deepEqual(manager.routes(known), []);
  });
}

test("RouteManager: what is bgp's are remote and own blocks of the classes that are not ours", () => {
  const manager = new RouteManager(new Set(withIpip));
  const to = (text: string, given: ClusterRoute) => {
    const destination = parsePrefix(text);
    const value = { ...given, destination };
    manager.onUpdate({ op: "set", kind: "route", id: destination, value });
  };
  to("10.0.1.0/29", route(remote, "noEncap"));
  to("10.0.2.0/29", route(["localWorkload"], "noEncap", local));
  to("10.0.2.1/32", route(["localWorkload"], "noEncap", { ...local, localWorkload: true }));
  to("10.0.3.0/29", route(remote, "ipip"));
  to("10.0.4.0/29", route(remote, "none"));
  to("192.168.1.12/32", route(["remoteHost"], "noEncap"));
  assert.deepEqual([...manager.given()], ["10.0.1.0/29", "10.0.2.0/29"]);
});

const { nodeAddress: _gone, ...orphan } = route(remote, "vxlan");
const lackingRows: readonly (readonly [
  what: string,
  given: ClusterRoute,
  context: Partial<RouteContext>,
  lacking: boolean,
])[] = [
  ["that is made", route(remote, "vxlan"), {}, false],
  ["of a node without a tunnel address yet", route(remote, "vxlan"), { vteps: new Map() }, true],
  ["of a node that is gone", orphan, { vteps: new Map() }, false],
  ["that another owner programs", route(remote, "noEncap"), {}, false],
  ["to a host", route(["remoteHost"], "vxlan", { destination: host }), {}, false],
];
for (const [what, given, context, lacking] of lackingRows) {
  test(`RouteManager: a route ${what} ${lacking ? "lacks something" : "lacks nothing"}`, () => {
    const manager = new RouteManager(new Set(vxlanOnly));
    manager.onUpdate({ op: "set", kind: "route", id: given.destination, value: given });
    const destinations = manager.lacking(manager.routes({ ...known, ...context }));
    assert.deepEqual([...destinations], lacking ? [given.destination] : []);
  });
}
