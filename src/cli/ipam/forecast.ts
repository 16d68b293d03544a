import { type Fullness, forecast, type PoolForecast } from "../../ipam/forecast.ts";
import { durationSeconds } from "../../lib/duration.ts";
import { errorMessage, InputError } from "../../lib/errors.ts";
import type { Arguments } from "../arguments.ts";
import { jsonText } from "../output/serialize.ts";
import { tableText } from "../output/table.ts";
import type { IpamContext } from "./ipam-verb.ts";
import { isJson } from "./json-option.ts";

const defaultWindow = "24h";

/** `ipam forecast`: when each pool is full at the soonest. */
export async function runForecast(args: Arguments, context: IpamContext): Promise<number> {
  const { io, ipam, clock } = context;
  const windowMs = windowOf(args);
  const asJson = isJson(args, "forecast");
  const pools = await ipam.utilization();
  const { blocks, allocations } = await ipam.survey();
  const nowMs = clock.date().getTime();
  const found = forecast({ pools, blocks, allocations }, { nowMs, windowMs });
  if (asJson) {
    io.stdout.write(jsonText({ windowSeconds: windowMs / 1000, pools: found.map(jsonOf) }));
    return 0;
  }
  const rows = [["POOL", "CIDR", "IPS FREE", "IN USE", "ASSIGNED", "WITHIN", "FULL"]];
  for (const each of found) {
    const { pool, cidr, available, inUse, assigned, spanMs, fullness } = each;
    const full = fullText(fullness, nowMs);
    const numbers = [String(available), String(inUse), String(assigned)];
    rows.push([pool, cidr, ...numbers, durationText(spanMs), full]);
  }
  io.stdout.write(tableText(rows));
  return 0;
}

function windowOf(args: Arguments): number {
  const text = args.value("window") ?? defaultWindow;
  try {
    const seconds = durationSeconds(text);
    if (seconds > 0) return seconds * 1000;
  } catch (error) {
    throw new InputError(`Cannot accept --window "${text}": ${errorMessage(error)}`);
  }
  throw new InputError(`Cannot accept --window "${text}": it must be 1s at least`);
}

function fullText(fullness: Fullness, nowMs: number): string {
  switch (fullness.kind) {
    case "full":
      return "now";
    case "not-before":
      return `not before ${isoTime(fullness.atMs)} (in ${durationText(fullness.atMs - nowMs)})`;
    case "not-growing":
      return "never at this rate";
    case "unknown":
      return `cannot say: ${fullness.why}`;
  }
}

function jsonOf({ fullness, spanMs, ...pool }: PoolForecast): object {
  const time = fullness.kind === "not-before" ? { fullNotBefore: isoTime(fullness.atMs) } : {};
  const why = fullness.kind === "unknown" ? { why: fullness.why } : {};
  return {
    ...pool,
    spanSeconds: Math.round(spanMs / 1000),
    verdict: fullness.kind,
    ...time,
    ...why,
  };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

/** "3d4h", "5h10m", "12m": two units are enough. */
function durationText(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  const [days, hours, rest] = [
    Math.floor(minutes / 1440),
    Math.floor((minutes % 1440) / 60),
    minutes % 60,
  ];
  if (days > 0) return `${days}d${hours}h`;
  return hours > 0 ? `${hours}h${rest}m` : `${rest}m`;
}
