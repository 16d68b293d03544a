import { errorMessage, InputError } from "./lib/errors.ts";

/**
 * The one executable: finds the subcommand and loads only what it needs. What a daemon is made of is
 * told in wiring/.
 */
interface Command {
  readonly summary: string;
  run(argv: readonly string[]): Promise<number>;
}

const daemons: Readonly<Record<string, Command>> = {
  node: {
    summary:
      "what the calico-node container runs: start-up, then felix and bgp; node status, health, shutdown, drain, check-paths, cleanup",
    run: async (argv) => (await import("./wiring/node-command.ts")).runNodeCommand(argv, process),
  },
  felix: {
    summary: "routes, policy and the CNI agent of one node",
    run: async () => {
      // First of all, while this process is small (ADR 5), and at work while this one loads the rest.
      const exec = (await import("./kernel/exec-helper.ts")).startExecHelper();
      return (await import("./wiring/felix.ts")).runFelixProcess(process.env, exec);
    },
  },
  bgp: {
    summary: "the BGP speaker of one node or of its own file, and what it knows",
    run: async (argv) => (await import("./wiring/bgp-command.ts")).runBgpCommand(argv, process),
  },
  "udp-tunnel": {
    summary: "carries packets of pools with the encapsulation UDP; tortie node runs it",
    run: async (argv) =>
      (await import("./wiring/udp-tunnel.ts")).runUdpTunnelProcess(argv, process.env),
  },
  controllers: {
    summary:
      "one for the cluster: gives leaked addresses, empty blocks and deleted nodes' blocks back; controllers status",
    run: async (argv) => {
      const { runControllersCommand } = await import("./wiring/controllers-command.ts");
      return runControllersCommand(argv, process);
    },
  },
};

const tools: Readonly<Record<string, Command>> = {
  "install-cni": {
    summary: "puts the CNI plugins and their configuration where runtimes look for them",
    run: async (argv) => (await import("./wiring/install-cni.ts")).runInstallCni(argv, process),
  },
  takeover: {
    summary: "takeover check: what tortie would change on a node of Calico, before it does",
    run: async (argv) =>
      (await import("./wiring/takeover-command.ts")).runTakeoverCommand(argv, process),
  },
  lab: {
    summary: "several nodes on this machine, to try things on",
    run: async (argv) => (await import("./lab/lab-command.ts")).runLabCommand(argv),
  },
  demo: {
    summary: "the lab, who reaches whom, and what two policies change (npm start)",
    run: async () => {
      const { runResourceCommand } = await import("./cli/resource-command.ts");
      return (await import("./lab/demo.ts")).runDemo(runResourceCommand);
    },
  },
  as: {
    summary: "what a program of Calico's images does: as NAME [ARGUMENT]...",
    run: async (argv) => {
      const { stockCommand } = await import("./cli/stock-command.ts");
      const { message, command } = stockCommand(argv[0] ?? "", argv.slice(1));
      if (message !== undefined) process.stderr.write(`${message}\n`);
      if (command === undefined) return 0;
      const [name = "", ...rest] = command;
      return runNamed(name, rest);
    },
  },
  version: {
    summary: "this program's version",
    run: async () => {
      const { readFile } = await import("node:fs/promises");
      const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
      process.stdout.write(`tortie ${(JSON.parse(text) as { version: string }).version}\n`);
      return 0;
    },
  },
};

const [name = "help", ...argv] = process.argv.slice(2);
const verbose = argv.includes("--verbose");

try {
  process.exitCode = await runNamed(name, argv);
} catch (error) {
  const text = verbose && error instanceof Error ? error.stack : errorMessage(error);
  process.stderr.write(`${text}\n`);
  process.exitCode = error instanceof InputError ? 2 : 1;
}

async function runNamed(name: string, argv: readonly string[]): Promise<number> {
  const own = daemons[name] ?? tools[name];
  if (own !== undefined) return own.run(argv.filter((word) => word !== "--verbose"));
  const { resourceVerbs, runResourceCommand } = await import("./cli/resource-command.ts");
  if (Object.hasOwn(resourceVerbs, name)) {
    const { stdout, stderr, stdin, env } = process;
    return runResourceCommand([name, ...argv], { stdout, stderr, stdin, env });
  }
  if (!["help", "--help", "-h"].includes(name)) {
    throw new InputError(`Cannot run "${name}": there is no such command; see tortie help`);
  }
  const summaries = (commands: Readonly<Record<string, { readonly summary: string }>>) =>
    Object.entries(commands)
      .map(([command, { summary }]) => `  ${command.padEnd(12)}${summary}\n`)
      .join("");
  const verbs = Object.fromEntries(
    Object.entries(resourceVerbs).map(([verb, summary]) => [verb, { summary }]),
  );
  process.stdout.write(
    `Usage: tortie COMMAND [--help]\n\nResources:\n${summaries(verbs)}\n` +
      `Daemons (configured by environment):\n${summaries(daemons)}\nTools:\n${summaries(tools)}`,
  );
  return 0;
}
