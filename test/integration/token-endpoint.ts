import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** An OAuth 2 token endpoint: each request gets the next of `token-1`, `token-2`, ... */
export class TokenEndpoint {
  readonly requests: string[] = [];
  url = "";
  readonly #server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      this.requests.push(body);
      this.answer(`${request.headers.authorization ?? ""} ${body}`, response);
    });
  });

  answer = (_request: string, response: ServerResponse): void => {
    const token = { access_token: `token-${this.requests.length}`, token_type: "bearer" };
    response
      .setHeader("content-type", "application/json")
      .end(JSON.stringify({ ...token, expires_in: 3600 }));
  };

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/token`;
    return this;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
