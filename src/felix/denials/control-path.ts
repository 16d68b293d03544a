/** Where felix answers questions, for the daemon and for those who ask it. */
export function felixControlPath(env: Readonly<Record<string, string | undefined>>): string {
  return `${env["TORTIE_RUN_DIR"] || "/var/run/calico/tortie"}/felix.sock`;
}
