import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DaemonConfig, DaemonRoute } from "./daemon.ts";
import { DaemonProcess } from "./daemon-process.ts";

/** What a running daemon of one process is, whichever it is: a folder of its own and a process. */
export class DaemonBase {
  readonly namespace: string;
  readonly folder: string;
  config: DaemonConfig;
  #process: DaemonProcess | undefined;

  constructor(namespace: string, folder: string, config: DaemonConfig) {
    this.namespace = namespace;
    this.folder = folder;
    this.config = config;
  }

  run(command: readonly string[], env: NodeJS.ProcessEnv = {}): void {
    this.#process = new DaemonProcess(this.namespace, command, env);
  }

  pause(): void {
    this.#process?.signal("SIGSTOP");
  }

  async kill(): Promise<void> {
    await this.end("SIGKILL");
  }

  async stop(): Promise<void> {
    await this.kill();
    await this.removeFolder();
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    await this.#process?.end(signal);
  }

  removeFolder(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}

type Startable = { start(): Promise<void> };

/** Makes its folder, and starts it in a namespace. */
export async function startDaemon<T extends Startable>(
  Running: new (namespace: string, folder: string, config: DaemonConfig) => T,
  namespace: string,
  config: DaemonConfig,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), `tt-${Running.name}-`));
  const running = new Running(namespace, folder, config);
  await running.start();
  return running;
}

export function withRoute(config: DaemonConfig, route: DaemonRoute): DaemonConfig {
  return { ...config, routes: [...withoutRoute(config, route.prefix).routes, route] };
}

export function withoutRoute(config: DaemonConfig, gone: string): DaemonConfig {
  return { ...config, routes: config.routes.filter(({ prefix }) => prefix !== gone) };
}
