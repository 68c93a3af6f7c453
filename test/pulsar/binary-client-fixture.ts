import { systemChance, systemClock } from "@fleetmesh/core";
import { BinaryPulsarClient, HttpPulsarAdmin } from "@fleetmesh/pulsar";
import type { PulsarClientFixture } from "../contract/pulsar-client.contract.ts";
import { freshNamespace } from "../servers/pulsar-namespace.ts";
import type { PulsarAddress } from "../servers/pulsar-server.ts";
import { cutSockets } from "./cut-sockets.ts";

/** Clients of the binary protocol in a namespace of their own. */
export async function openBinaryFixture(
  server: PulsarAddress,
  options: { readonly compression?: "zlib" } = {},
): Promise<PulsarClientFixture> {
  const [tenant = "", namespace = ""] = (await freshNamespace(server)).split("/");
  const at = { tenant, namespace, clock: systemClock, chance: systemChance };
  const admin = new HttpPulsarAdmin({ url: server.webUrl, ...at });
  await admin.ensureNamespace([server.cluster]);
  const clients: BinaryPulsarClient[] = [];
  return {
    admin,
    async open() {
      const client = new BinaryPulsarClient({ url: server.brokerUrl, ...at, ...options });
      clients.push(client);
      await client.start();
      return client;
    },
    cut: () => cutSockets(Number(new URL(server.brokerUrl).port)),
    async close() {
      await Promise.all(clients.map((client) => client.stop(AbortSignal.timeout(5_000))));
      await admin.close();
    },
  };
}
