/** Calico's resources, for cases. `spec` is the inside of a YAML flow map. */

export function calico(kind: string, metadata: string, spec: string): string {
  return `
apiVersion: projectcalico.org/v3
kind: ${kind}
metadata: {${metadata}}
spec: {${spec}}
---`;
}

export function globalPolicy(spec: string, name = "p"): string {
  return calico("GlobalNetworkPolicy", `name: ${name}`, spec);
}

/** In "prod" unless given. */
export function policy(spec: string, name = "p", namespace = "prod"): string {
  return calico("NetworkPolicy", `name: ${name}, namespace: ${namespace}`, spec);
}

export function tier(name: string, spec: string): string {
  return calico("Tier", `name: ${name}`, spec);
}

/** A policy on what goes to the server, with these rules. */
export function toServer(rules: string): string {
  return policy(`selector: app == 'server', types: [Ingress], ingress: [${rules}]`);
}

/** A policy on what the client sends, with these rules. */
export function fromClient(rules: string): string {
  return policy(`selector: app == 'client', types: [Egress], egress: [${rules}]`);
}

/** Rules that allow what has these fields, each the inside of a flow map. */
export function allow(...fields: readonly string[]): string {
  return fields.map((field) => `{action: Allow, ${field}}`).join(", ");
}
