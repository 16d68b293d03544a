import { InputError } from "../../lib/errors.ts";
import type { Arguments } from "../arguments.ts";
import type { Verb, VerbContext } from "../verb.ts";

type Run = (args: Arguments, context: VerbContext) => Promise<number>;

interface Subcommand {
  readonly formats: readonly string[];
  /** Loaded when it is asked for: other verbs start without it. */
  load(): Promise<Run>;
}

const subcommands: Readonly<Record<string, Subcommand>> = {
  explain: {
    formats: ["text", "json"],
    load: async () => (await import("./explain.ts")).runExplain,
  },
  test: {
    formats: ["text", "json"],
    load: async () => (await import("./test.ts")).runPolicyTests,
  },
  lint: {
    formats: ["text", "json", "sarif"],
    load: async () => (await import("./lint.ts")).runLint,
  },
  impact: {
    formats: ["text", "json"],
    load: async () => (await import("./impact.ts")).runImpact,
  },
  denials: {
    formats: ["text", "json"],
    load: async () => (await import("./denials.ts")).runDenials,
  },
};

/** What policy does, did, and would do: docs/policy.md. Nothing is written. */
export const policyVerb: Verb = {
  summary: "say why a packet is allowed or denied; test, check and compare policies",
  usage: [
    "explain --from NS/POD|NODE|IP --to NS/POD|NODE|IP [--port 80/tcp] [--node NODE] [-f MANIFEST...]",
    "test TESTS.yaml... [-f MANIFEST...]",
    "lint [-f MANIFEST...]",
    "impact -f NEW.yaml... [--port 80/tcp...] [--cluster MANIFEST...]",
    "denials [--follow] [--socket PATH]",
  ],
  examples: [
    "tortie policy explain --from shop/client --to shop/web --port 80/tcp",
    "tortie policy test tests.yaml -f manifests/",
    "tortie policy lint -f manifests/ -o sarif",
    "tortie policy impact -f new-policy.yaml",
    "tortie policy denials --follow",
  ],
  options: {
    from: { value: "END", help: "explain: NAMESPACE/POD, a node or an address" },
    to: { value: "END", help: "explain: NAMESPACE/POD, a node or an address" },
    port: {
      value: "PORT",
      multiple: true,
      help: "explain: 80/tcp, 53/udp, icmp (an echo request; the default); impact: only these",
    },
    node: { value: "NODE", help: "explain: this host is NODE: show the counters of its rules" },
    filename: {
      short: "f",
      value: "FILE",
      multiple: true,
      help: "explain, test, lint: the cluster, instead of the datastore; impact: what would be applied",
    },
    cluster: {
      value: "FILE",
      multiple: true,
      help: "impact: the cluster, instead of the datastore",
    },
    follow: { help: "denials: those to come, too, until Ctrl-C" },
    socket: { value: "PATH", help: "denials: felix.sock of the node, if not in TORTIE_RUN_DIR" },
    recursive: { short: "R", help: "folders in the folder, too" },
    output: { short: "o", value: "FORMAT", help: "text, json; lint: sarif" },
    namespace: { short: "n", value: "NAMESPACE", help: "of objects of files that say none" },
  },
  subcommands: [Object.keys(subcommands)],
  run: async (args, context) => {
    const [name = ""] = args.words;
    const subcommand = Object.hasOwn(subcommands, name) ? subcommands[name] : undefined;
    if (subcommand === undefined) {
      const known = Object.keys(subcommands).join(", ");
      throw new InputError(`Cannot run "policy ${name}": it must be one of ${known}`);
    }
    const format = args.value("output") ?? "text";
    if (!subcommand.formats.includes(format)) {
      const formats = subcommand.formats.join(", ");
      throw new InputError(`Cannot accept --output "${format}": it must be one of ${formats}`);
    }
    const run = await subcommand.load();
    return run(args, context);
  },
};
