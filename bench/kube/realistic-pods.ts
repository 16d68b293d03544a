import { createHash } from "node:crypto";

const namespaces = 50;
const nodes = 200;
/** Pods of one workload: they share what its template says. */
const replicas = 8;

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly [field: string]: unknown;
}

export interface RawPod {
  readonly metadata: Metadata;
  readonly [field: string]: unknown;
}

export function namespaceNames(): readonly string[] {
  return Array.from({ length: namespaces }, (_, index) => `team-${index}`);
}

/** The pod of a number: 8.6 kB of JSON, as a Deployment with a sidecar, probes and a service mesh makes it. */
export function realisticPod(index: number): RawPod {
  const workload = Math.floor(index / replicas);
  const app = `checkout-service-${workload}`;
  const hash = digest(`set ${workload}`).slice(0, 10);
  const address = `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  const metadata = {
    name: `${app}-${hash}-${digest(`pod ${index}`).slice(0, 5)}`,
    generateName: `${app}-${hash}-`,
    namespace: `team-${workload % namespaces}`,
    uid: uuid(`pod ${index}`),
    creationTimestamp: "2026-01-01T00:00:00Z",
    labels: labelsOf(app, hash),
    annotations: annotationsOf(index, address),
    ownerReferences: [
      {
        apiVersion: "apps/v1",
        kind: "ReplicaSet",
        name: `${app}-${hash}`,
        uid: uuid(`set ${workload}`),
        controller: true,
        blockOwnerDeletion: true,
      },
    ],
    managedFields: managedFields(),
  };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: specOf(app, index),
    status: statusOf(index, address),
  };
}

function labelsOf(app: string, hash: string): object {
  return {
    app,
    "app.kubernetes.io/name": app,
    "app.kubernetes.io/instance": `${app}-production`,
    "app.kubernetes.io/version": "4.17.2",
    "app.kubernetes.io/component": "backend",
    "app.kubernetes.io/part-of": "webshop",
    "app.kubernetes.io/managed-by": "Helm",
    "helm.sh/chart": `${app}-1.9.3`,
    "pod-template-hash": hash,
    "topology.kubernetes.io/zone": "eu-central-1a",
    team: "payments",
    tier: "backend",
  };
}

function annotationsOf(index: number, address: string): object {
  return {
    "cni.projectcalico.org/containerID": digest(`container ${index}`),
    "cni.projectcalico.org/podIP": `${address}/32`,
    "cni.projectcalico.org/podIPs": `${address}/32`,
    "prometheus.io/scrape": "true",
    "prometheus.io/port": "9090",
    "kubernetes.io/config.seen": "2026-01-01T00:00:00.123456789Z",
    "checksum/config": digest(`config ${index}`),
    "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z",
  };
}

function specOf(app: string, index: number): object {
  return {
    nodeName: `ip-10-1-${index % nodes}-17.eu-central-1.compute.internal`,
    serviceAccountName: app,
    serviceAccount: app,
    restartPolicy: "Always",
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    terminationGracePeriodSeconds: 30,
    enableServiceLinks: true,
    preemptionPolicy: "PreemptLowerPriority",
    priority: 0,
    securityContext: { runAsNonRoot: true, fsGroup: 2000 },
    containers: [container(app, 8080, 12), container("proxy", 15001, 10)],
    tolerations: ["not-ready", "unreachable"].map((what) => ({
      key: `node.kubernetes.io/${what}`,
      operator: "Exists",
      effect: "NoExecute",
      tolerationSeconds: 300,
    })),
    volumes: [
      { name: "config", configMap: { name: `${app}-config`, defaultMode: 420 } },
      { name: "tmp", emptyDir: {} },
    ],
  };
}

function container(name: string, port: number, variables: number): object {
  const probe = { httpGet: { path: "/healthz", port, scheme: "HTTP" }, timeoutSeconds: 1 };
  return {
    name,
    image: `registry.example.com/webshop/${name}:4.17.2`,
    imagePullPolicy: "IfNotPresent",
    ports: [{ name: `port-${port}`, containerPort: port, protocol: "TCP" }],
    env: Array.from({ length: variables }, (_, index) => ({
      name: `WEBSHOP_SETTING_${index}`,
      value: `https://setting-${index}.webshop.example.com/v1`,
    })),
    resources: {
      limits: { cpu: "1", memory: "512Mi" },
      requests: { cpu: "100m", memory: "256Mi" },
    },
    livenessProbe: { ...probe, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 },
    readinessProbe: { ...probe, periodSeconds: 5, successThreshold: 1, failureThreshold: 3 },
    volumeMounts: [
      { name: "config", mountPath: "/etc/webshop", readOnly: true },
      { name: "tmp", mountPath: "/tmp" },
    ],
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
  };
}

function statusOf(index: number, address: string): object {
  const at = "2026-01-01T00:00:07Z";
  return {
    phase: "Running",
    hostIP: `10.1.${index % nodes}.17`,
    hostIPs: [{ ip: `10.1.${index % nodes}.17` }],
    podIP: address,
    podIPs: [{ ip: address }],
    qosClass: "Burstable",
    startTime: "2026-01-01T00:00:00Z",
    conditions: [
      "PodReadyToStartContainers",
      "Initialized",
      "Ready",
      "ContainersReady",
      "PodScheduled",
    ].map((type) => ({ type, status: "True", lastProbeTime: null, lastTransitionTime: at })),
    containerStatuses: ["app", "proxy"].map((name) => ({
      name,
      containerID: `containerd://${digest(`${name} ${index}`)}`,
      image: `registry.example.com/webshop/${name}:4.17.2`,
      imageID: `registry.example.com/webshop/${name}@sha256:${digest(name)}`,
      ready: true,
      started: true,
      restartCount: 0,
      lastState: {},
      state: { running: { startedAt: at } },
    })),
  };
}

/** Who set which field, as the API server keeps it: the largest part of many pods. */
function managedFields(): readonly object[] {
  const variables = Array.from({ length: 12 }, (_, index) => [
    `k:{"name":"WEBSHOP_SETTING_${index}"}`,
    { ".": {}, "f:name": {}, "f:value": {} },
  ]);
  const labels = { ".": {}, "f:app": {}, "f:pod-template-hash": {}, "f:team": {}, "f:tier": {} };
  const time = "2026-01-01T00:00:00Z";
  const one = { apiVersion: "v1", fieldsType: "FieldsV1", operation: "Update", time };
  return [
    {
      ...one,
      manager: "kube-controller-manager",
      fieldsV1: {
        "f:metadata": { "f:labels": labels, "f:ownerReferences": { ".": {} } },
        "f:spec": { "f:containers": { "f:env": { ".": {}, ...Object.fromEntries(variables) } } },
      },
    },
    {
      ...one,
      manager: "kubelet",
      subresource: "status",
      fieldsV1: {
        "f:status": { "f:conditions": {}, "f:containerStatuses": {}, "f:podIP": {}, "f:phase": {} },
      },
    },
  ];
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function uuid(text: string): string {
  return digest(text).replace(/^(.{8})(.{4})(.{3})(.{3})(.{12}).*$/, "$1-$2-4$3-8$4-$5");
}
