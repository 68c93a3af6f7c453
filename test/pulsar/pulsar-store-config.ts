import type { RuntimeConfigInput } from "@fleetmesh/cloud-runtime";
import type { PulsarRoom } from "../servers/shared-pulsar.ts";

/** The store of a runtime's configuration, in this room. */
export function pulsarStoreConfig({
  server,
  namespace: place,
}: PulsarRoom): NonNullable<RuntimeConfigInput["store"]> {
  const [tenant = "", namespace = ""] = place.split("/");
  const { brokerUrl: serviceUrl, webUrl: adminUrl, token } = server;
  const secret = token === undefined ? {} : { token };
  return { type: "pulsar", serviceUrl, adminUrl, tenant, namespace, ...secret };
}
