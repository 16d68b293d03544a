import { defaultReflectorPort as reflectorPort } from "../../src/bgp/reflector/reflector-environment.ts";
import { namespace } from "./rbac.ts";

/** The image, as `deploy/image/build.sh` names it. */
export const image = "localhost/tortie:0.1.0";

const critical = [
  { key: "CriticalAddonsOnly", operator: "Exists" },
  { effect: "NoSchedule", operator: "Exists" },
  { effect: "NoExecute", operator: "Exists" },
];

const configMapName = "calico-config";

export const configMap: object = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: configMapName, namespace },
  data: {
    // "bird": BGP; "vxlan": no BGP; "none": no BGP and no routes between nodes.
    calico_backend: "bird",
    // 0: found from the host's interfaces and the pools.
    veth_mtu: "0",
  },
};

const fromConfig = (key: string) => ({
  valueFrom: { configMapKeyRef: { name: configMapName, key } },
});
const fromField = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } });

/** Optional: where the API server is before kube-proxy works, as for Calico (facts 7.5). */
const endpointConfig = {
  envFrom: [{ configMapRef: { name: "kubernetes-services-endpoint", optional: true } }],
};

const host = (name: string, path: string, type: string) => ({ name, hostPath: { path, type } });

/** The words of a container's environment that stand in the manifest itself. */
export interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: object;
}

export const nodeEnvironment: readonly EnvVar[] = [
  { name: "DATASTORE_TYPE", value: "kubernetes" },
  { name: "WAIT_FOR_DATASTORE", value: "true" },
  { name: "NODENAME", ...fromField("spec.nodeName") },
  { name: "CALICO_NETWORKING_BACKEND", ...fromConfig("calico_backend") },
  { name: "CLUSTER_TYPE", value: "k8s,bgp" },
  { name: "IP", value: "autodetect" },
  { name: "IP_AUTODETECTION_METHOD", value: "kubernetes-internal-ip" },
  { name: "CALICO_IPV4POOL_VXLAN", value: "CrossSubnet" },
  { name: "CALICO_IPV4POOL_IPIP", value: "Never" },
  { name: "CALICO_IPV6POOL_CIDR", value: "none" },
  { name: "FELIX_IPV6SUPPORT", value: "false" },
  { name: "FELIX_DEFAULTENDPOINTTOHOSTACTION", value: "ACCEPT" },
  { name: "FELIX_HEALTHENABLED", value: "true" },
];

const onLoopback = (path: string, port: number) => ({
  httpGet: { host: "127.0.0.1", path, port },
  periodSeconds: 10,
  timeoutSeconds: 10,
});

const calicoNodePod = {
  hostNetwork: true,
  priorityClassName: "system-node-critical",
  serviceAccountName: "calico-node",
  // Pods of a host network resolve names as the host does.
  dnsPolicy: "Default",
  terminationGracePeriodSeconds: 10,
  nodeSelector: { "kubernetes.io/os": "linux" },
  tolerations: critical,
  initContainers: [
    {
      name: "install-cni",
      image,
      imagePullPolicy: "IfNotPresent",
      command: ["tortie", "install-cni"],
      ...endpointConfig,
      env: [
        { name: "CNI_CONF_NAME", value: "10-calico.conflist" },
        { name: "CNI_MTU", ...fromConfig("veth_mtu") },
        { name: "KUBERNETES_NODE_NAME", ...fromField("spec.nodeName") },
      ],
      // It writes files that belong to root.
      securityContext: { runAsUser: 0, allowPrivilegeEscalation: false },
      volumeMounts: [
        { name: "cni-bin-dir", mountPath: "/host/opt/cni/bin" },
        { name: "cni-net-dir", mountPath: "/host/etc/cni/net.d" },
      ],
    },
  ],
  containers: [
    {
      name: "calico-node",
      image,
      imagePullPolicy: "IfNotPresent",
      command: ["tortie", "node"],
      ...endpointConfig,
      env: nodeEnvironment,
      // Privileged: it writes /proc/sys, enters the network namespaces of pods and loads kernel modules.
      securityContext: { privileged: true },
      resources: { requests: { cpu: "250m", memory: "200Mi" } },
      lifecycle: { preStop: { exec: { command: ["tortie", "node", "shutdown"] } } },
      livenessProbe: {
        ...onLoopback("/liveness", 9099),
        initialDelaySeconds: 10,
        failureThreshold: 6,
      },
      readinessProbe: onLoopback("/readiness", 9099),
      volumeMounts: [
        { name: "lib-modules", mountPath: "/lib/modules", readOnly: true },
        { name: "xtables-lock", mountPath: "/run/xtables.lock" },
        { name: "var-run-calico", mountPath: "/var/run/calico" },
        { name: "var-lib-calico", mountPath: "/var/lib/calico" },
        { name: "bgp-passwords", mountPath: "/etc/tortie/secrets/bgp-passwords", readOnly: true },
      ],
    },
  ],
  volumes: [
    host("lib-modules", "/lib/modules", "Directory"),
    host("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
    host("var-run-calico", "/var/run/calico", "DirectoryOrCreate"),
    host("var-lib-calico", "/var/lib/calico", "DirectoryOrCreate"),
    host("cni-bin-dir", "/opt/cni/bin", "DirectoryOrCreate"),
    host("cni-net-dir", "/etc/cni/net.d", "DirectoryOrCreate"),
    {
      name: "bgp-passwords",
      secret: { secretName: "bgp-passwords", optional: true, defaultMode: 0o400 },
    },
  ],
};

export const calicoNodeDaemonSet: object = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: "calico-node", namespace, labels: { "k8s-app": "calico-node" } },
  spec: {
    selector: { matchLabels: { "k8s-app": "calico-node" } },
    updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1 } },
    template: {
      metadata: { labels: { "k8s-app": "calico-node" } },
      spec: calicoNodePod,
    },
  },
};

/** Without any right of root; it writes nowhere but below `/status`. */
const unprivileged = {
  runAsNonRoot: true,
  runAsUser: 65532,
  runAsGroup: 65532,
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

const controllersProbe = (question: "live" | "ready") => ({
  exec: { command: ["tortie", "controllers", "status", `--${question}`] },
  periodSeconds: 10,
  timeoutSeconds: 10,
});

export const kubeControllersDeployment: object = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: {
    name: "calico-kube-controllers",
    namespace,
    labels: { "k8s-app": "calico-kube-controllers" },
  },
  spec: {
    replicas: 1,
    selector: { matchLabels: { "k8s-app": "calico-kube-controllers" } },
    strategy: { type: "Recreate" },
    template: {
      metadata: { labels: { "k8s-app": "calico-kube-controllers" } },
      spec: {
        priorityClassName: "system-cluster-critical",
        serviceAccountName: "calico-kube-controllers",
        nodeSelector: { "kubernetes.io/os": "linux" },
        tolerations: [
          { key: "CriticalAddonsOnly", operator: "Exists" },
          { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" },
        ],
        containers: [
          {
            name: "calico-kube-controllers",
            image,
            imagePullPolicy: "IfNotPresent",
            command: ["tortie", "controllers"],
            ...endpointConfig,
            env: [{ name: "DATASTORE_TYPE", value: "kubernetes" }],
            securityContext: unprivileged,
            resources: { requests: { cpu: "50m", memory: "128Mi" } },
            livenessProbe: {
              ...controllersProbe("live"),
              initialDelaySeconds: 10,
              failureThreshold: 6,
            },
            readinessProbe: controllersProbe("ready"),
            volumeMounts: [{ name: "status", mountPath: "/status" }],
          },
        ],
        volumes: [{ name: "status", emptyDir: { medium: "Memory", sizeLimit: "1Mi" } }],
      },
    },
  },
};

const reflectorHealthPort = 9179;

export const routeReflectorDeployment: object = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "route-reflector", namespace, labels: { "k8s-app": "route-reflector" } },
  spec: {
    replicas: 2,
    selector: { matchLabels: { "k8s-app": "route-reflector" } },
    // Two cannot share a host's port: an old one goes before a new one comes.
    strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
    template: {
      metadata: { labels: { "k8s-app": "route-reflector" } },
      spec: {
        hostNetwork: true,
        dnsPolicy: "Default",
        priorityClassName: "system-cluster-critical",
        serviceAccountName: "route-reflector",
        terminationGracePeriodSeconds: 30,
        nodeSelector: { "kubernetes.io/os": "linux" },
        tolerations: [
          { key: "CriticalAddonsOnly", operator: "Exists" },
          { key: "node-role.kubernetes.io/control-plane", effect: "NoSchedule" },
        ],
        affinity: {
          podAntiAffinity: {
            requiredDuringSchedulingIgnoredDuringExecution: [
              {
                labelSelector: { matchLabels: { "k8s-app": "route-reflector" } },
                topologyKey: "kubernetes.io/hostname",
              },
            ],
          },
        },
        containers: [
          {
            name: "route-reflector",
            image,
            imagePullPolicy: "IfNotPresent",
            command: ["tortie", "bgp", "--reflector"],
            ...endpointConfig,
            env: [
              { name: "DATASTORE_TYPE", value: "kubernetes" },
              { name: "POD_NAME", ...fromField("metadata.name") },
              { name: "NODE_IPS", ...fromField("status.hostIPs") },
              { name: "TORTIE_REFLECTOR_PORT", value: String(reflectorPort) },
              { name: "TORTIE_REFLECTOR_CLUSTER_ID", value: "244.0.0.1" },
              { name: "TORTIE_REFLECTOR_HEALTH", value: `127.0.0.1:${reflectorHealthPort}` },
              { name: "TORTIE_RUN_DIR", value: "/run/tortie" },
            ],
            ports: [{ name: "bgp", containerPort: reflectorPort, protocol: "TCP" }],
            securityContext: unprivileged,
            resources: { requests: { cpu: "100m", memory: "128Mi" } },
            livenessProbe: {
              ...onLoopback("/liveness", reflectorHealthPort),
              initialDelaySeconds: 10,
              failureThreshold: 6,
            },
            readinessProbe: onLoopback("/readiness", reflectorHealthPort),
            volumeMounts: [{ name: "run", mountPath: "/run/tortie" }],
          },
        ],
        volumes: [{ name: "run", emptyDir: { medium: "Memory", sizeLimit: "8Mi" } }],
      },
    },
  },
};
