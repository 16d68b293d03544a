import {
  type ClientRequest,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { createSecureContext, type SecureContext } from "node:tls";
import { Backoff } from "../../lib/backoff.ts";
import { parseBigJson, stringifyBigJson } from "../../lib/big-json.ts";
import type { Clock } from "../../lib/clock.ts";
import { KeptValue } from "../../lib/kept-value.ts";
import type { KubeAuth, TlsOptions } from "./kube-auth.ts";
import {
  type Asked,
  isKnownKind,
  type KubeAnswer,
  refusalOf,
  unavailable,
  whatOf,
} from "./kube-error.ts";
import type { KubeObject } from "./kube-object.ts";

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly asked: Asked;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Reads the body of a success, from its beginning at each try; as JSON when absent. */
  readonly read?: (body: IncomingMessage) => Promise<unknown>;
}

/** An object that may not be there, nor its kind. */
export interface Found {
  readonly isKnownKind: boolean;
  readonly object?: KubeObject;
}

export interface KubeHttpPorts {
  readonly auth: KubeAuth;
  readonly clock: Clock;
  /** Longest time of one call, with all its tries. */
  readonly deadlineMs: number;
}

/** A peer that is gone without a word: libuv probes each second after this, ten times. */
const keepAliveMs = 10_000;
const retry = { minMs: 100, maxMs: 1_000 };
const maxSockets = 32;

/**
 * Requests to an API server: JSON that keeps every digit, a deadline for each call, and tries again
 * where that cannot do a thing twice.
 */
export class KubeHttp {
  readonly #ports: KubeHttpPorts;
  readonly #agents: readonly [calls: HttpAgent, streams: HttpAgent];
  /** To make one takes longer than a request. */
  readonly #context = new KeptValue<SecureContext>();

  constructor(ports: KubeHttpPorts) {
    this.#ports = ports;
    const Agent = ports.auth.server.protocol === "https:" ? HttpsAgent : HttpAgent;
    const options = { keepAlive: true, keepAliveMsecs: keepAliveMs };
    this.#agents = [new Agent({ ...options, maxSockets }), new Agent(options)];
  }

  /** @throws {DatastoreError} or {InputError} for any answer but success. */
  async call(request: KubeRequest): Promise<unknown> {
    const answer = await this.#answerTo(request);
    if (answer.status >= 300) throw refusalOf(answer, request.asked);
    return request.read === undefined ? parseKubeJson(answer.text) : answer.value;
  }

  /** One object, of a kind that the server need not have. @throws as `call`, but not for 404. */
  async find(request: KubeRequest): Promise<Found> {
    const answer = await this.#answerTo(request);
    if (answer.status === 404) return { isKnownKind: isKnownKind(answer) };
    if (answer.status >= 300) throw refusalOf(answer, request.asked);
    return { isKnownKind: true, object: parseKubeJson(answer.text) as KubeObject };
  }

  async #answerTo(request: KubeRequest): Promise<WholeAnswer> {
    const { clock, deadlineMs } = this.#ports;
    const deadline = new AbortController();
    const cancel = clock.setTimer(deadlineMs, () =>
      deadline.abort(new Error(`no answer in ${deadlineMs} ms`)),
    );
    try {
      return await this.#tryUntil(deadline.signal, request);
    } finally {
      cancel();
    }
  }

  /** Whether anybody answers, whatever. @throws when not, within the deadline. */
  async ping(): Promise<void> {
    const { clock, deadlineMs } = this.#ports;
    const deadline = new AbortController();
    const cancel = clock.setTimer(deadlineMs, () => deadline.abort(new Error("no answer")));
    try {
      const response = await this.#open("GET", "/version", deadline.signal);
      response.resume();
    } finally {
      cancel();
    }
  }

  /** The body of a long answer, as it comes. It ends when `signal` aborts. */
  async stream(path: string, asked: Asked, signal: AbortSignal): Promise<IncomingMessage> {
    const { clock, deadlineMs } = this.#ports;
    const late = new AbortController();
    const cancel = clock.setTimer(deadlineMs, () =>
      late.abort(new Error(`no answer in ${deadlineMs} ms`)),
    );
    try {
      const stop = AbortSignal.any([signal, late.signal]);
      for (;;) {
        const response = await this.#open("GET", path, stop, { stream: true });
        response.socket.setKeepAlive(true, keepAliveMs);
        if (response.statusCode === 200) return response;
        const answer = await answerOf(response);
        if (answer.status === 401) await this.#ports.auth.renew();
        // A server that just started says so until it has read its store.
        if (answer.status !== 429) throw refusalOf(answer, asked);
        const waited = clock.sleep(Math.max(retry.minMs, answer.retryAfterMs), stop);
        if (!(await waited.then(yes, no))) throw refusalOf(answer, asked);
      }
    } catch (error) {
      throw asUnavailable(error, asked);
    } finally {
      cancel();
    }
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  async #tryUntil(deadline: AbortSignal, request: KubeRequest): Promise<WholeAnswer> {
    const backoff = new Backoff(retry);
    let renewed = false;
    for (;;) {
      let failure: unknown;
      let waitMs = backoff.next();
      try {
        const answer = await this.#ask(request, deadline);
        if (answer.status === 401 && !renewed) {
          renewed = true;
          await this.#ports.auth.renew();
          continue;
        }
        if (!isWorthRetry(answer.status, request)) return answer;
        failure = refusalOf(answer, request.asked);
        waitMs = Math.max(waitMs, answer.retryAfterMs);
      } catch (error) {
        if (deadline.aborted || !isSafeRetry(error, request)) {
          throw asUnavailable(deadline.aborted ? deadline.reason : error, request.asked);
        }
        failure = error;
      }
      const slept = this.#ports.clock.sleep(waitMs, deadline);
      if (!(await slept.then(yes, no))) throw asUnavailable(failure, request.asked);
    }
  }

  async #ask(
    { method, path, body, contentType = "application/json", read }: KubeRequest,
    signal: AbortSignal,
  ): Promise<WholeAnswer> {
    const text = body === undefined ? undefined : stringifyBigJson(body);
    const content = text === undefined ? {} : { body: text, contentType };
    const response = await this.#open(method, path, signal, content);
    if (read === undefined || response.statusCode !== 200) return await answerOf(response);
    return { status: 200, text: "", retryAfterMs: 0, value: await read(response) };
  }

  async #open(
    method: string,
    path: string,
    signal: AbortSignal,
    content: { body?: string; contentType?: string; stream?: boolean } = {},
  ): Promise<IncomingMessage> {
    const { auth } = this.#ports;
    const { headers, tls } = await auth.current();
    const { server } = auth;
    const { body, contentType, stream = false } = content;
    const secure = server.protocol === "https:";
    const options = {
      ...tls,
      ...(secure ? { secureContext: this.#contextOf(tls) } : {}),
      method,
      host: server.hostname.replace(/^\[|\]$/g, ""),
      port: server.port || (secure ? 443 : 80),
      path: server.pathname.replace(/\/$/, "") + path,
      agent: this.#agents[stream ? 1 : 0],
      headers: {
        ...headers,
        Accept: "application/json",
        "User-Agent": "tortie",
        ...(body === undefined
          ? {}
          : { "Content-Type": contentType, "Content-Length": Buffer.byteLength(body) }),
      },
    };
    return await new Promise((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)(options, resolve);
      request.on("error", reject);
      endWith(signal, request);
      request.end(body);
    });
  }

  #contextOf({ ca, cert, key }: TlsOptions): SecureContext {
    const inputs = [ca, cert, key].map((pem) => pem?.toString());
    return this.#context.of(inputs, () => createSecureContext({ ca, cert, key }));
  }
}

/**
 * Ends a request that has no whole answer yet when `signal` aborts. Node's own `signal` option also ends the
 * socket of one that has: an error which nobody hears, and which ends the process.
 */
function endWith(signal: AbortSignal, request: ClientRequest): void {
  let answer: IncomingMessage | undefined;
  const abort = () => {
    if (answer?.complete !== true) request.destroy(signal.reason as Error);
  };
  request.on("response", (response) => {
    answer = response;
  });
  if (signal.aborted) abort();
  signal.addEventListener("abort", abort, { once: true });
  request.on("close", () => signal.removeEventListener("abort", abort));
}

/** JSON in which a number that no JS number holds is a bigint; looking for one is cheap, reviving is not. */
export function parseKubeJson(text: string): unknown {
  return /\d{16}/.test(text) ? parseBigJson(text) : JSON.parse(text);
}

interface WholeAnswer extends KubeAnswer {
  readonly retryAfterMs: number;
  /** What the request's own reader made of the body. */
  readonly value?: unknown;
}

async function answerOf(response: IncomingMessage): Promise<WholeAnswer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const retryAfter = Number(response.headers["retry-after"] ?? 0);
  return {
    status: response.statusCode ?? 0,
    text: Buffer.concat(chunks).toString(),
    retryAfterMs: Number.isFinite(retryAfter) ? retryAfter * 1000 : 0,
  };
}

/** The server refused for now: 429 says that nothing was done, others may have done it. */
function isWorthRetry(status: number, { method }: KubeRequest): boolean {
  return status === 429 || (status >= 500 && method === "GET");
}

function isSafeRetry(error: unknown, { method }: KubeRequest): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return method === "GET" || code === "ECONNREFUSED" || code === "EHOSTUNREACH";
}

function asUnavailable(error: unknown, asked: Asked): Error {
  if (error instanceof Error && (error.name === "DatastoreError" || error.name === "InputError")) {
    return error;
  }
  const why = error instanceof Error ? error.message : String(error);
  return unavailable(`Cannot ${whatOf(asked)}: ${why}`, error);
}

const yes = () => true;
const no = () => false;
