import type { Kernel, KernelLink, TokenBucket } from "../../kernel/kernel.ts";
import type { PresentEndpoint } from "./endpoint-manager.ts";
import type { KernelLinks } from "./kernel-links.ts";
import { ifbName, ifbPrefix, sameBucket, tokenBucket } from "./token-bucket.ts";

/** How the kernel shows a redirect whose device was removed. */
const goneDevice = 0;

/** As the kernel has them, by ifindex. */
interface Traffic {
  readonly limits: Map<number, TokenBucket>;
  readonly redirects: Map<number, number | undefined>;
}

/**
 * Pods' bandwidths (facts 4.19). A token bucket filter holds back what is sent to a device: for what goes
 * to a pod the host's end of its veth, for what the pod sends a device of its own, to which all that
 * comes in by the veth is redirected.
 */
export class BandwidthManager {
  readonly #kernel: Kernel;
  readonly #links: KernelLinks;
  #traffic: Traffic | undefined;

  constructor(kernel: Kernel, links: KernelLinks) {
    this.#kernel = kernel;
    this.#links = links;
  }

  /** The next apply lists the kernel first. */
  resync(): void {
    this.#traffic = undefined;
  }

  /** @returns what failed; it is tried again by the next apply. */
  async apply(present: readonly PresentEndpoint[]): Promise<unknown[]> {
    const errors: unknown[] = [];
    let traffic: Traffic;
    try {
      traffic = this.#traffic ??= await this.#list();
    } catch (error) {
      return [error];
    }
    const wanted = new Set<string>();
    for (const one of present) {
      const { link, endpoint } = one;
      if (endpoint.qos?.egress.bandwidth !== undefined) wanted.add(ifbName(link.name));
      try {
        await this.#ingress(one, traffic);
        await this.#egress(one, traffic);
      } catch (error) {
        // What is refused to one must not keep the others without their limits.
        this.resync();
        errors.push(error);
        // Something may lead there still.
        wanted.add(ifbName(link.name));
      }
    }
    for (const { name, ifindex } of this.#links.withPrefix(ifbPrefix)) {
      if (!wanted.has(name)) await this.#kernel.links.remove(ifindex).catch((e) => errors.push(e));
    }
    return errors;
  }

  async #list(): Promise<Traffic> {
    const { limits, redirects } = await this.#kernel.traffic.list();
    return { limits: new Map(limits), redirects: new Map(redirects) };
  }

  async #ingress({ link, endpoint }: PresentEndpoint, traffic: Traffic): Promise<void> {
    const { bandwidth } = endpoint.qos?.ingress ?? {};
    if (bandwidth !== undefined) await this.#limit(link, tokenBucket(bandwidth, link.mtu), traffic);
    else if (traffic.limits.has(link.ifindex)) {
      await this.#kernel.traffic.remove(link.ifindex, "root");
      traffic.limits.delete(link.ifindex);
    }
  }

  async #egress({ link, endpoint }: PresentEndpoint, traffic: Traffic): Promise<void> {
    const { redirects } = traffic;
    const { bandwidth } = endpoint.qos?.egress ?? {};
    if (bandwidth !== undefined) {
      const ifb = await this.#device(link);
      await this.#limit(ifb, tokenBucket(bandwidth, link.mtu), traffic);
      if (redirects.get(link.ifindex) === ifb.ifindex) return;
      await this.#kernel.traffic.redirect(link.ifindex, ifb.ifindex);
      redirects.set(link.ifindex, ifb.ifindex);
    } else if (this.#isOurs(redirects.get(link.ifindex))) {
      // Before its device goes: until then packets would have nowhere to go.
      await this.#kernel.traffic.remove(link.ifindex, "ingress");
      redirects.delete(link.ifindex);
    }
  }

  /** To a device of ours, or to one that is gone: the kernel drops all that goes there. */
  #isOurs(redirect: number | undefined): boolean {
    return redirect === goneDevice || this.#links.nameOf(redirect)?.startsWith(ifbPrefix) === true;
  }

  async #limit({ ifindex }: KernelLink, bucket: TokenBucket, { limits }: Traffic): Promise<void> {
    if (sameBucket(bucket, limits.get(ifindex))) return;
    await this.#kernel.traffic.limit(ifindex, bucket);
    limits.set(ifindex, bucket);
  }

  async #device(link: KernelLink): Promise<KernelLink> {
    const name = ifbName(link.name);
    let ifb = this.#links.byName(name);
    if (ifb === undefined) {
      await this.#kernel.links.addIfb(name, link.mtu);
      ifb = await this.#links.look(name);
    }
    if (ifb === undefined) throw new Error(`Cannot limit what ${link.name} sends: ${name} is gone`);
    if (!ifb.up || ifb.mtu !== link.mtu) {
      await this.#kernel.links.set(ifb.ifindex, { up: true, mtu: link.mtu });
    }
    return ifb;
  }
}
