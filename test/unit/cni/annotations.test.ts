import assert from "node:assert/strict";
import { test } from "node:test";
import { CniError } from "../../../src/cni/cni-error.ts";
import { endpointOf, identityOf } from "../../../src/cni/endpoint.ts";
import { parseIpAddr } from "../../../src/lib/ip-addr.ts";
import { parseAdd } from "../../support/cni-call.ts";

/** A call whose pod has these annotations, as containerd passes them on. */
function parsed(annotations: Readonly<Record<string, string>>, config: object = {}) {
  const named = Object.entries(annotations).map(([name, text]) => [
    `cni.projectcalico.org/${name}`,
    text,
  ]);
  const runtimeConfig = { "io.kubernetes.cri.pod-annotations": Object.fromEntries(named) };
  const stdin = { cniVersion: "1.0.0", name: "net", type: "calico", runtimeConfig, ...config };
  const variables = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c", CNI_IFNAME: "eth0" };
  return parseAdd({ variables, stdin: JSON.stringify(stdin) }).config;
}

test("parseCall() reads pools, addresses and the MAC from the pod's annotations", () => {
  const { annotations } = parsed({
    ipv4pools: '["a","10.1.0.0/16"]',
    ipv6pools: '["b"]',
    ipAddrs: '["10.1.0.5","fd00::5"]',
    hwAddr: "02:00:00:00:00:AA",
    floatingIPs: "[]",
  });
  assert.deepEqual(annotations, {
    ipv4Pools: ["a", "10.1.0.0/16"],
    ipv6Pools: ["b"],
    addresses: ["10.1.0.5", "fd00::5"],
    hwAddr: "02:00:00:00:00:aa",
  });
});

test("parseCall() takes the families of ipFamilies before those of the configuration", () => {
  const ipam = { type: "calico-ipam", assign_ipv4: "true", assign_ipv6: "false" };
  const families = (text: string) => {
    const { assignIpv4, assignIpv6 } = parsed({ ipFamilies: text }, { ipam });
    return [assignIpv4, assignIpv6];
  };
  assert.deepEqual(families('["IPv6"]'), [false, true]);
  assert.deepEqual(families('["IPv4","IPv6"]'), [true, true]);
});

const control = { feature_control: { ip_addrs_no_ipam: true } };

test("parseCall() takes ipAddrsNoIpam where feature_control allows it", () => {
  const { annotations } = parsed({ ipAddrsNoIpam: '["192.0.2.7"]' }, control);
  assert.deepEqual(annotations.addressesWithoutIpam, ["192.0.2.7"]);
});

const refused: readonly (readonly [
  annotations: Readonly<Record<string, string>>,
  config: object,
  message: RegExp,
])[] = [
  [{ ipv4pools: "a" }, {}, /ipv4pools: it must be a JSON list of strings; got "a"/],
  [{ ipv6pools: "[1]" }, {}, /ipv6pools: it must be a JSON list of strings; got "\[1\]"/],
  [{ ipAddrs: '["10.0.0.300"]' }, {}, /ipAddrs: .* a list of addresses; got "10\.0\.0\.300"/],
  [{ ipAddrs: '["10.0.0.1","10.0.0.2"]' }, {}, /ipAddrs: it must be one address a family/],
  [{ ipAddrs: "[]" }, {}, /ipAddrs: it must be one address a family; got \[\]/],
  [{ ipFamilies: '["IPv5"]' }, {}, /ipFamilies: it must be "IPv4", "IPv6" or both; got \["IPv5"\]/],
  [{ hwAddr: "02:00" }, {}, /hwAddr: it must be a MAC address; got "02:00"/],
  [
    { ipAddrs: '["10.0.0.1"]', ipAddrsNoIpam: '["10.0.0.1"]' },
    control,
    /ipAddrsNoIpam: it must be absent where ipAddrs is given/,
  ],
  [
    { ipAddrsNoIpam: '["10.0.0.1"]' },
    {},
    /feature_control\.ip_addrs_no_ipam must be true for ipAddrsNoIpam/,
  ],
];

for (const [annotations, config, message] of refused) {
  test(`parseCall() refuses ${JSON.stringify(annotations)}`, () => {
    assert.throws(
      () => parsed(annotations, config),
      (error) => {
        assert.ok(error instanceof CniError);
        assert.equal(error.cniCode, 7);
        assert.match(`${error.message}; ${error.details}`, message);
        return true;
      },
    );
  });
}

test("parseCall() takes floating addresses only where the administrator lets it", () => {
  const asked = { floatingIPs: '["192.0.2.7","192.0.2.8","2001:db8::7"]' };
  assert.throws(() => parsed(asked), /feature_control.floating_ips must be true for floatingIPs/);
  const { annotations } = parsed(asked, { feature_control: { floating_ips: true } });
  assert.deepEqual(annotations.floating, ["192.0.2.7", "192.0.2.8", "2001:db8::7"]);
});

test("the endpoint of a pod has its floating addresses and its quality of service", () => {
  const call = parseAdd({
    variables: { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c", CNI_IFNAME: "eth0" },
    stdin: JSON.stringify({
      cniVersion: "1.0.0",
      name: "net",
      type: "calico",
      feature_control: { floating_ips: true },
      runtimeConfig: {
        "io.kubernetes.cri.pod-annotations": {
          "cni.projectcalico.org/floatingIPs": '["192.0.2.7","2001:db8::7"]',
          "qos.projectcalico.org/ingressMaxConnections": "10",
        },
      },
    }),
  });
  const network = { addresses: [parseIpAddr("10.0.0.5")], mac: "02:00:00:00:00:01" };
  const { spec } = endpointOf(call, identityOf(call, "node1"), network);
  assert.deepEqual(spec.ipNATs, [{ internalIP: "10.0.0.5", externalIP: "192.0.2.7" }]);
  assert.deepEqual(spec.qosControls, { ingressMaxConnections: 10 });
});
