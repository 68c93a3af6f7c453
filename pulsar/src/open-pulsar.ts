import { readFileSync } from "node:fs";
import { MeshError, type Chance, type Clock } from "@fleetmesh/core";
import type { BrokerTls } from "./binary/broker-socket.ts";
import { BinaryPulsarClient } from "./binary-pulsar-client.ts";
import { HttpPulsarAdmin } from "./http-pulsar-admin.ts";
import type { PulsarClient } from "./pulsar-client.ts";
import { tokenSource } from "./token-source.ts";
import { WebSocketPulsarClient } from "./websocket-pulsar-client.ts";

/** Where a cluster is and who we are there, as a configuration says it. */
export interface PulsarConnection {
  /** pulsar://host:6650 or pulsar+ssl://host:6651; several hosts with commas between. */
  readonly serviceUrl?: string | undefined;
  /** http://host:8080 or https://host:8443; several with commas between. */
  readonly adminUrl: string;
  readonly tenant: string;
  readonly namespace: string;
  /** `auto` takes the binary protocol, and the WebSocket API at `adminUrl` only where there is no `serviceUrl`. */
  readonly client: "auto" | "binary" | "websocket";
  readonly token?: string | undefined;
  /** Read at each connection, so that a token that was renewed counts without a restart. */
  readonly tokenFile?: string | undefined;
  readonly tls?: PulsarTlsFiles | undefined;
}

interface PulsarTlsFiles {
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

interface PulsarPorts {
  readonly clock: Clock;
  readonly chance: Chance;
}

/** The client that the configuration asks for. Nothing is connected yet. Throws CONFIG_INVALID or CONFIG_UNREADABLE. */
export function openPulsarClient(connection: PulsarConnection, ports: PulsarPorts): PulsarClient {
  const { serviceUrl, adminUrl, client, tenant, namespace } = connection;
  const place = {
    tenant,
    namespace,
    token: tokenSource(connection, ports.clock),
    tls: readTls(connection.tls),
  };
  if (client === "websocket" || (client === "auto" && serviceUrl === undefined))
    return new WebSocketPulsarClient({ ...place, ...ports, url: socketUrlOf(adminUrl) });
  if (serviceUrl === undefined)
    throw new MeshError("CONFIG_INVALID", "The binary protocol needs serviceUrl", {
      hint: "Give the brokers' address as serviceUrl: pulsar://host:6650.",
    });
  return new BinaryPulsarClient({ ...place, ...ports, url: serviceUrl, compression: "zlib" });
}

/** The same cluster's administration. */
export function openPulsarAdmin(
  connection: PulsarConnection,
  { clock }: Pick<PulsarPorts, "clock">,
): HttpPulsarAdmin {
  const { adminUrl: url, tenant, namespace, tls } = connection;
  const token = tokenSource(connection, clock);
  return new HttpPulsarAdmin({ url, tenant, namespace, token, ca: readTls(tls)?.ca, clock });
}

/** A broker has its WebSocket API on its web port. */
function socketUrlOf(adminUrl: string): string {
  const urls = adminUrl.split(",").map((url) => url.trim().replace(/^http/, "ws"));
  return urls.join(",");
}

function readTls(files: PulsarTlsFiles | undefined): BrokerTls | undefined {
  if (files === undefined) return undefined;
  const { caFile, certFile, keyFile } = files;
  return { ca: read(caFile), cert: read(certFile), key: read(keyFile) };
}

function read(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    throw new MeshError("CONFIG_UNREADABLE", `Cannot read ${file}`, { cause });
  }
}
