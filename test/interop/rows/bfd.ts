import { addresses, fail, toThem } from "../lab.ts";
import type { Row } from "./row.ts";

/** A daemon that hangs: its hold time would be 90 s. More of BFD is in bfd-bird and bfd-frr. */
export const bfd: Row = async (lab) => {
  const { us, them } = await lab.established({ neighbor: { bfd: {} }, daemon: { bfd: true } });
  await lab.until("BFD at the daemon", () => them.bfdUp?.(addresses.us[4]));
  them.pause();
  await lab.until("the end by BFD", async () => {
    const { state, lastError } = await us.peer(toThem);
    return (
      (state !== "Established" && /BFD/.test(lastError ?? "")) || fail(`${state}: ${lastError}`)
    );
  });
};
