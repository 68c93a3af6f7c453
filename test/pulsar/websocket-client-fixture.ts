import { systemChance, systemClock } from "@fleetmesh/core";
import { HttpPulsarAdmin, WebSocketPulsarClient } from "@fleetmesh/pulsar";
import type { PulsarClientFixture } from "../contract/pulsar-client.contract.ts";
import { freshNamespace } from "../servers/pulsar-namespace.ts";
import type { PulsarAddress } from "../servers/pulsar-server.ts";
import { cutSockets } from "./cut-sockets.ts";

export interface WebSocketFixture extends PulsarClientFixture {
  /** tenant/namespace. */
  readonly place: string;
}

/** Clients of the WebSocket API in a namespace of their own. */
export async function openWebSocketFixture(
  server: PulsarAddress,
  options: { readonly silenceMsMax?: number; readonly beatMs?: number } = {},
): Promise<WebSocketFixture> {
  const place = await freshNamespace(server);
  const [tenant = "", namespace = ""] = place.split("/");
  const at = { tenant, namespace, clock: systemClock, chance: systemChance };
  const admin = new HttpPulsarAdmin({ url: server.webUrl, ...at });
  await admin.ensureNamespace([server.cluster]);
  const clients: WebSocketPulsarClient[] = [];
  return {
    admin,
    place,
    async open() {
      const client = new WebSocketPulsarClient({ url: server.wsUrl, ...at, ...options });
      clients.push(client);
      await client.start();
      return client;
    },
    cut: () => cutSockets(Number(new URL(server.wsUrl).port)),
    async close() {
      await Promise.all(clients.map((client) => client.stop(AbortSignal.timeout(5_000))));
      await admin.close();
    },
  };
}
