import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RuntimeConfigInput } from "@fleetmesh/cloud-runtime";
import { createLogger, systemClock, type Clock, type Logger } from "@fleetmesh/core";

interface Address {
  readonly serviceUrl: string;
  readonly adminUrl: string;
}

interface LocalPulsar {
  start(): Promise<void>;
  stop(deadline: AbortSignal): Promise<void>;
}

/** What `mesh dev` starts its Pulsar with; it is built beside this bench, and in no package's index. */
interface DevPulsar {
  readonly LocalPulsar: new (
    place: Address,
    ports: { readonly clock: Clock; readonly logger: Logger },
  ) => LocalPulsar;
  readonly pulsarHome: string;
  readonly pulsarPlaces: (
    regions: readonly string[],
    dir: string,
    firstPort: number,
  ) => Promise<Address[]>;
}

type Store = NonNullable<RuntimeConfigInput["store"]>;

const firstPort = 19_600;

/** A real Pulsar on this machine, for one bench; or the one that FLEETMESH_TEST_PULSAR names, as the tests have it. */
export class PulsarProcess {
  readonly #address: Address;
  readonly #close: () => Promise<void>;
  #stores = 0;

  /** A text is the reason why there is none. */
  static async start(): Promise<PulsarProcess | string> {
    const running = process.env["FLEETMESH_TEST_PULSAR"];
    if (running !== undefined) {
      const { brokerUrl, webUrl } = JSON.parse(running) as { brokerUrl: string; webUrl: string };
      const address = { serviceUrl: brokerUrl, adminUrl: webUrl };
      return new PulsarProcess(address, () => Promise.resolve());
    }
    const dev = await devPulsar();
    if (!existsSync(join(dev.pulsarHome, "lib")))
      return "Pulsar is missing: node scripts/provision.mjs";
    if (spawnSync("java", ["-version"], { stdio: "ignore" }).status !== 0)
      return "Java 17 is missing";
    const dir = await mkdtemp(join(tmpdir(), "fleetmesh-bench-pulsar-"));
    const [place] = await dev.pulsarPlaces(["bench"], dir, firstPort);
    if (place === undefined) return "no ports are free";
    const logger = createLogger({ part: "pulsar", level: "silent" });
    const pulsar = new dev.LocalPulsar(place, { clock: systemClock, logger });
    await pulsar.start();
    return new PulsarProcess(place, async () => {
      await pulsar.stop(AbortSignal.timeout(10_000));
      await rm(dir, { recursive: true, force: true });
    });
  }

  private constructor(address: Address, close: () => Promise<void>) {
    this.#address = address;
    this.#close = close;
  }

  /** The store of a runtime, in a namespace of its own. */
  store(client: "binary" | "websocket"): Store {
    this.#stores += 1;
    const { serviceUrl, adminUrl } = this.#address;
    const namespace = `bench-${process.pid}-${this.#stores}`;
    return { type: "pulsar", serviceUrl, adminUrl, tenant: "bench", namespace, client };
  }

  close(): Promise<void> {
    return this.#close();
  }
}

async function devPulsar(): Promise<DevPulsar> {
  const parts = ["local-pulsar", "pulsar-distribution", "pulsar-place"].map(
    (name) =>
      import(new URL(`../../../cli/dist/dev/pulsar/${name}.js`, import.meta.url).href) as Promise<
        Partial<DevPulsar>
      >,
  );
  return Object.assign({}, ...(await Promise.all(parts))) as DevPulsar;
}
