import { randomBytes } from "node:crypto";
import { adminCall, type PulsarAddress } from "./pulsar-server.ts";

/** A tenant and a namespace (tenant/namespace) of a test's own on a server that others use too. */
export async function freshNamespace(server: PulsarAddress): Promise<string> {
  const tenant = `t-${randomBytes(6).toString("hex")}`;
  const namespace = `${tenant}/mesh`;
  const tenantInfo = { adminRoles: [], allowedClusters: [server.cluster] };
  const calls = [
    { path: `tenants/${tenant}`, body: tenantInfo },
    { path: `namespaces/${namespace}`, body: { replication_clusters: [server.cluster] } },
  ];
  for (const call of calls) {
    const { status, text } = await adminCall(server, "PUT", call);
    if (status >= 300) throw new Error(`PUT ${call.path}: ${status} ${text}`);
  }
  return namespace;
}
