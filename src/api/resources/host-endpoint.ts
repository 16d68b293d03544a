import type { Resource } from "../meta.ts";
import type { EndpointPort } from "./workload-endpoint.ts";

/** An interface of a node, or with "*" all of them (facts 2.5). */
export interface HostEndpointSpec {
  readonly node: string;
  readonly interfaceName?: string;
  readonly expectedIPs?: readonly string[];
  readonly profiles?: readonly string[];
  readonly ports?: readonly EndpointPort[];
}
export type HostEndpoint = Resource<"HostEndpoint", HostEndpointSpec>;
