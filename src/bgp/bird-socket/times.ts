const hourMs = 3_600_000;

/** As BIRD writes a moment in its tables: the time within 20 hours, the date before. In UTC. */
export function shortTime(when: Date, now: Date): string {
  const iso = when.toISOString();
  return now.getTime() - when.getTime() < 20 * hourMs ? iso.slice(11, 19) : iso.slice(0, 10);
}

/** "2026-01-02 03:04:05", in UTC. */
export function longTime(when: Date): string {
  return when.toISOString().slice(0, 19).replace("T", " ");
}
