/** Where the control socket of `tortie bgp` is, for the daemon and for those who ask it. */
export function defaultControlPath(env: Readonly<Record<string, string | undefined>>): string {
  return `${env["TORTIE_RUN_DIR"] || "/var/run/calico/tortie"}/bgp.sock`;
}
