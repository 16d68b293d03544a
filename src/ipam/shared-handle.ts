import type { IPAMBlockSpec } from "../api/resources/ipam.ts";
import type { IpAddr, IpFamily } from "../lib/ip-addr.ts";
import type { Prefix } from "../lib/prefix.ts";
import { claimStep } from "./block-claim.ts";
import {
  type HeldAddress,
  hasOwner,
  heldAddresses,
  isOwner,
  isPending,
  type OwnerAttributes,
  type PodName,
  pendingOwner,
  takeOver,
  withoutOwner,
} from "./block-owners.ts";
import { IpamError } from "./ipam-error.ts";
import type { IpamRecords } from "./ipam-records.ts";
import type { ReleaseRequest } from "./release-addresses.ts";

/** At each so many looks, what others left pending is released: they may have died. */
const patientLooks = 20;

export interface SharedHandlePorts {
  readonly records: IpamRecords;
  release(requests: readonly ReleaseRequest[]): Promise<unknown>;
}

/** A pod that wants the handle's addresses. */
export interface Claim {
  readonly families: readonly IpFamily[];
  readonly owner: OwnerAttributes & { readonly namespace: string; readonly pod: string };
  /** Assigns one address of each of the families under the handle, with these very attributes. */
  assign(families: readonly IpFamily[], attributes: OwnerAttributes): Promise<unknown>;
}

/**
 * A handle with at most one address of each family, whose pods change, and which several nodes may ask for
 * at once: that of a virtual machine (facts 3.12).
 */
export class SharedHandle {
  readonly #handle: string;
  readonly #ports: SharedHandlePorts;

  constructor(handle: string, ports: SharedHandlePorts) {
    this.#handle = handle;
    this.#ports = ports;
  }

  /**
   * The handle's addresses, which the pod has from now on; assigned where there are none.
   *
   * @returns in the order of `families`.
   * @throws {IpamError} too-many-conflicts; what `assign` throws
   */
  claim(claim: Claim): Promise<readonly IpAddr[]> {
    const { families, owner } = claim;
    let looks = 0;
    return this.#ports.records.retry(async () => {
      const isImpatient = ++looks % patientLooks === 0;
      const step = claimStep(await this.addresses(), { families, pod: owner, isImpatient });
      switch (step.kind) {
        case "wait":
          return undefined;
        case "release":
          for (const each of step.addresses) await this.#releaseUnlessTaken(each);
          return undefined;
        case "assign":
          await claim.assign(step.families, pendingOwner(owner));
          return undefined;
        case "settle":
          for (const each of step.addresses) await this.#take(each, owner);
          return undefined;
        case "take":
          for (const each of step.addresses) {
            if (!(await this.#take(each, owner))) return undefined;
          }
          return step.addresses.map(({ address }) => address);
      }
    });
  }

  /** The pod has none of the addresses any more; the handle keeps them. */
  async leave(pod: PodName): Promise<void> {
    for (const block of await this.#blocks()) {
      await this.#change(block, (spec) => withoutOwner(spec, this.#handle, pod));
    }
  }

  /** Releases what no pod has. */
  async releaseUnowned(): Promise<void> {
    for (const each of await this.addresses()) {
      if (!hasOwner(each)) await this.#releaseUnlessTaken(each);
    }
  }

  /** Sees every address that was written before the call. */
  async addresses(): Promise<HeldAddress[]> {
    const { records } = this.#ports;
    const blocks = await Promise.all((await this.#blocks()).map((cidr) => records.block(cidr)));
    return blocks.flatMap((block) =>
      block === undefined ? [] : heldAddresses(block.spec, this.#handle),
    );
  }

  async #blocks(): Promise<Prefix[]> {
    const read = await this.#ports.records.handle(this.#handle);
    return Object.keys(read?.spec.block ?? {}) as Prefix[];
  }

  /** False when somebody else was first. What the pod has just settled needs no write. */
  async #take(seen: HeldAddress, owner: Claim["owner"]): Promise<boolean> {
    const isMine = isOwner(seen.owner, owner) && seen.owner["timestamp"] === owner["timestamp"];
    if (isMine && !isPending(seen)) return true;
    let isTaken = false;
    await this.#change(seen.block as Prefix, (spec) => {
      const changed = takeOver(spec, seen, owner);
      isTaken = changed !== undefined;
      return changed ?? spec;
    });
    return isTaken;
  }

  async #releaseUnlessTaken({ address, handle, sequenceNumber }: HeldAddress): Promise<void> {
    try {
      await this.#ports.release([{ address, handle, sequenceNumber }]);
    } catch (error) {
      if (!(error instanceof IpamError) || error.code !== "owner-changed") throw error;
    }
  }

  /** `act` gives the same object when there is nothing to write; it is called again after a conflict. */
  #change(cidr: Prefix, act: (spec: IPAMBlockSpec) => IPAMBlockSpec): Promise<true> {
    const { records } = this.#ports;
    const attempt = async (): Promise<true> => {
      const read = await records.block(cidr);
      if (read === undefined) return true;
      const changed = act(read.spec);
      if (changed !== read.spec) await records.updateBlock(read, changed);
      return true;
    };
    return records.inTurn(cidr, () => records.retry(attempt));
  }
}
