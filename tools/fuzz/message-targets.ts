import assert from "node:assert/strict";
import { attributeRows } from "../../src/bgp/wire/attribute-rows.ts";
import { decodePathAttributes } from "../../src/bgp/wire/attributes.ts";
import type { DecodeContext } from "../../src/bgp/wire/context.ts";
import { messageType } from "../../src/bgp/wire/header.ts";
import {
  decodeShutdownCommunication,
  encodeShutdownCommunication,
} from "../../src/bgp/wire/shutdown-communication.ts";
import { vectors } from "../../test/vectors/vectors.ts";
import { checkMessage, decodeStream, outcomeText } from "./check-message.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { joined } from "./mutate.ts";
import {
  type Attribute,
  attributeBytes,
  attributes,
  bodiesOf,
  randomOpen,
  randomPrefixes,
  randomUpdate,
  updateBody,
} from "./parts.ts";
import type { Random } from "./random.ts";

/** Targets for what comes in on a BGP session. */

const plain: DecodeContext = { fourOctetAs: true, external: false, families: [4, 6] };
const none = new Uint8Array(0);

interface OptionSet {
  readonly name: string;
  readonly context: DecodeContext;
}

/** Every set of options that changes how an UPDATE is read. */
const optionSets: readonly OptionSet[] = [true, false].flatMap((fourOctetAs) =>
  [false, true].flatMap((external) =>
    [false, true].flatMap((addPath) =>
      [false, true].map((extendedNextHop) => ({
        name: [
          fourOctetAs ? "as4" : "as2",
          external ? "ebgp" : "ibgp",
          ...(addPath ? ["add-path"] : []),
          ...(extendedNextHop ? ["extended-next-hop"] : []),
        ].join("-"),
        context: {
          fourOctetAs,
          external,
          families: [4, 6],
          addPath: addPath ? [4, 6] : [],
          extendedNextHop,
        },
      })),
    ),
  ),
);

function updateTarget(name: string, context: DecodeContext): FuzzTarget {
  return {
    name: `update/${name}`,
    corpus: bodiesOf(messageType.update),
    maxLength: 8000,
    generate: randomUpdate,
    run: (input) => outcomeText(checkMessage(messageType.update, input, context)),
  };
}

/** The value of one attribute behind the options of the session and its flags. */
function attributeTarget({ code, name, onError }: (typeof attributeRows)[number]): FuzzTarget {
  const seeds = attributes.filter((attribute) => attribute.code === code);
  const beside = attributes.filter(
    (attribute, index) =>
      attribute.code <= 3 &&
      attribute.code !== code &&
      attributes.findIndex((each) => each.code === attribute.code) === index,
  );
  const prefix = Uint8Array.of(24, 10, 1, 2);
  return {
    name: `attribute/${name}`,
    corpus: seeds.flatMap(({ flags, value }) =>
      optionSets.map((_, index) => joined(Uint8Array.of(index, flags), value)),
    ),
    maxLength: 600,
    run: ([index = 0, flags = 0, ...value]) => {
      const { context } = optionSets[index % optionSets.length] as OptionSet;
      const attribute: Attribute = { flags, code, value: Uint8Array.from(value) };
      const field = joined(...[...beside, attribute].map(attributeBytes));
      const nlri =
        context.addPath?.length === 0 ? prefix : joined(Uint8Array.of(0, 0, 0, 1), prefix);
      const outcome = checkMessage(messageType.update, updateBody(none, field, nlri), context);
      // RFC 7606: nothing but prefixes that cannot be read ends a session.
      if (onError !== "reset") assert.ok("message" in outcome, `${name} must not reset`);
      return outcomeText(outcome);
    },
  };
}

const streamTarget: FuzzTarget = {
  name: "stream",
  corpus: vectors.map(({ bytes }) => bytes),
  maxLength: 20_000,
  generate: (random) =>
    joined(...Array.from({ length: 1 + random.below(4) }, () => random.pick(vectors).bytes)),
  run: (input) => {
    const outcomes = optionSets.map(({ context }) => decodeStream(input, context).map(outcomeText));
    return outcomes[0]?.join(" ") ?? "";
  },
};

export const messageTargets: readonly FuzzTarget[] = [
  streamTarget,
  {
    name: "open",
    corpus: bodiesOf(messageType.open),
    maxLength: 4000,
    generate: randomOpen,
    run: (input) => outcomeText(checkMessage(messageType.open, input, plain)),
  },
  bodyTarget("notification", messageType.notification),
  bodyTarget("keepalive", messageType.keepalive),
  bodyTarget("route-refresh", messageType.routeRefresh),
  ...optionSets.map(({ name, context }) => updateTarget(name, context)),
  updateTarget("ipv4-only", { ...plain, families: [4] }),
  updateTarget("ipv6-only", { ...plain, families: [6] }),
  ...attributeRows.map(attributeTarget),
  {
    name: "path-attributes",
    corpus: attributes.map(attributeBytes),
    maxLength: 2000,
    run: (input) => {
      const found = optionSets.map(({ context }) => decodePathAttributes(input, context));
      return Object.keys(found[0] ?? {}).join();
    },
  },
  {
    name: "withdrawn-routes",
    corpus: [none],
    maxLength: 2000,
    generate: randomPrefixes,
    run: (input) => {
      const body = updateBody(input, none, none);
      return optionSets
        .map(({ context }) => outcomeText(checkMessage(messageType.update, body, context)))
        .join();
    },
  },
  {
    name: "shutdown-communication",
    corpus: [encodeShutdownCommunication("back at 5"), encodeShutdownCommunication("Füße 👣")],
    maxLength: 300,
    run: (input) => {
      const words = decodeShutdownCommunication(input);
      if (words === undefined) return "none";
      const again = encodeShutdownCommunication(words);
      assert.equal(decodeShutdownCommunication(again), words);
      return "words";
    },
  },
];

function bodyTarget(name: string, type: number): FuzzTarget {
  return {
    name,
    corpus: bodiesOf(type),
    maxLength: 4000,
    ...(type === messageType.notification && { generate: randomNotification }),
    run: (input) => outcomeText(checkMessage(type, input, plain)),
  };
}

function randomNotification(random: Random): Uint8Array {
  const data = random.octets(random.below(20));
  return joined(Uint8Array.of(random.below(10), random.below(13)), data);
}
