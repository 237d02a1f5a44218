// The operators' HTTP door of a process: /healthz (it runs), /readyz (it can serve), /metrics.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Closable, type Logger, LumeoError } from "@lumeofs/base";
import type { MetricsText } from "./prometheus.js";

/** Whether the process can serve, and if not, why. */
export type Readiness =
  | { readonly kind: "ready" }
  | { readonly kind: "notReady"; readonly why: string };

export interface AdminHttpOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly readiness: () => Readiness;
  readonly metrics?: MetricsText;
  readonly logger: Logger;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Serves until closed. Reads no request body and answers only GET and HEAD. */
export class AdminHttp implements Closable {
  readonly #server: Server;
  readonly port: number;

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** @throws LumeoError CONFIG if the address cannot be used. */
  static async start(options: AdminHttpOptions): Promise<AdminHttp> {
    const server = createServer((request, response) => void respond(options, request, response));
    server.listen(options.port, options.host);
    try {
      await once(server, "listening");
    } catch (cause) {
      const why = (cause as Error).message;
      const where = `${options.host}:${options.port}`;
      throw new LumeoError("CONFIG", `Cannot serve metrics at ${where}: ${why}`, { cause });
    }
    return new AdminHttp(server, (server.address() as AddressInfo).port);
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }
}

async function respond(
  options: AdminHttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let answer: Answer;
  try {
    answer = await answerTo(options, request);
  } catch (error) {
    options.logger.error("admin request failed", { path: request.url ?? "", error });
    answer = text(500, "failed");
  }
  response.writeHead(answer.status, { "content-type": answer.type });
  response.end(request.method === "HEAD" ? undefined : answer.body);
}

async function answerTo(options: AdminHttpOptions, request: IncomingMessage): Promise<Answer> {
  if (request.method !== "GET" && request.method !== "HEAD") return text(405, "use GET");
  switch (request.url?.split("?")[0]) {
    case "/healthz":
      return text(200, "ok");
    case "/readyz": {
      const readiness = options.readiness();
      return readiness.kind === "ready" ? text(200, "ready") : text(503, readiness.why);
    }
    case "/metrics": {
      if (options.metrics === undefined) return text(404, "no metrics here");
      const body = await options.metrics.text();
      return { status: 200, type: options.metrics.contentType, body };
    }
    default:
      return text(404, "try /healthz, /readyz or /metrics");
  }
}

function text(status: number, body: string): Answer {
  return { status, type: "text/plain; charset=utf-8", body: `${body}\n` };
}
