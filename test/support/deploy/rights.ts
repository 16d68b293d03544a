import { leaseNamespace } from "../../../src/api/leases.ts";
import type { KubeApiServer } from "../kube-apiserver.ts";
import type { AuditEvent } from "./audit-log.ts";

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

/** Rights of a service account of kube-system, each as in "watch pods" or "get leases.coordination.k8s.io in tortie-system". */
export async function grantedRights(server: KubeApiServer, account: string): Promise<Set<string>> {
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const rights = new Set<string>();
  const places = [
    { path: `${rbac}/clusterroles/${account}`, where: "" },
    {
      path: `${rbac}/namespaces/${leaseNamespace}/roles/${account}`,
      where: ` in ${leaseNamespace}`,
    },
  ];
  for (const { path, where } of places) {
    const { status, text } = await server.request("GET", path);
    if (status === 404) continue;
    for (const right of rightsOf((JSON.parse(text) as { readonly rules: readonly Rule[] }).rules)) {
      rights.add(`${right}${where}`);
    }
  }
  return rights;
}

function rightsOf(rules: readonly Rule[]): string[] {
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) => verbs.map((verb) => rightText(verb, group, resource))),
    ),
  );
}

/** The rights that a request used: of two that would do, both. */
export function usedRights(event: AuditEvent): string[] {
  const right = rightText(event.verb, event.group, event.resource);
  return event.namespace === leaseNamespace ? [right, `${right} in ${leaseNamespace}`] : [right];
}

function rightText(verb: string, group: string, resource: string): string {
  return `${verb} ${resource}${group === "" ? "" : `.${group}`}`;
}
