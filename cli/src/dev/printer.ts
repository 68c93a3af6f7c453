import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { MeshError, type Part } from "@fleetmesh/core";

const linesPerSecondMax = 20;

/** A subscriber as anyone would write one: a plain HTTP server that answers 204 and prints what it got. */
export class Printer implements Part {
  readonly name = "printer";
  readonly #port: number;
  readonly #print: (line: string) => void;
  readonly #server: Server;
  #second = 0;
  #printed = 0;
  #skipped = 0;

  constructor(port: number, print: (line: string) => void) {
    this.#port = port;
    this.#print = print;
    this.#server = createServer((request, response) => this.#receive(request, response));
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", (cause) => {
        reject(
          new MeshError(
            "PORT_TAKEN",
            `The printer cannot listen on port ${this.#port}: ${cause.message}`,
            { cause },
          ),
        );
      });
      this.#server.listen(this.#port, "127.0.0.1", resolve);
    });
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => void this.#server.close(() => resolve()));
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => response.destroy());
    request.on("end", () => {
      response.writeHead(204).end();
      this.#show(Buffer.concat(chunks).toString("utf8"));
    });
  }

  /** A flood of events must not become a flood of lines: the rest of a second is counted instead. */
  #show(body: string): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      if (this.#skipped > 0) this.#print(`... and ${this.#skipped} more`);
      this.#second = second;
      this.#printed = 0;
      this.#skipped = 0;
    }
    if (this.#printed >= linesPerSecondMax) {
      this.#skipped += 1;
      return;
    }
    this.#printed += 1;
    this.#print(body);
  }
}
