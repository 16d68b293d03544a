import { statSync } from "node:fs";
import { defaultControlPath } from "../bgp/control/control-path.ts";
import type { SpeakerStatus } from "../bgp/speaker/status.ts";
import { localSources } from "../felix/config/config-file.ts";
import { readParameters } from "../felix/config/read-parameters.ts";
import { errorMessage, InputError } from "../lib/errors.ts";
import { nodenameFile } from "../node/node-name.ts";
import { type OptionSpecs, parseArguments, verbHelp } from "./arguments.ts";
import { askControl } from "./control-client.ts";
import type { CommandIo } from "./io.ts";

type Question =
  | "felix-live"
  | "felix-ready"
  | "bird-live"
  | "bird-ready"
  | "bird6-live"
  | "bird6-ready";

const questions: Readonly<Record<Question, string>> = {
  "felix-live": "felix runs",
  "felix-ready": "felix has programmed the kernel",
  "bird-live": "the BGP speaker runs",
  "bird-ready": "it has sessions with IPv4 peers",
  "bird6-live": "the BGP speaker runs",
  "bird6-ready": "it has sessions with IPv6 peers",
};

const options: OptionSpecs = {
  ...Object.fromEntries(Object.entries(questions).map(([name, help]) => [name, { help }])),
  "threshold-time": { value: "TIME", help: "a node so young needs all of its sessions (30s)" },
  help: { short: "h", help: "show this" },
};

/** `tortie node health`: what probes of manifests ask (facts 1.1). Gives the exit code: 1 for a no. */
export async function runNodeHealth(
  argv: readonly string[],
  io: CommandIo,
  now: Date = new Date(),
): Promise<number> {
  const args = parseArguments(argv, options);
  if (args.has("help")) {
    io.stdout.write(verbHelp("whether this node works", "tortie node health QUESTION...", options));
    return 0;
  }
  const asked = (Object.keys(questions) as Question[]).filter((question) => args.has(question));
  if (asked.length === 0) throw new InputError("Cannot tell without a question: see --help");
  const thresholdMs = seconds(args.value("threshold-time") ?? "30s") * 1000;
  const failures: string[] = [];
  for (const question of asked) {
    const problem = await problemOf(question, io.env, { thresholdMs, now });
    if (problem !== "") failures.push(`${question}: ${problem}\n`);
  }
  io.stderr.write(failures.join(""));
  return failures.length === 0 ? 0 : 1;
}

interface Window {
  readonly thresholdMs: number;
  readonly now: Date;
}

async function problemOf(
  question: Question,
  env: CommandIo["env"],
  window: Window,
): Promise<string> {
  try {
    switch (question) {
      case "felix-live":
        return await felixProblem("liveness", env, window);
      case "felix-ready":
        return await felixProblem("readiness", env, window);
      case "bird-ready":
        return speakerProblem(await speakerOf(env, window), 4, isYoung(env, window));
      case "bird6-ready":
        return speakerProblem(await speakerOf(env, window), 6, isYoung(env, window));
      default:
        await speakerOf(env, window);
        return "";
    }
  } catch (error) {
    return errorMessage(error);
  }
}

/** Asks the node, as kubelet does by itself where the manifest says httpGet. */
async function felixProblem(
  question: "liveness" | "readiness",
  env: CommandIo["env"],
  { thresholdMs }: Window,
): Promise<string> {
  const { healthHost, healthPort } = readParameters(localSources(env)).values;
  const host = healthHost.includes(":") ? `[${healthHost}]` : healthHost;
  const url = `http://${host}:${healthPort}/${question}`;
  const answer = await fetch(url, { signal: AbortSignal.timeout(thresholdMs) });
  const text = await answer.text();
  if (answer.ok) return "";
  const { parts } = JSON.parse(text) as {
    readonly parts: Readonly<Record<string, { readonly reason: string }>>;
  };
  const reasons = Object.entries(parts)
    .filter(([, { reason }]) => reason !== "")
    .map(([part, { reason }]) => `${part}: ${reason}`);
  return reasons.join("; ") || `${url} answered ${answer.status}`;
}

/** @throws {Error} when the speaker does not answer in time: one that hangs still takes connections. */
async function speakerOf(env: CommandIo["env"], { thresholdMs }: Window): Promise<SpeakerStatus> {
  const signal = AbortSignal.timeout(thresholdMs);
  const path = defaultControlPath(env);
  for await (const row of askControl(path, { request: "status" }, { signal })) {
    return row as SpeakerStatus;
  }
  throw new Error(`the speaker at ${path} has not answered for ${thresholdMs / 1000} s`);
}

/** A young node is not ready before the datastore has told it with whom to speak. */
export function speakerProblem(
  { asn, peers }: Pick<SpeakerStatus, "asn" | "peers">,
  family: 4 | 6,
  young: boolean,
): string {
  if (asn === null && young) return "the datastore has not told of this node's BGP yet";
  const ofFamily = peers.filter(({ address }) => address.includes(":") === (family === 6));
  return sessionsProblem(ofFamily, young);
}

/** Facts 1.1: nobody to speak with is well; a young node needs all sessions, later one is enough. */
export function sessionsProblem(
  peers: readonly Pick<SpeakerStatus["peers"][number], "name" | "state">[],
  young: boolean,
): string {
  const down = peers.filter(({ state }) => state !== "Established");
  if (down.length === 0 || (!young && down.length < peers.length)) return "";
  return `not Established: ${down.map(({ name, state }) => `${name} (${state})`).join(", ")}`;
}

/** Start-up writes the file with the node's name. */
function isYoung(env: CommandIo["env"], { thresholdMs, now }: Window): boolean {
  return now.getTime() - statSync(nodenameFile(env)).mtimeMs < thresholdMs;
}

/** "30s", "1m", or seconds. */
function seconds(text: string): number {
  const [, number = "", unit] = /^(\d{1,5})(s|m)?$/.exec(text) ?? [];
  if (number !== "") return Number(number) * (unit === "m" ? 60 : 1);
  throw new InputError(`Cannot use --threshold-time "${text}": it must be a time such as 30s`);
}
