import {
  closeSync,
  constants,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
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
 *
 * It loads nothing but this folder's small files: what it loads is paid for at every pod.
 */

const answerTimeoutMs = 120_000;
const pluginName = process.argv[2] === "calico-ipam" ? "calico-ipam" : "calico";

void main().then((code) => {
  process.exitCode = code;
});

async function main(): Promise<number> {
  const { env } = process;
  if (env["CNI_COMMAND"] === "VERSION") {
    print({ cniVersion: supportedVersions.at(-1), supportedVersions });
    return 0;
  }
  try {
    const request = requestOf(env);
    const answer = await call(request, env).catch((error: unknown) => unreachable(error, request));
    write(answer.stdout);
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
    TORTIE_NETNS_FD: undefined,
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
    syncFolder(folder);
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

/** The new name is not lost either, when the power fails. */
function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function isFileWord(text: string): boolean {
  return /^[^./][^/]{0,199}$/.test(text);
}

function badName(variable: string, value: string): CniError {
  return new CniError(cniCodes.environment, `Cannot accept ${variable}`, value);
}

/** The number of our descriptor is enough: the agent opens it by our process. */
async function call(request: CniCall, env: NodeJS.ProcessEnv): Promise<CniAnswer> {
  const netns = openPodNetns(request.variables);
  const described = netns === undefined ? {} : { TORTIE_NETNS_FD: `${netns}` };
  const bytes = encodeCall({ ...request, variables: { ...request.variables, ...described } });
  return decodeAnswer(await exchange(env["TORTIE_CNI_SOCKET"] ?? defaultSocketPath, bytes));
}

function exchange(path: string, request: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect({ path });
    socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error("it does not answer")));
    socket.on("data", (chunk) => chunks.push(chunk));
    // An agent that refuses us may have answered and closed before it read anything: its answer says why.
    socket.on("error", (error) =>
      chunks.length > 0 ? resolve(Buffer.concat(chunks)) : reject(error),
    );
    socket.on("end", () => resolve(Buffer.concat(chunks)));
    socket.end(request);
  });
}

/** We run in the host's mount namespace: we may open what the runtime named. */
function openPodNetns(variables: CniCall["variables"]): number | undefined {
  const { CNI_NETNS: path, CNI_COMMAND: command } = variables;
  if (path === undefined || path === "") return undefined;
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
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

function print(value: object): void {
  write(`${JSON.stringify(value)}\n`);
}

/** Node's own stream would be three milliseconds of modules. */
function write(text: string): void {
  if (text !== "") writeFileSync(1, text);
}
