import { calico, globalPolicy, policy, tier, toServer } from "./calico-manifests.ts";
import type { PolicyCase } from "./policy-case.ts";

/** Tiers, order, types and actions (facts 2.5, 4.2, 4.6, appendix D 21 to 24). */

const server = "selector: app == 'server'";
const ingress = "types: [Ingress]";
const allow80 = "{action: Allow, protocol: TCP, destination: {ports: [80]}}";
const deny80 = "{action: Deny, protocol: TCP, destination: {ports: [80]}}";
const allowEgress = "egress: [{action: Allow}]";

export const tierCases: readonly PolicyCase[] = [
  {
    says: "A tier of lower order is asked first",
    manifests:
      tier("late", "order: 200") +
      tier("early", "order: 100") +
      globalPolicy(`tier: late, ${server}, ${ingress}, ingress: [{action: Deny}]`, "late.p") +
      globalPolicy(
        `tier: early, ${server}, ${ingress}, ingress: [${allow80}, {action: Pass}]`,
        "early.p",
      ),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "A tier without order comes after all that have one, the default tier too",
    manifests:
      tier("last", "defaultAction: Deny") +
      globalPolicy(`tier: last, ${server}, ${ingress}, ingress: [{action: Allow}]`, "last.p") +
      policy(
        `${server}, ${ingress}, ingress: [{action: Deny, protocol: TCP, destination: {ports: [80]}}, {action: Pass}]`,
      ),
    passes: ["client -> server tcp/81"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "What no rule of a tier matches is dropped at its end",
    manifests:
      tier("platform", "order: 10") +
      globalPolicy(`tier: platform, ${server}, ${ingress}, ingress: [${allow80}]`, "platform.p"),
    passes: ["client -> server tcp/80", "client -> other tcp/81"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "defaultAction Pass: what no rule of the tier matches goes on to the next",
    manifests:
      tier("platform", "order: 10, defaultAction: Pass") +
      globalPolicy(`tier: platform, ${server}, ${ingress}, ingress: [${deny80}]`, "platform.p"),
    passes: ["client -> server tcp/81", "client -> server udp/53"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "Pass: the rest of the tier is left out, the next tier decides",
    manifests:
      tier("platform", "order: 10") +
      globalPolicy(
        `tier: platform, order: 1, ${server}, ${ingress}, ingress: [{action: Pass, source: {selector: app == 'client'}}]`,
        "platform.a",
      ) +
      globalPolicy(
        `tier: platform, order: 2, ${server}, ${ingress}, ingress: [{action: Deny}]`,
        "platform.b",
      ) +
      toServer(allow80),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81", "other -> server tcp/80"],
  },
  {
    says: "Pass in the last tier: the profiles decide",
    manifests: toServer("{action: Pass, source: {selector: app == 'client'}}"),
    passes: ["client -> server tcp/80"],
    drops: ["other -> server tcp/80"],
  },
  {
    says: "Policies of a tier that is missing are enforced, and end in a drop",
    manifests:
      tier("gone", "order: 10, defaultAction: Pass") +
      globalPolicy(`tier: gone, ${server}, ${ingress}, ingress: [${allow80}]`, "gone.p"),
    changes: { "Tier/gone": null },
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "A policy of lower order is asked first",
    manifests:
      globalPolicy(`order: 20, ${server}, ${ingress}, ingress: [${allow80}]`, "a") +
      globalPolicy(`order: 10, ${server}, ${ingress}, ingress: [${deny80}, {action: Allow}]`, "b"),
    passes: ["client -> server tcp/81"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "A policy without order comes last; of one order, names decide",
    manifests:
      globalPolicy(`${server}, ${ingress}, ingress: [{action: Deny}]`, "a") +
      globalPolicy(`order: 5, ${server}, ${ingress}, ingress: [${deny80}]`, "b") +
      globalPolicy(
        `order: 5, ${server}, ${ingress}, ingress: [{action: Allow, protocol: TCP}]`,
        "c",
      ),
    passes: ["client -> server tcp/81"],
    drops: ["client -> server tcp/80", "client -> server udp/53"],
  },
  {
    says: "types: a policy of one direction ends no tier of the other",
    manifests: policy(`${server}, types: [Egress], egress: [{action: Deny}]`),
    passes: ["client -> server tcp/80"],
    drops: ["server -> client tcp/80"],
  },
  {
    says: "types absent: Egress alone when there are only egress rules",
    manifests: policy(`${server}, ${allowEgress}`),
    passes: ["client -> server tcp/80", "server -> client tcp/80"],
  },
  {
    says: "types absent: both when there are rules of both",
    manifests: policy(`${server}, ingress: [${allow80}], ${allowEgress}`),
    passes: ["client -> server tcp/80", "server -> client udp/53"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "types absent: Ingress when there are no rules",
    manifests: policy(server),
    passes: ["server -> client tcp/80"],
    drops: ["client -> server tcp/80"],
  },
  {
    says: "Log decides nothing: the next rule does",
    manifests: toServer(`{action: Log}, ${allow80}, {action: Log}`),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "Staged policies are not enforced, and do not end a tier",
    manifests:
      calico(
        "StagedGlobalNetworkPolicy",
        "name: s",
        `${server}, ${ingress}, ingress: [{action: Deny}]`,
      ) +
      calico(
        "StagedNetworkPolicy",
        "name: s, namespace: prod",
        `${server}, ${ingress}, ingress: [{action: Deny}]`,
      ) +
      calico(
        "StagedKubernetesNetworkPolicy",
        "name: s, namespace: prod",
        "podSelector: {}, policyTypes: [Ingress]",
      ),
    passes: ["client -> server tcp/80", "dev -> server udp/53"],
  },
  {
    says: "serviceAccountSelector: only endpoints of such accounts",
    manifests: policy(`serviceAccountSelector: team == 'blue', ${ingress}`),
    passes: ["client -> server tcp/80"],
    drops: ["server -> client tcp/80"],
  },
  {
    says: "namespaceSelector of a global policy: only endpoints of such namespaces",
    manifests: globalPolicy(`namespaceSelector: env == 'development', ${ingress}`),
    passes: ["dev -> client tcp/80"],
    drops: ["client -> dev tcp/80"],
  },
  {
    says: "performanceHints change nothing that is seen",
    manifests: policy(
      `${server}, ${ingress}, performanceHints: [AssumeNeededOnEveryNode], ingress: [${allow80}]`,
    ),
    passes: ["client -> server tcp/80"],
    drops: ["client -> server tcp/81"],
  },
  {
    says: "A missing profile is as one that denies",
    manifests: "",
    changes: { "Profile/kns.dev": null },
    passes: ["client -> server tcp/80"],
    drops: ["client -> dev tcp/80", "dev -> client tcp/80"],
  },
  {
    says: "Rules of a profile decide what no policy selects, and only that",
    manifests: toServer(allow80),
    changes: {
      "Profile/kns.prod": {
        ingress: [{ action: "Allow", protocol: "UDP" }],
        egress: [{ action: "Allow" }],
      },
    },
    passes: ["dev -> client udp/53", "dev -> server tcp/80"],
    drops: ["dev -> client tcp/80", "dev -> server udp/53"],
  },
];
