import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { installCni, removeCni } from "../cni/install/install.ts";
import { type InstallOptions, installConfig } from "../cni/install/install-config.ts";
import { createLogger } from "../lib/log.ts";
import { nodeNameOf } from "../node/node-name.ts";
import type { Environment } from "./process.ts";

const usage = `Usage: tortie install-cni [--remove] [--net-dir DIR] [--bin-dir DIR]

Puts the CNI plugins and their configuration where container runtimes look for them: /host/opt/cni/bin and
/host/etc/cni/net.d in a container, else /opt/cni/bin and $CNI_NET_DIR (/etc/cni/net.d). Goes by the variables of
Calico's install-cni: CNI_NETWORK_CONFIG, CNI_NETWORK_CONFIG_FILE, CNI_CONF_NAME, CNI_OLD_CONF_NAME, CNI_MTU,
UPDATE_CNI_BINARIES, SKIP_CNI_BINARIES. No credentials are written: the agent has them.

  --remove        takes away what it has put there
`;

const programs = {
  shim: fileURLToPath(new URL("../../build/cni/calico", import.meta.url)),
  script: fileURLToPath(new URL("../../bin/tortie-cni", import.meta.url)),
  others: "/opt/cni/bin",
};

/** `tortie install-cni`. Gives the exit code. */
export function runInstallCni(
  argv: readonly string[],
  { env, stdout }: { readonly env: Environment; readonly stdout: NodeJS.WritableStream },
): number {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      help: { type: "boolean", short: "h" },
      remove: { type: "boolean" },
      "net-dir": { type: "string" },
      "bin-dir": { type: "string" },
    },
  });
  if (values.help === true) {
    stdout.write(usage);
    return 0;
  }
  const folders: InstallOptions = {
    ...(values["net-dir"] === undefined ? {} : { netFolder: values["net-dir"] }),
    ...(values["bin-dir"] === undefined ? {} : { binFolder: values["bin-dir"] }),
  };
  const config = installConfig(env, nodeNameOf(env), folders);
  const log = createLogger({ name: "install-cni" });
  if (values.remove === true) removeCni(config, log);
  else installCni(config, programs, log);
  return 0;
}
