import { systemChance, systemClock } from "@fleetmesh/core";
import { MemoryBroker, MemoryPulsarAdmin, MemoryPulsarClient } from "@fleetmesh/pulsar";
import { testPulsarClientContract, type PulsarClientFixture } from "./pulsar-client.contract.ts";

function openMemory(): Promise<PulsarClientFixture> {
  const broker = new MemoryBroker({ clock: systemClock, chance: systemChance });
  const clients: MemoryPulsarClient[] = [];
  return Promise.resolve({
    admin: new MemoryPulsarAdmin(broker),
    async open() {
      const client = new MemoryPulsarClient(broker);
      clients.push(client);
      await client.start();
      return client;
    },
    cut: () => broker.cut(),
    crash: () => {
      broker.setDown(true);
      broker.setDown(false);
      return Promise.resolve();
    },
    async close() {
      await Promise.all(clients.map((client) => client.stop()));
    },
  });
}

testPulsarClientContract("memory", openMemory);
