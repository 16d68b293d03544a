import { execa } from "execa";

/** Runs one program to its end. `input` goes to its standard input. */
export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/** Gives the result whatever the exit code; throws only when the program cannot be started. */
export async function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await execa(program, args, {
    reject: false,
    timeout: options.timeoutMs ?? 30_000,
    ...(options.input === undefined ? { stdin: "ignore" as const } : { input: options.input }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  if (result.exitCode === undefined) {
    throw new Error(`Cannot run ${program}: ${result.message ?? "it was killed"}`);
  }
  return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
}

/**
 * Runs a program that must succeed.
 *
 * @throws {Error} with the program's own words.
 */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const { exitCode, stdout, stderr } = await runCommand(program, args, options);
  if (exitCode === 0) return stdout;
  throw new Error(
    `Cannot run "${program} ${args.join(" ")}": exit ${exitCode}: ${(stderr || stdout).trim()}`,
  );
}
