export type Environment = Readonly<Record<string, string | undefined>>;

/** The value of a variable, under its own name or with the prefix CALICO_; empty counts as absent. */
export function variable(env: Environment, name: string): string | undefined {
  return env[name] || env[`CALICO_${name}`] || undefined;
}
