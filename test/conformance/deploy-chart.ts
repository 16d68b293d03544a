import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { defaultPools } from "../../src/node/default-pools.ts";
import { differences } from "../support/deploy/differences.ts";
import {
  applyObjects,
  environmentOf,
  type ManifestObject,
  manifestObjects,
  podTemplateOf,
  readManifest,
  withoutCrds,
} from "../support/deploy/manifest.ts";
import { type FoundProgram, outputOf, reasonToSkip } from "../support/go-program.ts";
import { findHelm } from "../support/helm/program.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";

/** The Helm chart beside deploy/tortie.yaml: both are made of the same objects. */

const chart = fileURLToPath(new URL("../../deploy/helm/tortie", import.meta.url));

/** Tests on a server to which nothing is written. */
export function chartCases(server: () => KubeApiServer): void {
  const helm = findHelm();
  describe("the Helm chart", { skip: reasonToSkip(helm) }, () => {
    rendering(helm, server);
    refusals(helm);
  });
}

/** Output of `helm template` with these values. @throws {Error} with what it says against them */
function rendered(helm: FoundProgram, values: object, ...more: readonly string[]): string {
  const args = ["template", "tortie", chart, "--kube-version=1.33.0", ...more, "-f", "-"];
  return outputOf(helm, args, stringify(values));
}

function rendering(helm: FoundProgram, server: () => KubeApiServer): void {
  it("is deploy/tortie.yaml, object by object, as long as nothing is set", () => {
    const objects = manifestObjects(rendered(helm, {}, "--include-crds"));
    assert.deepEqual(byName(objects), byName(readManifest("tortie.yaml")));
  });

  it("is all manifests where reflectors and KubeVirt are on", async () => {
    const values = { routeReflector: { enabled: true }, kubeVirt: { enabled: true } };
    const objects = manifestObjects(rendered(helm, values));
    const files = ["tortie.yaml", "route-reflector.yaml", "kubevirt.yaml"];
    assert.deepEqual(byName(objects), byName(withoutCrds(files.flatMap(readManifest))));
    await applyObjects(server(), objects, { dryRun: true });
  });

  it("takes the spec of an operator's Installation", async () => {
    const objects = manifestObjects(rendered(helm, { installation }));
    await applyObjects(server(), objects, { dryRun: true });
    const env = nodeEnvironment(objects);
    assert.deepEqual(
      defaultPools(env, {
        existing: [],
        hostAddresses: [],
        ipv6: true,
        globalId: new Uint8Array(5),
      }).map(({ metadata, spec }) => ({ name: metadata.name, ...spec })),
      installedPools,
    );
    assert.equal(env["IP_AUTODETECTION_METHOD"], "cidr=10.0.0.0/8,192.168.0.0/16");
    assert.deepEqual(
      [env["CLUSTER_TYPE"], env["FELIX_VXLANMTU"], env["IP6"]],
      [...["k8s", "1400", "autodetect"]],
    );
    const changed = differences(withoutCrds(readManifest("tortie.yaml")), objects);
    const config = "ConfigMap calico-config.data.";
    const pod = "DaemonSet calico-node.spec.template.spec.";
    assert.deepEqual(
      changed.filter(
        ([path]) =>
          !path.startsWith(`DaemonSet calico-node.spec.template.spec.containers[calico-node].env[`),
      ),
      [
        [`${config}calico_backend`, "bird", "vxlan"],
        [`${config}veth_mtu`, "0", "1400"],
        [
          `${pod}volumes[cni-bin-dir].hostPath.path`,
          "/opt/cni/bin",
          "/var/lib/rancher/k3s/data/cni",
        ],
      ],
    );
  });

  it("has the operator's defaults for a pool that says no more than its CIDR", () => {
    const ipPools = [{ cidr: "10.1.0.0/16" }];
    const values = { installation: { calicoNetwork: { ipPools } } };
    const env = nodeEnvironment(manifestObjects(rendered(helm, values)));
    const names = ["IPIP", "VXLAN", "CIDR"].map((name) => env[`CALICO_IPV4POOL_${name}`]);
    assert.deepEqual(names, ["Always", "Never", "10.1.0.0/16"]);
  });

  it("an environment that is given goes before all", () => {
    const numbers = { FELIX_IPTABLESMARKMASK: 0xffff0000, LARGE: 1_000_000, HALF: 1.5 };
    const texts = { IP: "none", FELIX_LOGSEVERITYSCREEN: "Debug", FELIX_HEALTHENABLED: false };
    const given = { ...texts, ...numbers };
    const env = nodeEnvironment(manifestObjects(rendered(helm, { node: { env: given } })));
    for (const [name, value] of Object.entries(given)) assert.equal(env[name], String(value));
  });
}

function refusals(helm: FoundProgram): void {
  for (const [what, values, message] of wrongValues) {
    it(`refuses ${what}, and says why`, () => {
      assert.throws(() => rendered(helm, values), message);
    });
  }
}

const installation = {
  variant: "Calico",
  cni: { type: "Calico", binDir: "/var/lib/rancher/k3s/data/cni" },
  calicoNetwork: {
    bgp: "Disabled",
    mtu: 1400,
    ipPools: [
      {
        name: "default-ipv4-ippool",
        cidr: "10.244.0.0/16",
        encapsulation: "VXLANCrossSubnet",
        natOutgoing: "Disabled",
        blockSize: 24,
        nodeSelector: "has(rack)",
      },
      { cidr: "fd00:1::/64", natOutgoing: "Enabled", disableBGPExport: true },
    ],
    nodeAddressAutodetectionV4: { cidrs: ["10.0.0.0/8", "192.168.0.0/16"] },
  },
};
const uses = { allowedUses: ["Workload", "Tunnel"] };
const installedPools = [
  {
    ...{ name: "default-ipv4-ippool", cidr: "10.244.0.0/16", blockSize: 24, ipipMode: "Never" },
    ...{ vxlanMode: "CrossSubnet", natOutgoing: false, nodeSelector: "has(rack)" },
    ...{ disableBGPExport: false, ...uses },
  },
  {
    ...{ name: "default-ipv6-ippool", cidr: "fd00:1::/64", blockSize: 122, ipipMode: "Never" },
    ...{ vxlanMode: "Never", natOutgoing: true, nodeSelector: "all()" },
    ...{ disableBGPExport: true, ...uses },
  },
];

const network = (calicoNetwork: object) => ({ installation: { calicoNetwork } });
const wrongValues: readonly (readonly [what: string, values: object, message: RegExp])[] = [
  ["a field that nobody knows", { instalation: {} }, /additional properties 'instalation'/],
  [
    "what tortie cannot do",
    network({ linuxDataplane: "BPF" }),
    /calicoNetwork\/linuxDataplane': value must be 'Iptables'/,
  ],
  [
    "an encapsulation that there is not",
    network({ ipPools: [{ cidr: "10.0.0.0/8", encapsulation: "GRE" }] }),
    /ipPools\/0\/encapsulation': value must be one of 'IPIP'/,
  ],
  ["a pool without a CIDR", network({ ipPools: [{}] }), /ipPools\/0': missing property 'cidr'/],
  [
    "two pools of a family",
    network({ ipPools: [{ cidr: "10.0.0.0/16" }, { cidr: "10.1.0.0/16" }] }),
    /ipPools\[1\]\.cidr "10\.1\.0\.0\/16": there is a pool of IPv4 already/,
  ],
  [
    "IPIP without BGP",
    network({ bgp: "Disabled", ipPools: [{ cidr: "10.0.0.0/16" }] }),
    /ipPools\[0\]\.encapsulation "IPIP": it needs .*bgp Enabled/,
  ],
  [
    "IPIP for IPv6",
    network({ ipPools: [{ cidr: "fd00::/64", encapsulation: "IPIP" }] }),
    /"IPIP": IPv6 has VXLAN/,
  ],
  ["an MTU of nothing", network({ mtu: 10 }), /calicoNetwork\/mtu/],
  ["what is taken away", network({ bgp: null }), /calicoNetwork': missing property 'bgp'/],
  ["an image without a name", { image: { repository: null } }, /missing property 'repository'/],
  [
    "a node's name for all nodes",
    { node: { env: { NODENAME: "a" } } },
    /invalid propertyName 'NODENAME'/,
  ],
];

function byName(objects: readonly ManifestObject[]): Record<string, ManifestObject> {
  const named = objects.map(
    (object) => [`${object.kind} ${object.metadata.name}`, object] as const,
  );
  assert.equal(new Set(named.map(([name]) => name)).size, named.length);
  return Object.fromEntries(named);
}

function nodeEnvironment(objects: readonly ManifestObject[]): Record<string, string> {
  const daemonSet = objects.find(({ kind }) => kind === "DaemonSet") as ManifestObject;
  const [container] = podTemplateOf(daemonSet).spec.containers;
  return environmentOf(container ?? { name: "" }, objects, { "spec.nodeName": "node1" });
}
