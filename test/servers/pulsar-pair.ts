import { adminCall, PulsarServer, type PulsarAddress } from "./pulsar-server.ts";
import type { PulsarSettings } from "../../cli/src/dev/pulsar/pulsar-command.ts";

export interface PulsarPairOptions {
  readonly settings?: PulsarSettings;
}

/** Two clusters of which a test changes nothing but namespaces of its own. */
export interface PulsarPairAddress {
  readonly east: PulsarAddress;
  readonly west: PulsarAddress;
  close(): Promise<void>;
}

/** FLEETMESH_TEST_PULSAR_PAIR (two addresses as a JSON list) names a pair that runs already; without it one is started. */
export async function pulsarPairAddress(): Promise<PulsarPairAddress> {
  const running = process.env["FLEETMESH_TEST_PULSAR_PAIR"];
  if (running === undefined) return PulsarPair.start();
  const [east, west] = JSON.parse(running) as [PulsarAddress, PulsarAddress];
  return { east, west, close: () => Promise.resolve() };
}

/** Two clusters that know each other and share nothing: metadata is set on both, as in the field. */
export class PulsarPair {
  readonly east: PulsarServer;
  readonly west: PulsarServer;

  static async start({ settings = {} }: PulsarPairOptions = {}): Promise<PulsarPair> {
    const names = ["cn-east", "cn-west"];
    const started = await Promise.allSettled(
      names.map((name) => PulsarServer.start({ name, settings })),
    );
    const [east, west] = started.map((each) =>
      each.status === "fulfilled" ? each.value : undefined,
    );
    if (east === undefined || west === undefined) {
      await Promise.all([east?.close(), west?.close()]);
      throw started.find((each) => each.status === "rejected")?.reason;
    }
    const pair = new PulsarPair(east, west);
    await pair.#introduce();
    return pair;
  }

  private constructor(east: PulsarServer, west: PulsarServer) {
    this.east = east;
    this.west = west;
  }

  /** A namespace on both, whose topics are all replicated both ways. `namespace` is tenant/namespace. */
  async replicate(namespace: string): Promise<void> {
    const [tenant = ""] = namespace.split("/");
    const clusters = [this.east.cluster, this.west.cluster];
    const tenantInfo = { adminRoles: [], allowedClusters: clusters };
    for (const server of [this.east, this.west]) {
      await put(server, `tenants/${tenant}`, tenantInfo);
      await put(server, `namespaces/${namespace}`, { replication_clusters: clusters });
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.east.close(), this.west.close()]);
  }

  async #introduce(): Promise<void> {
    const meet = (at: PulsarAddress, other: PulsarAddress) =>
      put(at, `clusters/${other.cluster}`, {
        serviceUrl: other.webUrl,
        brokerServiceUrl: other.brokerUrl,
      });
    await Promise.all([meet(this.east, this.west), meet(this.west, this.east)]);
  }
}

async function put(server: PulsarAddress, path: string, body: unknown): Promise<void> {
  const { status, text } = await adminCall(server, "PUT", { path, body });
  // 409: it is there already.
  if (status >= 300 && status !== 409) throw new Error(`PUT ${path}: ${status} ${text}`);
}
