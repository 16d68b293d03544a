import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { type Difference, differences } from "../support/deploy/differences.ts";
import {
  applyObjects,
  etcdControllersRules,
  type ManifestObject,
  manifestObjects,
  readManifest,
  withoutCrds,
} from "../support/deploy/manifest.ts";
import { outputOf, reasonToSkip } from "../support/go-program.ts";
import type { KubeApiServer } from "../support/kube-apiserver.ts";
import { findKustomize } from "../support/kustomize/program.ts";

/** The kustomize overlays on deploy/tortie.yaml. */

const folder = fileURLToPath(new URL("../../deploy/overlays/", import.meta.url));
const node = "DaemonSet calico-node.spec.template.spec.containers[calico-node]";

/** Tests on a server to which nothing is written. */
export function overlayCases(server: () => KubeApiServer): void {
  const kustomize = findKustomize();
  describe("kustomize overlays", { skip: reasonToSkip(kustomize) }, () => {
    const base = readManifest("tortie.yaml");
    for (const [name, expected] of Object.entries(overlays)) {
      it(`${name} changes what its name says, and nothing else`, async () => {
        const objects = manifestObjects(outputOf(kustomize, ["build", `${folder}${name}`]));
        const found = differences(base, objects);
        assert.deepEqual(
          found.filter(([path]) => !path.startsWith(controllersRole)),
          expected,
        );
        if (name === "etcd") assert.deepEqual(rulesOf(objects), etcdControllersRules());
        else assert.equal(found.length, expected.length);
        await applyObjects(server(), withoutCrds(objects), { dryRun: true });
      });
    }
  });
}

const controllersRole = "ClusterRole calico-kube-controllers.";

function rulesOf(objects: readonly ManifestObject[]): unknown {
  const role = objects.find(
    ({ kind, metadata }) => controllersRole === `${kind} ${metadata.name}.`,
  );
  return role?.["rules"];
}

const env = (name: string, before: string | undefined, after: string | undefined): Difference[] => {
  const path = `${node}.env[${name}]`;
  const named: Difference = [`${path}.name`, before && name, after && name];
  const value: Difference = [`${path}.value`, before, after];
  return before === undefined || after === undefined ? [named, value] : [value];
};

/** What a container has more for etcd, and in which pod. */
function etcdDifferences(pod: string, container: string): Difference[] {
  const inside = `${pod}.containers[${container}]`;
  const added = (path: string, value: unknown): Difference => [path, undefined, value];
  const file = (name: string, value: string) => [
    added(`${inside}.env[${name}].name`, name),
    added(`${inside}.env[${name}].value`, `/calico-secrets/${value}`),
  ];
  const endpoints = `${inside}.env[ETCD_ENDPOINTS]`;
  const volume = `${pod}.volumes[etcd-certs]`;
  const mount = `${inside}.volumeMounts[etcd-certs]`;
  return [
    [`${inside}.env[DATASTORE_TYPE].value`, "kubernetes", "etcdv3"],
    ...file("ETCD_CA_CERT_FILE", "etcd-ca"),
    ...file("ETCD_CERT_FILE", "etcd-cert"),
    added(`${endpoints}.name`, "ETCD_ENDPOINTS"),
    added(`${endpoints}.valueFrom.configMapKeyRef.key`, "etcd_endpoints"),
    added(`${endpoints}.valueFrom.configMapKeyRef.name`, "calico-config"),
    ...file("ETCD_KEY_FILE", "etcd-key"),
    added(`${mount}.mountPath`, "/calico-secrets"),
    added(`${mount}.name`, "etcd-certs"),
    added(`${mount}.readOnly`, true),
    added(`${volume}.name`, "etcd-certs"),
    added(`${volume}.secret.defaultMode`, 0o440),
    added(`${volume}.secret.secretName`, "calico-etcd-secrets"),
  ];
}

const controllersPod = "Deployment calico-kube-controllers.spec.template.spec";
const overlays: Readonly<Record<string, readonly Difference[]>> = {
  etcd: sorted([
    ["ConfigMap calico-config.data.etcd_endpoints", undefined, "https://192.0.2.1:2379"],
    ...etcdDifferences("DaemonSet calico-node.spec.template.spec", "calico-node"),
    ...env("IP_AUTODETECTION_METHOD", "kubernetes-internal-ip", "first-found"),
    ...etcdDifferences(controllersPod, "calico-kube-controllers"),
    [`${controllersPod}.securityContext.fsGroup`, undefined, 65532],
  ]),
  "vxlan-only": sorted([
    ["ConfigMap calico-config.data.calico_backend", "bird", "vxlan"],
    ...env("CALICO_IPV4POOL_VXLAN", "CrossSubnet", "Always"),
    ...env("CLUSTER_TYPE", "k8s,bgp", "k8s"),
  ]),
  "dual-stack": sorted([
    ...env("CALICO_IPV6POOL_CIDR", "none", undefined),
    ...env("CALICO_IPV6POOL_NAT_OUTGOING", undefined, "true"),
    ...env("FELIX_IPV6SUPPORT", "false", "true"),
    ...env("IP6", undefined, "autodetect"),
    ...env("IP6_AUTODETECTION_METHOD", undefined, "kubernetes-internal-ip"),
  ]),
  wireguard: env("FELIX_WIREGUARDENABLED", undefined, "true"),
};

function sorted(all: readonly Difference[]): Difference[] {
  return all.toSorted(([one], [other]) => (one < other ? -1 : 1));
}
