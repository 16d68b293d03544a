import { type IpAddr, isIpAddr, parseIpAddr } from "../lib/ip-addr.ts";
import { CniError, cniCodes } from "./cni-error.ts";
import { configError, type Json, jsonObject, objectList } from "./config-fields.ts";
import {
  type NetworkConfig,
  type NetworkIdentity,
  networkConfig,
  networkIdentity,
} from "./network-config.ts";
import type { CniCall } from "./protocol.ts";
import { type PreviousResult, previousResult } from "./result.ts";
import { type CniCommand, commandSince, isSince } from "./versions.ts";

/** "calico-ipam" gives addresses alone, to another plugin that makes the interface. */
export type Plugin = "calico" | "calico-ipam";

/** One interface of one container: what a runtime means by an attachment. */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
}

/** Whose interface a call is about (CNI specification section 2). */
export interface PodCall extends Attachment {
  readonly plugin: Plugin;
  /** As the caller named it: only to be shown in the result, never opened. */
  readonly netnsPath: string;
  /** From K8S_POD_NAMESPACE and K8S_POD_NAME, when both are there. */
  readonly pod?: { readonly namespace: string; readonly name: string };
  readonly config: NetworkIdentity;
}

/** With everything checked. */
export interface AddCall extends PodCall {
  readonly command: "ADD" | "CHECK";
  readonly config: NetworkConfig;
  readonly previous?: PreviousResult;
}

/** Of its configuration only what names the network is read: nothing else may keep it from its end. */
export interface DeleteCall extends PodCall {
  readonly command: "DEL";
}

export interface CollectCall {
  readonly command: "GC";
  readonly plugin: Plugin;
  readonly config: NetworkIdentity;
  /** What the runtime still has: all else is garbage. */
  readonly valid: readonly Attachment[];
}

export interface StatusCall {
  readonly command: "STATUS";
  readonly plugin: Plugin;
  readonly config: NetworkConfig;
}

export type ParsedCall = AddCall | DeleteCall | CollectCall | StatusCall;

/**
 * Checks one call.
 *
 * @throws {CniError} that names the variable or field and its value.
 */
export function parseCall(call: CniCall): ParsedCall {
  const { variables } = call;
  const command = variables.CNI_COMMAND ?? "";
  if (!isCommand(command)) {
    const rule = `must be ${Object.keys(commandSince).join(", ")} or VERSION`;
    throw environmentError("CNI_COMMAND", variables.CNI_COMMAND, rule);
  }
  const plugin = variables.TORTIE_PLUGIN === "calico-ipam" ? "calico-ipam" : "calico";
  const pod = ["ADD", "CHECK", "DEL"].includes(command) ? podOf(call, plugin) : undefined;
  const config = jsonObject(call.stdin);
  const network = networkIdentity(config);
  if (!isSince(network.cniVersion, commandSince[command])) {
    throw new CniError(
      cniCodes.incompatibleVersion,
      `Cannot carry out ${command}: cniVersion "${network.cniVersion}" does not have it`,
      `it came with ${commandSince[command]}`,
    );
  }
  if (command === "GC")
    return { command, plugin, config: network, valid: validAttachments(config) };
  if (command === "DEL") return { command, ...(pod as PodOf), config: network };
  const whole = networkConfig(config);
  if (command === "STATUS") return { command, plugin, config: whole };
  const previous = previousResult(config, network.cniVersion);
  return {
    command,
    ...(pod as PodOf),
    config: withAddress(whole, (pod as PodOf).address),
    ...(previous === undefined ? {} : { previous }),
  };
}

function isCommand(text: string): text is CniCommand {
  return Object.hasOwn(commandSince, text);
}

type PodOf = Omit<PodCall, "config"> & { readonly address?: IpAddr };

function podOf({ variables }: CniCall, plugin: Plugin): PodOf {
  const containerId = variables.CNI_CONTAINERID ?? "";
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(containerId)) {
    throw environmentError(
      "CNI_CONTAINERID",
      containerId,
      "must start with a letter or digit, and hold letters, digits, '_', '.', '-' only",
    );
  }
  const ifName = variables.CNI_IFNAME ?? "";
  if (!/^[^\s/:]{1,15}$/.test(ifName) || ifName === "." || ifName === "..") {
    throw environmentError(
      "CNI_IFNAME",
      ifName,
      "must have 1 to 15 characters, none of them a space, '/' or ':'",
    );
  }
  const args = parseArgs(variables.CNI_ARGS ?? "");
  const namespace = args.get("K8S_POD_NAMESPACE");
  const name = args.get("K8S_POD_NAME");
  const address = addressOf(args.get("IP"));
  return {
    plugin,
    containerId,
    ifName,
    netnsPath: variables.CNI_NETNS ?? "",
    ...(namespace && name ? { pod: { namespace: dnsName(namespace), name: dnsName(name) } } : {}),
    ...(address === undefined ? {} : { address }),
  };
}

function environmentError(name: string, value: string | undefined, rule: string): CniError {
  const shown = value === undefined ? "nothing" : JSON.stringify(value);
  return new CniError(cniCodes.environment, `Cannot accept ${name}: it ${rule}`, `got ${shown}`);
}

function dnsName(text: string): string {
  if (/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/.test(text)) return text;
  throw environmentError("CNI_ARGS", text, "must name pod and namespace as DNS names");
}

/** "K=V;K=V": unknown keys are of no concern to us. */
function parseArgs(text: string): Map<string, string> {
  const args = new Map<string, string>();
  for (const pair of text.split(";")) {
    if (pair === "") continue;
    const at = pair.indexOf("=");
    if (at < 1) throw environmentError("CNI_ARGS", text, "must be K=V pairs parted by ';'");
    args.set(pair.slice(0, at), pair.slice(at + 1));
  }
  return args;
}

/** `IP` of CNI_ARGS: the address that is wanted, as a plugin or person asks calico-ipam for it. */
function addressOf(text: string | undefined): IpAddr | undefined {
  if (text === undefined || text === "") return undefined;
  if (isIpAddr(text)) return parseIpAddr(text);
  throw environmentError("CNI_ARGS", `IP=${text}`, "must have an address in IP");
}

function withAddress(config: NetworkConfig, address: IpAddr | undefined): NetworkConfig {
  if (address === undefined) return config;
  return { ...config, annotations: { ...config.annotations, addresses: [address] } };
}

/** Absent is not empty: that would make garbage of every pod. */
function validAttachments(config: Json): readonly Attachment[] {
  // libcni writes both names: an early release had the other one.
  const field = "cni.dev/valid-attachments";
  const value = config[field] ?? config["cni.dev/attachments"];
  if (!Array.isArray(value)) throw configError(field, value, "a list");
  return objectList(value, field).map((written) => {
    const { containerID, ifname } = written;
    if (typeof containerID === "string" && typeof ifname === "string") {
      return { containerId: containerID, ifName: ifname };
    }
    throw configError(field, written, 'of {"containerID", "ifname"}');
  });
}
