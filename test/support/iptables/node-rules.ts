import assert from "node:assert/strict";
import { keyOf } from "../../../src/api/resource-key.ts";
import type { AnyResource } from "../../../src/api/resource-of-kind.ts";
import { CalcGraph } from "../../../src/felix/calc/calc-graph.ts";
import { felixConfig } from "../../../src/felix/config.ts";
import { EndpointManager } from "../../../src/felix/dataplane/endpoint-manager.ts";
import { HostEndpointManager } from "../../../src/felix/dataplane/host-endpoint-manager.ts";
import { KernelLinks } from "../../../src/felix/dataplane/kernel-links.ts";
import { PolicyManager } from "../../../src/felix/dataplane/policy-manager.ts";
import { allChains } from "../../../src/felix/dataplane/rule-set.ts";
import { RuleTables } from "../../../src/felix/dataplane/rule-tables.ts";
import { setName } from "../../../src/felix/rules/names.ts";
import type { ExecHelper } from "../../../src/kernel/exec-helper.ts";
import { kernelMembers } from "../../../src/kernel/ipset/ip-set.ts";
import type { IptablesBackend } from "../../../src/kernel/iptables/backend.ts";
import type { Kernel } from "../../../src/kernel/kernel.ts";
import { systemClock } from "../../../src/lib/clock.ts";
import type { IpFamily } from "../../../src/lib/ip-addr.ts";
import { RuleInterpreter } from "./interpreter.ts";

const backend: IptablesBackend = {
  kind: "nft",
  variant: "-nft",
  version: "1.8.9",
  features: { randomFully: true, restoreWait: true },
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

export async function nodeTexts(
  nodeName: string,
  resources: readonly AnyResource[],
  family: IpFamily,
): Promise<NodeText> {
  const spec = resources.find(({ kind }) => kind === "FelixConfiguration")?.spec ?? {};
  const config = felixConfig({ global: spec as Readonly<Record<string, unknown>>, env: {} });
  const links = new KernelLinks({} as Kernel["links"], systemClock);
  const parts = {
    endpoints: new EndpointManager(config, links),
    hosts: new HostEndpointManager(),
    policies: new PolicyManager(),
    natOutgoing: false,
  };
  const updates = updatesOf(nodeName, resources);
  for (const update of updates) {
    parts.endpoints.onUpdate(update);
    parts.hosts.onUpdate(update);
    parts.policies.onUpdate(update);
  }
  parts.hosts.resolve(new Map());
  const texts: string[] = [];
  const tables = new RuleTables({ family, backend, insertMode: "insert" }, { exec: exec(texts) });
  const chains = allChains(parts, { rules: config.rules, family }, refused);
  tables.setAll(chains, config.rules, refused);
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
  return { texts, sets: new Map(sets) };
}

function refused(what: string, error: Error): never {
  assert.fail(`refused ${what}: ${error.message}`);
}

function updatesOf(nodeName: string, resources: readonly AnyResource[]) {
  const graph = new CalcGraph({
    nodeName,
    onInvalid: (key, error) => assert.fail(`${key.kind} ${key.name}: ${error}`),
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
