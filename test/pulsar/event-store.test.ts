import { describe, inject, it } from "vitest";
import { testEventStoreContract } from "../contract/event-store.contract.ts";
import { openPulsarServerStore } from "../contract/pulsar-fixtures.ts";
import { sharedPulsarMissing } from "../servers/shared-pulsar.ts";

const missing = sharedPulsarMissing();

if (missing !== undefined)
  describe("EventStore contract: pulsar", () => {
    it.skip(missing);
  });
else
  for (const client of ["binary", "websocket"] as const)
    testEventStoreContract(`pulsar (${client})`, () => {
      const server = inject("pulsar");
      if ("missing" in server) throw new Error(server.missing);
      return openPulsarServerStore(server, { client });
    });
