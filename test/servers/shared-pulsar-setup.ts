import type { TestProject } from "vitest/node";
import { pulsarMissing } from "./pulsar-distribution.ts";
import { PulsarServer, type PulsarAddress } from "./pulsar-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    readonly pulsar: PulsarAddress | { readonly missing: string };
  }
}

let server: PulsarServer | undefined;

/**
 * Starts the one standalone Pulsar that all files of the project share: each start costs some ten seconds of processor time.
 * FLEETMESH_TEST_PULSAR (an address as JSON) names one that runs already.
 */
export async function setup(project: TestProject): Promise<void> {
  const running = process.env["FLEETMESH_TEST_PULSAR"];
  if (running !== undefined) {
    project.provide("pulsar", JSON.parse(running) as PulsarAddress);
    return;
  }
  const missing = pulsarMissing();
  if (missing !== undefined) {
    project.provide("pulsar", { missing });
    return;
  }
  process.stderr.write("Starting Pulsar ...\n");
  server = await PulsarServer.start({ name: "cn-east" });
  project.provide("pulsar", server.address);
}

export async function teardown(): Promise<void> {
  await server?.close();
}
