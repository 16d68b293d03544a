import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { isErrno } from "../kernel/netlink/netlink-error.ts";
import { closeNetns, openNetns } from "../kernel/netns.ts";
import { connectUnix, type UnixConnection } from "../kernel/unix-socket.ts";
import { errorMessage } from "../lib/errors.ts";
import { supportedVersions } from "./call.ts";
import { CniError, cniCodes, errorObject } from "./cni-error.ts";
import {
  type CniAnswer,
  type CniCall,
  cniVariables,
  decodeAnswer,
  defaultSocketPath,
  encodeCall,
} from "./protocol.ts";

/**
 * The CNI plugin as a TypeScript program, where no C compiler was at hand: does what shim/shim.c does.
 */

const answerTimeoutMs = 120_000;

process.exitCode = await main();

async function main(): Promise<number> {
  const { env } = process;
  if (env["CNI_COMMAND"] === "VERSION") {
    print({ cniVersion: "1.0.0", supportedVersions });
    return 0;
  }
  try {
    const answer = await call(env);
    process.stdout.write(answer.stdout);
    return answer.exitCode;
  } catch (error) {
    const refused =
      error instanceof CniError
        ? error
        : new CniError(
            cniCodes.tryAgain,
            "Cannot reach the tortie agent: is `tortie node` running?",
            errorMessage(error),
          );
    print(errorObject(refused, "1.0.0"));
    return 1;
  }
}

async function call(env: NodeJS.ProcessEnv): Promise<CniAnswer> {
  const variables = Object.fromEntries(
    cniVariables.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  ) as CniCall["variables"];
  const request = encodeCall({ variables, stdin: readFileSync(0, "utf8") });
  const netns = openPodNetns(variables);
  try {
    const connection = connectUnix(env["TORTIE_CNI_SOCKET"] ?? defaultSocketPath);
    try {
      const signal = AbortSignal.timeout(answerTimeoutMs);
      await connection.write(request, signal, netns).catch(unlessRefused);
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
