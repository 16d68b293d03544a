import { profileOfServiceAccount, profilesOfNamespace } from "../api/kubernetes/namespace.ts";
import { calicoApiVersion } from "../api/meta.ts";
import { vethName, wepName } from "../api/names.ts";
import type { AnyResource } from "../api/resource-of-kind.ts";
import type { Profile } from "../api/resources/policy.ts";
import type { EndpointPort, WorkloadEndpoint } from "../api/resources/workload-endpoint.ts";
import { InputError } from "../lib/errors.ts";
import { parseIpAddr } from "../lib/ip-addr.ts";
import { hostPrefix } from "../lib/prefix.ts";
import { policyCluster } from "./cluster.ts";
import { flowEnd, flowPacket, flowPort } from "./flow.ts";
import { PolicyModel } from "./model.ts";
import { accountLabel, namespaceLabel } from "./population.ts";
import { decisionText } from "./verdict.ts";

/** A file of expected verdicts (docs/policy.md). */
export interface TestFile {
  readonly endpoints: readonly TestEndpoint[];
  readonly tests: readonly PolicyTest[];
}

/** A pod that there is besides those of the cluster. */
export interface TestEndpoint {
  /** "shop/web". */
  readonly pod: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Absent: one that nobody has. */
  readonly address?: string;
  readonly node?: string;
  readonly serviceAccount?: string;
  readonly ports?: readonly EndpointPort[];
}

export interface PolicyTest {
  readonly name?: string;
  /** Each one of them. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly port: readonly string[];
  readonly expect: "allow" | "deny";
  /** Part of what must have decided: "NetworkPolicy shop/web". */
  readonly by?: string;
}

export interface TestResult {
  readonly test: string;
  readonly from: string;
  readonly to: string;
  readonly port: string;
  readonly ok: boolean;
  readonly expected: string;
  readonly got: string;
}

/**
 * The file's content, checked.
 *
 * @throws {InputError} that names the field.
 */
export function readTestFile(value: unknown): TestFile {
  const { endpoints, tests } = record(value, "", ["endpoints", "tests"]);
  return {
    endpoints: list(endpoints ?? [], "endpoints").map(readEndpoint),
    tests: list(tests, "tests").map(readTest),
  };
}

/** Every flow of every test, judged in the cluster of the resources and of the file's endpoints. */
export function runTests(file: TestFile, resources: readonly AnyResource[]): TestResult[] {
  const cluster = policyCluster([...resources, ...testResources(file.endpoints, resources)]);
  const model = new PolicyModel(cluster);
  return file.tests.flatMap((test, index) =>
    test.from.flatMap((from) =>
      test.to.flatMap((to) =>
        test.port.map((port) => {
          const packet = flowPacket(flowEnd(from, cluster), flowEnd(to, cluster), flowPort(port));
          const { allowed, decision } = model.judge(packet);
          const because = decisionText(decision);
          const verdict = allowed ? "allow" : "deny";
          return {
            test: test.name ?? `tests[${index}]`,
            from,
            to,
            port,
            ok: verdict === test.expect && because.includes(test.by ?? ""),
            expected: test.by === undefined ? test.expect : `${test.expect} by ${test.by}`,
            got: `${verdict} by ${because}`,
          };
        }),
      ),
    ),
  );
}

/** Pods of the file, and the profiles that their namespaces and accounts would have. */
function testResources(
  endpoints: readonly TestEndpoint[],
  resources: readonly AnyResource[],
): AnyResource[] {
  const there = new Set(
    resources.flatMap(({ kind, metadata }) => (kind === "Profile" ? [metadata.name] : [])),
  );
  const profiles = new Map<string, Profile>();
  const add = (profile: Profile) => {
    if (!there.has(profile.metadata.name)) profiles.set(profile.metadata.name, profile);
  };
  const made = endpoints.map((endpoint, index) => {
    const { namespace } = partsOf(endpoint.pod);
    for (const profile of profilesOfNamespace({ name: namespace })) add(profile);
    if (endpoint.serviceAccount !== undefined) {
      add(profileOfServiceAccount({ name: endpoint.serviceAccount, namespace }));
    }
    return workloadEndpoint(endpoint, index);
  });
  return [...profiles.values(), ...made];
}

function workloadEndpoint(endpoint: TestEndpoint, index: number): WorkloadEndpoint {
  const { namespace, name } = partsOf(endpoint.pod);
  const { node = "test", serviceAccount = "default", labels = {}, ports = [] } = endpoint;
  // Of the range for benchmarks (RFC 2544), which no cluster uses.
  const address = endpoint.address ?? `198.18.${Math.floor(index / 250)}.${(index % 250) + 1}`;
  return {
    apiVersion: calicoApiVersion,
    kind: "WorkloadEndpoint",
    metadata: {
      name: wepName({ node, orchestrator: "k8s", workload: name, endpoint: "eth0" }),
      namespace,
      labels: {
        ...labels,
        [namespaceLabel]: namespace,
        [accountLabel]: serviceAccount,
        "projectcalico.org/orchestrator": "k8s",
      },
    },
    spec: {
      orchestrator: "k8s",
      node,
      pod: name,
      endpoint: "eth0",
      ipNetworks: [hostPrefix(parseIpAddr(address))],
      interfaceName: vethName("cali", namespace, name),
      profiles: [`kns.${namespace}`, `ksa.${namespace}.${serviceAccount}`],
      ports,
    },
  };
}

function partsOf(pod: string): { readonly namespace: string; readonly name: string } {
  const [namespace = "", name = ""] = pod.split("/");
  return { namespace, name };
}

function readEndpoint(value: unknown, index: number): TestEndpoint {
  const path = `endpoints[${index}]`;
  const fields = ["pod", "labels", "address", "node", "serviceAccount", "ports"];
  const given = record(value, path, fields);
  const { pod } = given;
  if (typeof pod !== "string" || !/^[^/]+\/[^/]+$/.test(pod)) {
    throw new InputError(
      `Cannot accept ${path}.pod ${JSON.stringify(pod)}: it must be NAMESPACE/POD`,
    );
  }
  return given as unknown as TestEndpoint;
}

function readTest(value: unknown, index: number): PolicyTest {
  const path = `tests[${index}]`;
  const given = record(value, path, ["name", "from", "to", "port", "expect", "by"]);
  const { name, expect, by } = given;
  if (expect !== "allow" && expect !== "deny") {
    throw new InputError(
      `Cannot accept ${path}.expect ${JSON.stringify(expect)}: it must be allow or deny`,
    );
  }
  return {
    from: texts(given["from"], `${path}.from`),
    to: texts(given["to"], `${path}.to`),
    port: texts(given["port"] ?? "icmp", `${path}.port`),
    expect,
    ...(name === undefined ? {} : { name: String(name) }),
    ...(by === undefined ? {} : { by: String(by) }),
  };
}

function record(
  value: unknown,
  path: string,
  fields: readonly string[],
): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InputError(`Cannot accept ${path || "the file"}: it must have fields`);
  }
  const unknown = Object.keys(value).find((field) => !fields.includes(field));
  if (unknown === undefined) return value as Readonly<Record<string, unknown>>;
  throw new InputError(
    `Cannot accept ${path === "" ? "" : `${path}.`}${unknown}: it must be one of ${fields.join(", ")}`,
  );
}

function list(value: unknown, path: string): unknown[] {
  if (Array.isArray(value)) return value;
  throw new InputError(`Cannot accept ${path}: it must be a list`);
}

function texts(value: unknown, path: string): string[] {
  const items = Array.isArray(value) ? value : [value];
  if (items.length > 0 && items.every((item) => ["string", "number"].includes(typeof item))) {
    return items.map(String);
  }
  throw new InputError(`Cannot accept ${path}: it must be a text or a list of texts`);
}
