import type { Attachment, Plugin } from "./call.ts";
import { CniError, cniCodes } from "./cni-error.ts";

/**
 * What the plugin (shim/shim.c or plugin.ts) and the agent say to each other on the unix socket.
 *
 * ```
 * request: "TORTIE-CNI/1\n" { NAME "=" value NUL } NUL standard-input   then shutdown(SHUT_WR)
 *          with at most one descriptor, the pod's network namespace, by SCM_RIGHTS; plugin.ts, which
 *          cannot pass one, tells its number in TORTIE_NETNS_FD and keeps it open
 * answer:  exit-code(1 octet) standard-output   then close
 * ```
 */
export const protocolMagic = "TORTIE-CNI/1\n";

export const cniVariables = [
  "CNI_COMMAND",
  "CNI_CONTAINERID",
  "CNI_NETNS",
  "CNI_IFNAME",
  "CNI_ARGS",
  "CNI_PATH",
  // Ours: the name by which the program was run, where that is calico-ipam.
  "TORTIE_PLUGIN",
  "TORTIE_NETNS_FD",
] as const;

export type CniVariable = (typeof cniVariables)[number];

export const maxRequestBytes: number = 1 << 20;
export const maxVariableBytes: number = 1 << 16;
/** A request that has not arrived after this long is refused. */
export const requestTimeoutMs = 30_000;
export const defaultSocketPath = "/var/run/calico/tortie/cni.sock";
/** Outlives a reboot, and is the same folder for the host and for the container of the agent. */
export const defaultSpoolFolder = "/var/lib/calico/tortie/cni-deletions";

/**
 * The file of a request to delete that no agent was there for: its bytes are the request's. One file an
 * attachment, so that a runtime that repeats itself fills no disk. Written as ".PID", then renamed.
 */
export function spoolFile(plugin: Plugin, { containerId, ifName }: Attachment): string {
  return `${plugin}@${containerId}@${ifName}`;
}

/** One call of the plugin, as it arrived. */
export interface CniCall {
  readonly variables: Readonly<Partial<Record<CniVariable, string>>>;
  readonly stdin: string;
}

/** @throws {CniError} when a variable or the whole is too long, or holds a NUL. */
export function encodeCall(call: CniCall): Buffer {
  const variables = cniVariables.flatMap((name) => {
    const value = call.variables[name];
    if (value === undefined) return [];
    if (Buffer.byteLength(value) > maxVariableBytes) {
      throw new CniError(cniCodes.environment, "Cannot accept an over-long variable", name);
    }
    return [`${name}=${value}\0`];
  });
  const bytes = Buffer.from(`${protocolMagic}${variables.join("")}\0${call.stdin}`);
  if (bytes.length > maxRequestBytes) {
    throw new CniError(
      cniCodes.io,
      "Cannot accept a request of more than 1 MiB",
      `${bytes.length} octets`,
    );
  }
  return bytes;
}

/** @throws {CniError} when the bytes are not a request. */
export function decodeCall(bytes: Buffer): CniCall {
  const malformed = (why: string) =>
    new CniError(cniCodes.decoding, "Cannot read the request", why);
  if (!bytes.subarray(0, protocolMagic.length).equals(Buffer.from(protocolMagic))) {
    throw malformed(`it does not start with ${JSON.stringify(protocolMagic)}`);
  }
  const variables: Partial<Record<CniVariable, string>> = {};
  let at = protocolMagic.length;
  for (;;) {
    const end = bytes.indexOf(0, at);
    if (end < 0) throw malformed("the variables do not end");
    const text = bytes.toString("utf8", at, end);
    at = end + 1;
    if (text === "") return { variables, stdin: bytes.toString("utf8", at) };
    const name = text.slice(0, text.indexOf("=")) as CniVariable;
    if (!cniVariables.includes(name))
      throw malformed(`variable ${JSON.stringify(name)} is unknown`);
    variables[name] = text.slice(name.length + 1);
  }
}

/** What the plugin prints, and the code that it exits with. */
export interface CniAnswer {
  readonly exitCode: number;
  readonly stdout: string;
}

export function encodeAnswer(answer: CniAnswer): Buffer {
  return Buffer.concat([Buffer.from([answer.exitCode]), Buffer.from(answer.stdout)]);
}

export function decodeAnswer(bytes: Buffer): CniAnswer {
  const exitCode = bytes[0];
  if (exitCode === undefined) {
    throw new CniError(
      cniCodes.tryAgain,
      "Cannot read the tortie agent's answer",
      "the connection was closed",
    );
  }
  return { exitCode, stdout: bytes.toString("utf8", 1) };
}
