import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { systemClock } from "@fleetmesh/core";
import { afterEach, describe, expect, it } from "vitest";
import { HttpPulsarAdmin } from "../src/http-pulsar-admin.ts";

describe("what the admin says of a broker's failure", () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  async function adminOf(status: number, body: string): Promise<HttpPulsarAdmin> {
    server = createServer((_, response) => response.writeHead(status).end(body)).listen(0);
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const place = { tenant: "fleet", namespace: "mesh" };
    return new HttpPulsarAdmin({ url: `http://127.0.0.1:${port}`, ...place, clock: systemClock });
  }

  it("is the message of an unexpected error, without its stack", async () => {
    const message = "ManagedLedgerException: Error while recovering ledger error code: -10";
    const page = `\n --- An unexpected error occurred in the server ---\n\nMessage: ${message}\n\nStacktrace:\n\nat org.apache`;
    const admin = await adminOf(500, JSON.stringify({ reason: page }));
    await expect(admin.lastMessageId("vehicle.speed")).rejects.toThrow(
      new RegExp(`lastMessageId with 500: ${message}$`),
    );
  });

  it("is the reason of every other answer", async () => {
    const admin = await adminOf(412, JSON.stringify({ reason: "Topic is fenced" }));
    await expect(admin.lastMessageId("vehicle.speed")).rejects.toThrow(
      /with 412: Topic is fenced$/,
    );
  });

  it("is the token, not a permission, where the broker does not know who asks", async () => {
    const unknown = await adminOf(401, "<html><title>Error 401 Authentication required</title>");
    await expect(unknown.ensureNamespace([])).rejects.toThrow(
      /\(401\): the token is missing, wrong or expired$/,
    );
    await unknown.close();
    for (const status of [401, 403]) {
      server?.close();
      const known = await adminOf(status, JSON.stringify({ reason: "Unauthorized" }));
      await expect(known.ensureNamespace([])).rejects.toThrow(
        `(${status}): it needs the role of an administrator of the tenant "fleet"`,
      );
      await known.close();
    }
  });
});
