const shortest = 300;
const spread = 300;

/** When the server is to end a watch, and we go on: so that watches spread over servers. */
export function watchSeconds(): number {
  return shortest + Math.floor(Math.random() * spread);
}
