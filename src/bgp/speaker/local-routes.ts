import type { IpFamily } from "../../lib/ip-addr.ts";
import { type Prefix, parsePrefix, prefixFamily } from "../../lib/prefix.ts";
import type { OriginatedRoute, SpeakerConfig } from "../config/speaker-config.ts";
import { defaultLocalPref } from "../policy/import-policy.ts";
import type { PeerPolicy } from "../policy/peer-policy.ts";
import { addCommunities } from "../policy/route-operations.ts";
import type { LocalRoute } from "../rib/family-rib.ts";
import type { PathAttributes } from "../wire/message.ts";

/** Attributes of our own routes: what a peer is told besides is export policy's. */
export const localAttributes: PathAttributes = { origin: 0, asPath: [] };

export const defaultRoute: Readonly<Record<IpFamily, Prefix>> = {
  4: parsePrefix("0.0.0.0/0"),
  6: parsePrefix("::/0"),
};

/**
 * What a configuration originates. A default route that only some peers are told of
 * (`defaultOriginate`) is among them, so that its prefix is known: see `isDefaultForPeersOnly`.
 */
export function localRoutes(
  config: SpeakerConfig,
  family: IpFamily,
): ReadonlyMap<Prefix, LocalRoute> {
  const plain = { attributes: localAttributes, nextHop: undefined };
  const own = (prefix: Prefix) => prefixFamily(prefix) === family;
  const routes = new Map<Prefix, LocalRoute>();
  if (policies(config).some((policy) => originatesDefault(policy, family))) {
    routes.set(defaultRoute[family], plain);
  }
  for (const prefix of config.originated.filter(own)) routes.set(prefix, plain);
  for (const route of config.originatedRoutes ?? []) {
    if (own(route.prefix)) routes.set(route.prefix, localRoute(route));
  }
  return routes;
}

/** True when the default route of a family is told to peers but is no route of this speaker. */
export function isDefaultForPeersOnly(config: SpeakerConfig, family: IpFamily): boolean {
  const prefix = defaultRoute[family];
  const { originated, originatedRoutes = [] } = config;
  return !originated.includes(prefix) && !originatedRoutes.some((route) => route.prefix === prefix);
}

export function originatesDefault({ defaultOriginate }: PeerPolicy, family: IpFamily): boolean {
  return defaultOriginate?.includes(family) === true;
}

function policies({ peers, dynamicPeers = [] }: SpeakerConfig): readonly PeerPolicy[] {
  return [...peers, ...dynamicPeers].map(({ policy }) => policy);
}

function localRoute({ nextHop, communities, med, localPref }: OriginatedRoute): LocalRoute {
  const attributes = {
    ...localAttributes,
    localPref: localPref ?? defaultLocalPref,
    ...(med === undefined ? {} : { med }),
  };
  return {
    attributes: addCommunities(attributes, communities),
    nextHop: nextHop === "self" ? undefined : nextHop,
  };
}
