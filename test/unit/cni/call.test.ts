import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCall } from "../../../src/cni/call.ts";
import { CniError } from "../../../src/cni/cni-error.ts";
import { type CniCall, decodeCall, encodeCall } from "../../../src/cni/protocol.ts";
import { parseAdd } from "../../support/cni-call.ts";

const config = { cniVersion: "1.0.0", name: "k8s-pod-network", type: "calico" };

function call(variables: CniCall["variables"] = {}, stdin: unknown = config): CniCall {
  return {
    variables: {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: "abc123",
      CNI_IFNAME: "eth0",
      CNI_NETNS: "/var/run/netns/x",
      CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0",
      ...variables,
    },
    stdin: typeof stdin === "string" ? stdin : JSON.stringify(stdin),
  };
}

function refusal(bad: CniCall): CniError {
  try {
    parseCall(bad);
  } catch (error) {
    assert.ok(error instanceof CniError);
    return error;
  }
  return assert.fail("the call was accepted");
}

test("parseCall() reads the pod's identity and the configuration", () => {
  const parsed = parseAdd(call());
  assert.deepEqual(parsed.pod, { namespace: "default", name: "web-0" });
  assert.equal(parsed.containerId, "abc123");
  assert.equal(parsed.config.assignIpv4, true);
  assert.equal(parsed.config.assignIpv6, false);
});

test("parseCall() has no pod when a runtime names no namespace", () => {
  assert.equal(parseAdd(call({ CNI_ARGS: "K8S_POD_NAME=lonely" })).pod, undefined);
});

test("parseCall() takes upstream's text booleans, pools, labels and ports", () => {
  const { config: parsed } = parseAdd(
    call(
      {},
      {
        ...config,
        ipam: {
          type: "calico-ipam",
          assign_ipv4: "false",
          assign_ipv6: "true",
          ipv6_pools: ["v6"],
        },
        args: {
          cni: {
            labels: [{ key: "app", value: "client" }],
            ports: [{ name: "http", port: 80, protocol: "TCP" }],
          },
        },
      },
    ),
  );
  assert.equal(parsed.assignIpv4, false);
  assert.equal(parsed.assignIpv6, true);
  assert.deepEqual(parsed.ipv6Pools, ["v6"]);
  assert.deepEqual(parsed.labels, { app: "client" });
  assert.deepEqual(parsed.ports, [{ name: "http", port: 80, protocol: "TCP" }]);
});

const refused: readonly [what: string, bad: CniCall, code: number, words: RegExp][] = [
  ["an unknown command", call({ CNI_COMMAND: "PAINT" }), 4, /CNI_COMMAND/],
  ["a container ID with a slash", call({ CNI_CONTAINERID: "../x" }), 4, /CNI_CONTAINERID/],
  ["no container ID", call({ CNI_CONTAINERID: "" }), 4, /CNI_CONTAINERID/],
  ["an interface name of 16 characters", call({ CNI_IFNAME: "a".repeat(16) }), 4, /CNI_IFNAME/],
  ["an interface name with a colon", call({ CNI_IFNAME: "eth0:1" }), 4, /CNI_IFNAME/],
  ["an interface named ..", call({ CNI_IFNAME: ".." }), 4, /CNI_IFNAME/],
  [
    "a pod name that is no DNS name",
    call({ CNI_ARGS: "K8S_POD_NAMESPACE=a;K8S_POD_NAME=B/c" }),
    4,
    /CNI_ARGS/,
  ],
  ["configuration that is not JSON", call({}, "{"), 6, /not JSON/],
  ["configuration that is a list", call({}, "[]"), 7, /configuration/],
  [
    "a CNI version from the future",
    call({}, { ...config, cniVersion: "9.0.0" }),
    1,
    /unsupported CNI version "9.0.0"/,
  ],
  ["a network without a name", call({}, { cniVersion: "1.0.0" }), 7, /name/],
  ["a foreign IPAM plugin", call({}, { ...config, ipam: { type: "dhcp" } }), 7, /ipam\.type/],
  ["an MTU that is text", call({}, { ...config, mtu: "big" }), 7, /mtu/],
  ["a network of Windows", call({}, { ...config, mode: "vxlan" }), 2, /mode is for .*Windows/],
  [
    "a field of Windows",
    call({}, { ...config, windows_use_single_network: true }),
    2,
    /windows_use_single_network is for .*Windows/,
  ],
  ["another device", call({}, { ...config, device_type: "tap" }), 7, /device_type.*"tap"/],
  [
    "a policy timeout below zero",
    call({}, { ...config, policy_setup_timeout_seconds: -1 }),
    7,
    /policy_setup_timeout_seconds.*-1/,
  ],
  ["an IP that is none", call({ CNI_ARGS: "IP=10.0.0" }), 4, /IP=10\.0\.0/],
  [
    "a route that is none",
    call({}, { ...config, ipam: { routes: [{ dst: "ten" }] } }),
    7,
    /ipam\.routes/,
  ],
  ["a result that is none", call({}, { ...config, prevResult: { ips: 1 } }), 7, /prevResult\.ips/],
];
for (const [what, bad, code, words] of refused) {
  test(`parseCall() refuses ${what}`, () => {
    const error = refusal(bad);
    assert.equal(error.cniCode, code);
    assert.match(`${error.message} ${error.details}`, words);
  });
}

test("parseCall() reads what concerns interface and policy", () => {
  const { config: parsed, previous } = parseAdd(
    call(
      { CNI_ARGS: "IP=10.0.0.7" },
      {
        ...config,
        mode: "",
        num_queues: 4,
        require_mtu_file: true,
        device_type: "netkit",
        policy_setup_timeout_seconds: 3,
        ipam: { routes: [{ dst: "10.0.0.0/8" }] },
        prevResult: { interfaces: [{ name: "lo" }] },
      },
    ),
  );
  assert.equal(parsed.queues, 4);
  assert.equal(parsed.requireMtuFile, true);
  assert.equal(parsed.policySetupTimeoutMs, 3_000);
  assert.deepEqual(parsed.routes, ["10.0.0.0/8"]);
  assert.deepEqual(parsed.annotations.addresses, ["10.0.0.7"]);
  assert.deepEqual(previous?.interfaces, [{ name: "lo" }]);
});

test("parseCall() leaves the pod the default route beside others where it is asked to", () => {
  const ipam = { routes: [{ dst: "10.0.0.0/8" }] };
  const parsed = parseAdd(call({}, { ...config, ipam, include_default_routes: true }));
  assert.equal(parsed.config.routes, undefined);
});

test("parseCall() of a DEL asks no more of the configuration than the network's name", () => {
  const parsed = parseCall(call({ CNI_COMMAND: "DEL" }, { ...config, mtu: "big", mode: "vxlan" }));
  assert.equal(parsed.command, "DEL");
  assert.deepEqual(parsed.config, { cniVersion: "1.0.0", name: "k8s-pod-network" });
});

test("parseCall() of GC and STATUS needs no container", () => {
  const attachments = [{ containerID: "a", ifname: "eth0" }];
  const of = (command: string) =>
    parseCall({
      variables: { CNI_COMMAND: command, CNI_PATH: "/opt/cni/bin" },
      stdin: JSON.stringify({
        ...config,
        cniVersion: "1.1.0",
        "cni.dev/valid-attachments": attachments,
      }),
    });
  const collect = of("GC");
  assert.ok(collect.command === "GC");
  assert.deepEqual(collect.valid, [{ containerId: "a", ifName: "eth0" }]);
  assert.equal(of("STATUS").command, "STATUS");
});

test("encodeCall() and decodeCall() are inverse", () => {
  const original = call({ CNI_PATH: "/opt/cni/bin" });
  assert.deepEqual(decodeCall(encodeCall(original)), original);
});

test("decodeCall() refuses bytes that are no request", () => {
  for (const bytes of [
    "",
    "GET / HTTP/1.1\r\n",
    "TORTIE-CNI/1\nCNI_COMMAND=ADD",
    "TORTIE-CNI/1\nLD_PRELOAD=x\0\0",
  ]) {
    assert.throws(() => decodeCall(Buffer.from(bytes)), CniError);
  }
});

test("encodeCall() refuses a variable that is too long instead of cutting it", () => {
  assert.throws(() => encodeCall(call({ CNI_ARGS: "x".repeat(70_000) })), /over-long/);
  assert.throws(() => encodeCall(call({}, " ".repeat(1 << 20))), /more than 1 MiB/);
});
