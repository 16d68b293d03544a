import { InputError } from "../../lib/errors.ts";
import { type IpAddr, ipFamily, isIpAddr, parseIpAddr } from "../../lib/ip-addr.ts";
import { dottedId } from "../config/bgp-nodes.ts";
import type { ReflectorIdentity } from "../config/reflector.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Where the probes of a reflector are answered. */
export interface ReflectorHealth {
  readonly host: string;
  readonly port: number;
}

export const defaultReflectorPort = 1790;
const defaultClusterId = "244.0.0.1";

/**
 * POD_NAME, NODE_IPS (of the host, separated by commas), TORTIE_REFLECTOR_PORT and
 * TORTIE_REFLECTOR_CLUSTER_ID.
 *
 * @throws {InputError} that names the variable and its value.
 */
export function reflectorIdentity(env: Env): ReflectorIdentity {
  const name = env["POD_NAME"]?.trim() ?? "";
  if (!/^[a-z0-9]([-a-z0-9]{0,54}[a-z0-9])?$/.test(name)) {
    throw new InputError(
      `Cannot use POD_NAME "${name}": it must be at most 56 letters a-z, digits and "-"`,
    );
  }
  const portText = env["TORTIE_REFLECTOR_PORT"]?.trim() || String(defaultReflectorPort);
  const clusterText = env["TORTIE_REFLECTOR_CLUSTER_ID"]?.trim() || defaultClusterId;
  return {
    name,
    addresses: addressesOf(env["NODE_IPS"] ?? ""),
    port: portOf(portText, `TORTIE_REFLECTOR_PORT "${portText}"`),
    clusterId: clusterIdOf(clusterText),
  };
}

/**
 * TORTIE_REFLECTOR_HEALTH, as in "127.0.0.1:9179". Absent: nobody is answered.
 *
 * @throws {InputError}
 */
export function reflectorHealth(env: Env): ReflectorHealth | undefined {
  const text = env["TORTIE_REFLECTOR_HEALTH"]?.trim() ?? "";
  if (text === "") return undefined;
  const what = `TORTIE_REFLECTOR_HEALTH "${text}"`;
  const [, host = "", port = ""] = /^(?:\[?([^\]]+)\]?):(\d{1,5})$/.exec(text) ?? [];
  if (isIpAddr(host)) return { host, port: portOf(port, what) };
  throw new InputError(`Cannot use ${what}: it must be as in 127.0.0.1:9179`);
}

/** The first of each family. */
function addressesOf(text: string): IpAddr[] {
  const texts = text.split(",").map((each) => each.trim());
  if (!texts.every(isIpAddr)) {
    throw new InputError(`Cannot use NODE_IPS "${text}": it must be addresses of this host`);
  }
  const addresses = texts.map(parseIpAddr);
  const families = addresses.map(ipFamily);
  return addresses.filter((_, index) => families.indexOf(families[index] ?? 4) === index);
}

function portOf(text: string, what: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new InputError(`Cannot use ${what}: its port must be 1 to 65535`);
}

function clusterIdOf(text: string): number {
  try {
    return dottedId(text);
  } catch (cause) {
    throw new InputError(
      `Cannot use TORTIE_REFLECTOR_CLUSTER_ID "${text}": it must be as in 244.0.0.1`,
      { cause },
    );
  }
}
