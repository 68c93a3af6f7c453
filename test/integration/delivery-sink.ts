import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly id: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export type SinkAnswer = (received: Received, response: ServerResponse) => void;

/** A plain HTTP server as a foreign subscriber would write it. */
export class DeliverySink {
  readonly received: Received[] = [];
  answer: SinkAnswer;
  url = "";
  readonly #server = createServer((request, response) => this.#take(request, response));

  constructor(answer: SinkAnswer = (_, response) => response.writeHead(200).end()) {
    this.answer = answer;
  }

  /** Ids of the events that were answered with 2xx or reached the sink, in order. */
  get ids(): string[] {
    return this.received.map(({ id }) => id);
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/events`;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const { id } = JSON.parse(body) as { id: string };
      const received = { id, headers: request.headers, body };
      this.received.push(received);
      this.answer(received, response);
    });
  }
}

/** Waits for a claim to hold; the test's own time-out is the bound. */
export async function until(claim: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await claim())) await new Promise((resolve) => setTimeout(resolve, 5));
}
