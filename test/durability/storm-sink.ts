import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Chance } from "@fleetmesh/core";

/** A subscriber as anyone would write one, that fails now and then in the ways that sinks fail. */
export class StormSink {
  readonly name: string;
  /** Ids in the order in which each came for the first time. */
  readonly first: string[] = [];
  readonly webhookIds = new Map<string, Set<string>>();
  deliveries = 0;
  isFailing = true;
  readonly #chance: Chance;
  readonly #server = createServer((request, response) => this.#take(request, response));

  constructor(name: string, chance: Chance) {
    this.name = name;
    this.#chance = chance;
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => undefined);
    request.on("end", () => {
      const { id } = JSON.parse(Buffer.concat(chunks).toString()) as { id: string };
      this.#note(id, String(request.headers["webhook-id"]));
      this.#answer(response);
    });
  }

  #note(id: string, webhookId: string): void {
    this.deliveries += 1;
    const known = this.webhookIds.get(id);
    if (known !== undefined) {
      known.add(webhookId);
      return;
    }
    this.webhookIds.set(id, new Set([webhookId]));
    this.first.push(id);
  }

  #answer(response: ServerResponse): void {
    const roll = this.isFailing ? this.#chance.float() : 1;
    if (roll < 0.02) response.writeHead(500).end();
    else if (roll < 0.03) response.destroy();
    else if (roll < 0.04) setTimeout(() => response.writeHead(204).end(), 1_500);
    else response.writeHead(204).end();
  }
}
