import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import {
  closeNetns,
  isNetworkNamespace,
  isSameNamespace,
  openNetns,
  ownNetns,
} from "../kernel/netns.ts";
import { listenUnix, type UnixConnection } from "../kernel/unix-socket.ts";
import { errorMessage } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { CniAgent } from "./agent.ts";
import { CniError, cniCodes, errorObject } from "./cni-error.ts";
import {
  type CniAnswer,
  type CniCall,
  decodeCall,
  encodeAnswer,
  maxRequestBytes,
  requestTimeoutMs,
} from "./protocol.ts";

/** Calls under way at once: more are answered with "try again". */
const maxCalls = 256;

/**
 * Answers the plugin's calls on a unix socket: folder 0700, socket 0600, and root only at the other
 * end. The agent opens no path that a caller names: the namespace comes as a descriptor.
 */
export async function runAgentSocket(
  path: string,
  ports: { readonly agent: Pick<CniAgent, "answer">; readonly log: Logger },
  signal: AbortSignal,
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  chmodSync(dirname(path), 0o700);
  const underWay = new Set<Promise<void>>();
  await listenUnix(
    path,
    (connection) => {
      const busy = underWay.size >= maxCalls;
      const call = serve(connection, { ...ports, busy }, signal).finally(() => {
        underWay.delete(call);
      });
      underWay.add(call);
    },
    signal,
  );
  await Promise.all(underWay);
}

interface ServePorts {
  readonly agent: Pick<CniAgent, "answer">;
  readonly log: Logger;
  readonly busy: boolean;
}

async function serve(
  connection: UnixConnection,
  { agent, log, busy }: ServePorts,
  stop: AbortSignal,
): Promise<void> {
  const descriptors: number[] = [];
  const deadline = AbortSignal.timeout(requestTimeoutMs);
  const started = performance.now();
  try {
    if (connection.peer.uid !== 0) throw refusal("only root may call the agent");
    if (busy) throw new CniError(cniCodes.tryAgain, "Cannot take the call: too many are under way");
    const patience = AbortSignal.any([deadline, stop]);
    const call = decodeCall(await readRequest(connection, descriptors, patience));
    openOfPeer(call, connection, descriptors);
    const answer = await agent.answer(call, namespaceOf(descriptors, call));
    logCall(log, call, answer, performance.now() - started);
    await connection.write(encodeAnswer(answer), AbortSignal.timeout(requestTimeoutMs));
  } catch (error) {
    log.warn({ err: error }, "CNI call refused");
    const stdout = `${JSON.stringify(errorObject(asRefusal(error), "1.0.0"))}\n`;
    const answer = encodeAnswer({ exitCode: 1, stdout });
    await connection.write(answer, AbortSignal.timeout(1000)).catch(() => undefined);
  } finally {
    for (const descriptor of descriptors) closeNetns(descriptor);
    connection.close();
  }
}

async function readRequest(
  connection: UnixConnection,
  descriptors: number[],
  signal: AbortSignal,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let length = 0; ; ) {
    const received = await connection.read(signal);
    descriptors.push(...received.descriptors);
    if (received.bytes.length === 0) return Buffer.concat(chunks);
    chunks.push(received.bytes);
    length += received.bytes.length;
    if (length > maxRequestBytes) throw refusal("the request is longer than 1 MiB");
  }
}

/** The TypeScript plugin tells the number of a descriptor that it holds open. */
function openOfPeer({ variables }: CniCall, { peer }: UnixConnection, descriptors: number[]): void {
  const { TORTIE_NETNS_FD: number } = variables;
  if (number === undefined) return;
  if (!/^\d{1,6}$/.test(number)) throw refusal(`TORTIE_NETNS_FD is no descriptor: ${number}`);
  if (peer.pid === 0) {
    throw refusal("the TypeScript plugin runs in another PID namespace: install the shim");
  }
  try {
    descriptors.push(openNetns(`/proc/${peer.pid}/fd/${number}`));
  } catch (cause) {
    throw refusal(`its descriptor ${number} cannot be opened: ${errorMessage(cause)}`);
  }
}

/**
 * A descriptor that is no network namespace, or is our own, would let a caller misuse us. For a deletion
 * it says only that the pod's is gone: a path of a process may be another's by now.
 */
function namespaceOf(descriptors: readonly number[], { variables }: CniCall): number | undefined {
  const [descriptor, ...more] = descriptors;
  if (descriptor === undefined) return undefined;
  if (more.length > 0) throw refusal("one descriptor at most may come with it");
  const isPods = isNetworkNamespace(descriptor) && !isSameNamespace(descriptor, ownNetns());
  if (variables.CNI_COMMAND === "DEL") return isPods ? descriptor : undefined;
  if (!isNetworkNamespace(descriptor)) throw refusal("CNI_NETNS is no network namespace");
  if (isSameNamespace(descriptor, ownNetns()))
    throw refusal("CNI_NETNS is the node's own namespace");
  return descriptor;
}

function refusal(why: string): CniError {
  return new CniError(cniCodes.environment, `Cannot take the call: ${why}`);
}

function asRefusal(error: unknown): CniError {
  if (error instanceof CniError) return error;
  return new CniError(cniCodes.tryAgain, "Cannot take the call", String(error), { cause: error });
}

function logCall(log: Logger, call: CniCall, answer: CniAnswer, milliseconds: number): void {
  const { CNI_COMMAND: command, CNI_CONTAINERID: containerId } = call.variables;
  const fields = { command, containerId, milliseconds: Math.round(milliseconds) };
  if (answer.exitCode === 0) log.info(fields, "CNI call done");
  else log.warn({ ...fields, answer: answer.stdout }, "CNI call failed");
}
