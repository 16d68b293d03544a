import { type DestinationStream, type Logger as PinoLogger, pino } from "pino";

export type Logger = PinoLogger;

/** Paths whose values are secrets wherever they occur in a log record, one level deep or two. */
const secretNames = [
  "password",
  "passwords",
  "token",
  "privateKey",
  "presharedKey",
  "etcdPassword",
  "authorization",
  "md5Key",
];

const secretPaths = secretNames.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

/** `level` is pino's ("trace" to "fatal", "silent"); `name` is the process: felix, bgp, node, cni. */
export function createLogger(
  config: { readonly name: string; readonly level?: string },
  destination?: DestinationStream,
): Logger {
  const options = {
    name: config.name,
    level: config.level ?? "info",
    redact: { paths: secretPaths, censor: "[redacted]" },
  };
  return destination === undefined
    ? pino(options, pino.destination({ fd: 2, sync: true }))
    : pino(options, destination);
}

/** Calico's severity names (facts appendix A, Logging) to pino's levels. */
export function levelOfSeverity(severity: string): string {
  const levels: Readonly<Record<string, string>> = {
    trace: "trace",
    debug: "debug",
    info: "info",
    warning: "warn",
    error: "error",
    fatal: "fatal",
    none: "silent",
  };
  return levels[severity.toLowerCase()] ?? "info";
}
