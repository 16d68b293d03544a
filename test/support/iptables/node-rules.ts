import assert from "node:assert/strict";
import { keyOf } from "../../../src/api/resource-key.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { CalcGraph } from "../../../src/felix/calc/calc-graph.ts";
import { serviceCidrs } from "../../../src/felix/calc/service-cidrs.ts";
import { felixConfig } from "../../../src/felix/config/felix-config.ts";
import { EndpointManager } from "../../../src/felix/dataplane/endpoint-manager.ts";
import { HostEndpointManager } from "../../../src/felix/dataplane/host-endpoint-manager.ts";
import { KernelLinks } from "../../../src/felix/dataplane/kernel-links.ts";
import { PolicyManager } from "../../../src/felix/dataplane/policy-manager.ts";
import { RuleSet } from "../../../src/felix/dataplane/rule-set.ts";
import { RuleTables } from "../../../src/felix/dataplane/rule-tables.ts";
import { setName, staticSets } from "../../../src/felix/rules/names.ts";
import type { ExecHelper } from "../../../src/kernel/exec-helper.ts";
import { kernelMembers } from "../../../src/kernel/ipset/ip-set.ts";
import type { IptablesBackend } from "../../../src/kernel/iptables/backend.ts";
import type { Kernel } from "../../../src/kernel/kernel.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import type { IpAddr, IpFamily } from "../../../src/lib/ip-addr.ts";
import { parseInterfaceAddress } from "../../../src/lib/prefix.ts";
import { RuleInterpreter } from "./interpreter.ts";

const backend: IptablesBackend = {
  kind: "nft",
  variant: "-nft",
  version: "1.8.9",
  features: { snatFullyRandom: true, masqFullyRandom: true, restoreWait: true },
};

/** What goes to iptables-restore, and the sets that it refers to, by kernel name. */
export interface NodeText {
  /** One string a transaction. */
  readonly texts: readonly string[];
  readonly sets: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * What felix writes on a node of this cluster into an empty kernel, as a kernel would carry it out.
 * `change` may falsify the text on its way.
 */
export async function nodeRules(
  nodeName: string,
  resources: readonly AnyResource[],
  family: IpFamily,
  change: (text: string) => string = (text) => text,
): Promise<RuleInterpreter> {
  const { texts, sets } = await nodeTexts(nodeName, resources, family);
  // NAT decides about addresses, not whether a packet may pass.
  const decisive = texts.filter((text) => !text.startsWith("*nat"));
  return new RuleInterpreter(decisive.map(change), sets);
}

/** `onRefused` is told of what felix leaves out; unless given, it may leave out nothing. */
export async function nodeTexts(
  nodeName: string,
  resources: readonly AnyResource[],
  family: IpFamily,
  onRefused: (what: string, error: unknown) => void = refused,
): Promise<NodeText> {
  const spec = resources.find(({ kind }) => kind === "FelixConfiguration")?.spec ?? {};
  const config = felixConfig({ global: spec as Readonly<Record<string, unknown>>, env: {} });
  const links = new KernelLinks({} as Kernel["links"], systemClock);
  const parts = {
    endpoints: new EndpointManager(config, links),
    hosts: new HostEndpointManager(),
    policies: new PolicyManager(),
    serviceCidrs: resources.flatMap((one) =>
      one.kind === "BGPConfiguration" ? serviceCidrs(one) : [],
    ),
    natOutgoing: resources.some(({ kind, spec }) => kind === "IPPool" && spec.natOutgoing === true),
  };
  const updates = updatesOf(nodeName, resources, onRefused);
  for (const update of updates) {
    parts.endpoints.onUpdate(update);
    parts.hosts.onUpdate(update);
    parts.policies.onUpdate(update);
  }
  parts.hosts.resolve(new Map([["eth0", addressesOf(nodeName, resources)]]));
  const texts: string[] = [];
  const { chainInsertMode: insertMode } = config;
  const tables = new RuleTables({ family, backend, insertMode }, { exec: exec(texts) });
  const chains = new RuleSet(family).chains(parts, config.rules, onRefused);
  tables.setAll(chains, config.rules, onRefused);
  await tables.apply();
  const sets = updates.flatMap((update) =>
    update.kind === "ipSet" && update.op === "set"
      ? [
          [
            setName(update.id, family),
            new Set(kernelMembers(update.value.members, family)),
          ] as const,
        ]
      : [],
  );
  const empty = Object.values(staticSets).map(
    (id) => [setName(id, family), new Set<string>()] as const,
  );
  return { texts, sets: new Map([...empty, ...sets]) };
}

/** Those that the node's resource tells are those of its one interface. */
function addressesOf(nodeName: string, resources: readonly AnyResource[]): Set<IpAddr> {
  const node = resources.find(
    ({ kind, metadata }) => kind === "Node" && metadata.name === nodeName,
  );
  const text = node?.kind === "Node" ? node.spec.bgp?.ipv4Address : undefined;
  return new Set(text === undefined ? [] : [parseInterfaceAddress(text).address]);
}

function refused(what: string, error: unknown): never {
  assert.fail(`refused ${what}: ${error}`);
}

function updatesOf(
  nodeName: string,
  resources: readonly AnyResource[],
  onRefused: (what: string, error: unknown) => void,
) {
  const graph = new CalcGraph({
    nodeName,
    onInvalid: (key, error) => onRefused(`${key.kind} ${key.name}`, error),
  });
  graph.setInSync();
  for (const resource of resources) graph.update(keyOf(resource), resource);
  return graph.flush();
}

/** iptables on an empty kernel: nothing to read, and what is written is kept. */
function exec(texts: string[]): ExecHelper {
  return {
    run: async (_program, _args, options) => {
      if (options?.stdin !== undefined) texts.push(String(options.stdin));
      return { code: 0, stdout: "", stderr: "" };
    },
  } as ExecHelper;
}
