import { inject, type TestContext } from "vitest";
import { freshNamespace } from "./pulsar-namespace.ts";
import type { PulsarAddress } from "./pulsar-server.ts";
import type {} from "./shared-pulsar-setup.ts";

export interface PulsarRoom {
  readonly server: PulsarAddress;
  /** tenant/namespace, of this caller alone. */
  readonly namespace: string;
}

/** Why there is no shared Pulsar, in the words of a skipped test; undefined if there is one. */
export function sharedPulsarMissing(): string | undefined {
  const pulsar = inject("pulsar");
  return "missing" in pulsar ? pulsar.missing : undefined;
}

/** A namespace on the shared server of the `pulsar` test project; skips the test where there is none. */
export async function sharedPulsar(context: TestContext): Promise<PulsarRoom> {
  const server = inject("pulsar");
  if ("missing" in server) return context.skip(server.missing);
  return { server, namespace: await freshNamespace(server) };
}
