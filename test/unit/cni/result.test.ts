import assert from "node:assert/strict";
import { test } from "node:test";
import { renderAddresses, renderResult } from "../../../src/cni/result.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";

const added = {
  addresses: [parseIpAddr("10.244.0.5"), parseIpAddr("fd00::5")],
  hostInterface: { name: "cali1", mac: "ee:ee:ee:ee:ee:ee" },
  podInterface: { name: "eth0", mac: "02:00:00:00:00:01", netnsPath: "/run/netns/x", mtu: 1450 },
};

test("renderResult() for 1.0.0 refers each address to the pod's interface", () => {
  assert.deepEqual(renderResult({ ...added, cniVersion: "1.0.0" }), {
    cniVersion: "1.0.0",
    interfaces: [
      { name: "cali1", mac: "ee:ee:ee:ee:ee:ee" },
      { name: "eth0", mac: "02:00:00:00:00:01", sandbox: "/run/netns/x" },
    ],
    ips: [
      { interface: 1, address: "10.244.0.5/32" },
      { interface: 1, address: "fd00::5/128" },
    ],
    dns: {},
  });
});

test("renderResult() before 1.0.0 tells the version of each address", () => {
  const { ips } = renderResult({ ...added, cniVersion: "0.3.1" }) as { ips: { version: string }[] };
  assert.deepEqual(
    ips.map(({ version }) => version),
    ["4", "6"],
  );
});

test("renderResult() before 0.3.0 has ip4 and ip6", () => {
  assert.deepEqual(renderResult({ ...added, cniVersion: "0.2.0" }), {
    cniVersion: "0.2.0",
    ip4: { ip: "10.244.0.5/32" },
    ip6: { ip: "fd00::5/128" },
    dns: {},
  });
});

test("renderResult() from 1.1.0 on tells the MTU of the pod's interface", () => {
  const { interfaces } = renderResult({ ...added, cniVersion: "1.1.0" }) as {
    interfaces: { mtu?: number }[];
  };
  assert.deepEqual(
    interfaces.map(({ mtu }) => mtu),
    [undefined, 1450],
  );
});

test("renderAddresses() knows no interfaces", () => {
  const { addresses } = added;
  assert.deepEqual(renderAddresses("0.4.0", addresses), {
    cniVersion: "0.4.0",
    ips: [
      { version: "4", address: "10.244.0.5/32" },
      { version: "6", address: "fd00::5/128" },
    ],
    dns: {},
  });
  assert.deepEqual(Object.keys(renderAddresses("0.1.0", addresses)), [
    "cniVersion",
    "ip4",
    "ip6",
    "dns",
  ]);
});
