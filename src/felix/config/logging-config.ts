import { type LogLevel, levelOfSeverity } from "../../lib/log.ts";
import type { ParameterValues } from "./values.ts";

/** Where felix' log goes, and from which level on (facts appendix A, Logging). */
export interface LoggingConfig {
  /** Standard error. */
  readonly screen: LogLevel;
  readonly file: { readonly path: string; readonly level: LogLevel } | undefined;
  readonly syslog: LogLevel;
  /** Source files whose lines of level debug and below are written; undefined: all. */
  readonly debugFiles: RegExp | undefined;
}

export function loggingConfig(values: ParameterValues): LoggingConfig {
  const { logFilePath: path } = values;
  const level = levelOfSeverity(values.logSeverityFile);
  return {
    screen: levelOfSeverity(values.logSeverityScreen),
    file: path === "" || level === "silent" ? undefined : { path, level },
    syslog: levelOfSeverity(values.logSeveritySys),
    debugFiles: values.logDebugFilenameRegex,
  };
}
