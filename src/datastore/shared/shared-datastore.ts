import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Service } from "../../lib/service.ts";
import type { Datastore } from "../datastore.ts";
import { FollowedReads } from "./followed-reads.ts";
import { FeedRelay } from "./relay-client.ts";
import { serveFeed } from "./relay-server.ts";
import { SharedFeed, sharedKinds } from "./shared-feed.ts";

interface Ports {
  readonly datastore: Datastore;
  /** Where the processes of a node meet. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The datastore of a node's first process: what all of the node follow is followed here, once, and read from
 * the copy. `serve` tells the others.
 */
export function sharingDatastore({ datastore, path, clock, log }: Ports): {
  readonly datastore: Datastore;
  readonly serve: Service;
} {
  const feed = new SharedFeed(sharedKinds, { datastore, clock, log });
  const reads = new FollowedReads({ datastore, feed, clock });
  const methods: Partial<Datastore> = {
    shared: feed,
    get: reads.get.bind(reads),
    list: reads.list.bind(reads),
    create: reads.create.bind(reads),
    update: reads.update.bind(reads),
    close: () => closeBoth(feed, datastore),
  };
  return { datastore: withMethods(datastore, methods), serve: serveFeed(path, feed, clock) };
}

/** The datastore of a process whose node's first one tells what all of the node follow. */
export function sharedDatastore(ports: Ports): Datastore {
  const feed = new SharedFeed(sharedKinds, { ...ports, datastore: new FeedRelay(ports) });
  const close = () => closeBoth(feed, ports.datastore);
  return withMethods(ports.datastore, { shared: feed, close });
}

async function closeBoth(feed: SharedFeed, datastore: Datastore): Promise<void> {
  await feed.close();
  await datastore.close();
}

/** The datastore, with some of its members replaced. */
function withMethods(datastore: Datastore, methods: Partial<Datastore>): Datastore {
  return new Proxy(datastore, {
    get: (target, name) => {
      if (Object.hasOwn(methods, name)) return methods[name as keyof Datastore];
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
