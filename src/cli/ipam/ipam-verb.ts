import { Ipam } from "../../ipam/ipam.ts";
import { InputError } from "../../lib/errors.ts";
import type { Arguments } from "../arguments.ts";
import type { Verb, VerbContext } from "../verb.ts";
import { runCheck } from "./check.ts";
import { runConfigure } from "./configure.ts";
import { runForecast } from "./forecast.ts";
import { runRelease } from "./release.ts";
import { runShow } from "./show.ts";
import { runSplit } from "./split.ts";
import { runWhy } from "./why.ts";

/** What a subcommand works with. */
export interface IpamContext extends VerbContext {
  readonly ipam: Ipam;
}

type Subcommand = (args: Arguments, context: IpamContext) => Promise<number>;

const subcommands: Readonly<Record<string, Subcommand>> = {
  show: runShow,
  check: runCheck,
  release: runRelease,
  configure: runConfigure,
  split: runSplit,
  why: runWhy,
  forecast: runForecast,
};

/** `ipam` as calicoctl has it (facts 7.3), and `why` and `forecast`. */
export const ipamVerb: Verb = {
  summary: "show, check and change what IPAM has given away",
  usage: [
    "show [--ip ADDRESS | --show-blocks | --show-borrowed | --show-configuration] [-o json]",
    "check [--show-all-ips] [--show-problem-ips] [-o FILE]",
    "release --ip ADDRESS | --from-report FILE... [--force]",
    "configure [--strictaffinity BOOL] [--max-blocks-per-host N] [--kubevirt-ip-persistence Enabled|Disabled] [--ip-cooldown-seconds N]",
    "split NUMBER --name POOL | --cidr CIDR [--dry-run]",
    "why ADDRESS [-o json]",
    "forecast [--window DURATION] [-o json]",
  ],
  examples: [
    "tortie ipam show --show-blocks",
    "tortie ipam check -o report.json",
    "tortie ipam release --from-report report.json",
    "tortie ipam split 4 --name default-ipv4-ippool --dry-run",
    "tortie ipam forecast --window 72h -o json",
    "tortie ipam why 10.244.34.65",
  ],
  subcommands: [Object.keys(subcommands)],
  options: {
    ip: { value: "ADDRESS", help: "show, release: one address" },
    "show-blocks": { help: "show: each block of the pools" },
    "show-borrowed": { help: "show: addresses on another node than their block's" },
    "show-configuration": { help: "show: the configuration of IPAM" },
    "show-all-ips": { help: "check: every address, and who uses it" },
    "show-problem-ips": { help: "check: the addresses that are wrong" },
    output: {
      short: "o",
      value: "FILE",
      help: "check: write a report for `ipam release`; show, why, forecast: json",
    },
    "from-report": {
      value: "FILE",
      multiple: true,
      help: "release: leaked addresses of a report; of several, those that stand in all",
    },
    force: { help: "release: even while the datastore is not locked" },
    strictaffinity: { value: "BOOL", help: "configure: nodes never borrow addresses" },
    "max-blocks-per-host": { value: "N", help: "configure: 0 is the default of 20" },
    "kubevirt-ip-persistence": {
      value: "WORD",
      help: "configure: Enabled or Disabled: whether virtual machines keep their addresses",
    },
    "ip-cooldown-seconds": { value: "N", help: "configure: rest of a released address" },
    name: { value: "POOL", help: "split: the pool of this name" },
    cidr: { value: "CIDR", help: "split: the pool of this CIDR" },
    window: {
      value: "DURATION",
      help: "forecast: rate of what was assigned so lately (24h) and is still in use, as if none were released: the soonest time. It needs the times that CNI plugins write",
    },
    "dry-run": { help: "split: say what would become of the pool" },
  },
  run: async (args, context) => {
    const [name = ""] = args.words;
    const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
    if (subcommand === undefined) {
      const known = Object.keys(subcommands).join(", ");
      throw new InputError(`Cannot run "ipam ${name}": it must be one of ${known}`);
    }
    const { clock, random } = context;
    const datastore = await context.datastore();
    return subcommand(args, { ...context, ipam: new Ipam({ datastore, clock, random }) });
  },
};
