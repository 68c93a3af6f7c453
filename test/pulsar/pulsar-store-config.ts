import type { RuntimeConfigInput } from "@fleetmesh/cloud-runtime";
import type { PulsarRoom } from "../servers/shared-pulsar.ts";

/** The store of a runtime's configuration, in this room. Without a serviceUrl it takes the WebSocket API by itself. */
export function pulsarStoreConfig(
  { server, namespace: place }: PulsarRoom,
  client: "binary" | "websocket" = "binary",
): Extract<RuntimeConfigInput["store"], { readonly type: "pulsar" }> {
  const [tenant = "", namespace = ""] = place.split("/");
  const { brokerUrl: serviceUrl, webUrl: adminUrl, token } = server;
  const secret = token === undefined ? {} : { token };
  const service = client === "binary" ? { serviceUrl } : {};
  return { type: "pulsar", adminUrl, tenant, namespace, ...service, ...secret };
}
