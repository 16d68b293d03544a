import type { IpFamily } from "../../lib/ip-addr.ts";
import type { DesiredSet, SetChange } from "./ip-set.ts";
import { WantedSet } from "./wanted-set.ts";

/** IP sets of one family that are wanted, whoever compares them with the kernel's. */
export class DesiredSets {
  protected readonly family: IpFamily;
  protected readonly desired: Map<string, WantedSet> = new Map();

  constructor(family: IpFamily) {
    this.family = family;
  }

  set(name: string, desired: DesiredSet): void {
    this.desired.set(name, new WantedSet(desired, this.family));
  }

  /** Some more members and some less of a desired set: costs what changes, not what it holds. */
  change(name: string, change: SetChange): void {
    this.desired.get(name)?.change(change);
  }

  delete(name: string): void {
    this.desired.delete(name);
  }

  desiredNames(): readonly string[] {
    return [...this.desired.keys()];
  }
}
