import type { Resource } from "../meta.ts";

/** Addresses that are not given to anybody who does not have them already (facts 2.3). */
export interface IPReservationSpec {
  /** CIDRs or addresses. */
  readonly reservedCIDRs?: readonly string[];
}
export type IPReservation = Resource<"IPReservation", IPReservationSpec>;
