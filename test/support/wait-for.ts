/**
 * Waits until `condition` gives something true, asked every `intervalMs`.
 *
 * @throws {Error} after `timeoutMs`, with what the condition gave or threw last.
 */
export async function waitFor<Value>(
  condition: () => Value | Promise<Value>,
  {
    timeoutMs = 30_000,
    what = "condition",
    intervalMs = 20,
  }: { timeoutMs?: number; what?: string; intervalMs?: number } = {},
): Promise<NonNullable<Value>> {
  const end = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < end) {
    try {
      last = await condition();
      if (last) return last as NonNullable<Value>;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
  throw new Error(`Cannot wait longer than ${timeoutMs} ms for ${what}`, { cause: last });
}
