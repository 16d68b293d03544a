import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { isErrno } from "../kernel/netlink/netlink-error.ts";
import { closeNetns, openNetns } from "../kernel/netns.ts";
import { connectUnix, type UnixConnection } from "../kernel/unix-socket.ts";
import { errorMessage } from "../lib/errors.ts";
import { CniError, cniCodes, errorObject } from "./cni-error.ts";
import {
  type CniAnswer,
  type CniCall,
  cniVariables,
  decodeAnswer,
  defaultSocketPath,
  defaultSpoolFolder,
  encodeCall,
  spoolFile,
} from "./protocol.ts";
import { supportedVersions } from "./versions.ts";

/**
 * The CNI plugin as a TypeScript program, where no C compiler was at hand: does what shim/shim.c does.
 * Its argument is the name by which it was run: "calico-ipam" gives addresses alone.
 */

const answerTimeoutMs = 120_000;
const pluginName = process.argv[2] === "calico-ipam" ? "calico-ipam" : "calico";

process.exitCode = await main();

async function main(): Promise<number> {
  const { env } = process;
  if (env["CNI_COMMAND"] === "VERSION") {
    print({ cniVersion: supportedVersions.at(-1), supportedVersions });
    return 0;
  }
  try {
    const request = requestOf(env);
    const answer = await call(request, env).catch((error: unknown) => unreachable(error, request));
    process.stdout.write(answer.stdout);
    return answer.exitCode;
  } catch (error) {
    const known = error instanceof CniError ? error : undefined;
    print(
      errorObject(known ?? new CniError(cniCodes.io, "Cannot call", errorMessage(error)), "1.0.0"),
    );
    return 1;
  }
}

function requestOf(env: NodeJS.ProcessEnv): CniCall {
  const given: NodeJS.ProcessEnv = {
    ...env,
    TORTIE_PLUGIN: pluginName === "calico" ? undefined : pluginName,
  };
  const variables = Object.fromEntries(
    cniVariables.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]])),
  ) as CniCall["variables"];
  return { variables, stdin: readFileSync(0, "utf8") };
}

/**
 * A deletion must be done in the end: it is written down, and the agent does it when it is back.
 *
 * @throws {CniError} for any other call: without the agent there is nothing to be done.
 */
function unreachable(error: unknown, request: CniCall): CniAnswer {
  if (error instanceof CniError && error.cniCode !== cniCodes.tryAgain) throw error;
  const { CNI_COMMAND: command } = request.variables;
  if (command === "DEL") return spool(request);
  throw new CniError(
    command === "STATUS" ? cniCodes.unavailable : cniCodes.tryAgain,
    "Cannot reach the tortie agent: is `tortie node` running?",
    error instanceof CniError ? error.details : errorMessage(error),
  );
}

function spool(request: CniCall): CniAnswer {
  const { CNI_CONTAINERID: containerId = "", CNI_IFNAME: ifName = "" } = request.variables;
  if (!isFileWord(containerId)) throw badName("CNI_CONTAINERID", containerId);
  if (!isFileWord(ifName)) throw badName("CNI_IFNAME", ifName);
  const folder = process.env["TORTIE_CNI_SPOOL"] ?? defaultSpoolFolder;
  const file = join(folder, spoolFile(pluginName, { containerId, ifName }));
  const draft = join(folder, `.${process.pid}`);
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    rmSync(draft, { force: true });
    writeFileSync(draft, encodeCall(request), { mode: 0o600, flag: "wx", flush: true });
    renameSync(draft, file);
  } catch (cause) {
    throw new CniError(
      cniCodes.io,
      "Cannot reach the tortie agent, nor write the deletion down for it",
      errorMessage(cause),
      { cause },
    );
  }
  return { exitCode: 0, stdout: "" };
}

function isFileWord(text: string): boolean {
  return /^[^./][^/]{0,199}$/.test(text);
}

function badName(variable: string, value: string): CniError {
  return new CniError(cniCodes.environment, `Cannot accept ${variable}`, value);
}

async function call(request: CniCall, env: NodeJS.ProcessEnv): Promise<CniAnswer> {
  const bytes = encodeCall(request);
  const netns = openPodNetns(request.variables);
  try {
    const connection = connectUnix(env["TORTIE_CNI_SOCKET"] ?? defaultSocketPath);
    try {
      const signal = AbortSignal.timeout(answerTimeoutMs);
      await connection.write(bytes, signal, netns).catch(unlessRefused);
      connection.endWriting();
      return decodeAnswer(await readAll(connection, signal));
    } finally {
      connection.close();
    }
  } finally {
    if (netns !== undefined) closeNetns(netns);
  }
}

/** An agent that refuses us may have answered and closed before it read anything: its answer says why. */
function unlessRefused(error: unknown): void {
  if (!isErrno(error, constants.errno.EPIPE)) throw error;
}

/** We run in the host's mount namespace: we may open what the runtime named. */
function openPodNetns(variables: CniCall["variables"]): number | undefined {
  const { CNI_NETNS: path, CNI_COMMAND: command } = variables;
  if (path === undefined || path === "") return undefined;
  try {
    return openNetns(path);
  } catch (cause) {
    if (command === "DEL") return undefined;
    throw new CniError(
      cniCodes.environment,
      "Cannot open the network namespace CNI_NETNS",
      errorMessage(cause),
      { cause },
    );
  }
}

async function readAll(connection: UnixConnection, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (;;) {
    const { bytes } = await connection.read(signal);
    if (bytes.length === 0) return Buffer.concat(chunks);
    chunks.push(bytes);
  }
}

function print(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
