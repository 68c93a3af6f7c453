import { topics, type PulsarWorld } from "./pulsar-world.ts";

type Fault = (world: PulsarWorld) => Promise<void> | void;

const pass = async (world: PulsarWorld, msMax: number): Promise<void> => {
  await world.clock.advance(world.below(msMax));
};

/** Ways in which a broker, its network, another node or this one fail. Each is over when it resolves. */
const faults: readonly Fault[] = [
  ({ broker }) => {
    broker.cut();
  },
  (world) => {
    const names = [...topics, "_mesh.journal", "_mesh.state"];
    world.broker.cut(names[world.below(names.length)]);
  },
  async (world) => {
    world.broker.setDown(true);
    await pass(world, 3_000);
    world.broker.setDown(false);
  },
  async (world) => {
    // Longer than a send waits, or shorter.
    world.broker.setStalled(true);
    await pass(world, 3_000);
    world.broker.setStalled(false);
  },
  async (world) => {
    const topic = topics[world.below(topics.length)] ?? topics[0];
    world.broker.setDenied(topic, true);
    await pass(world, 2_000);
    world.broker.setDenied(topic, false);
  },
  // Another node may own the store now, as far as this one knows.
  ({ broker }) => {
    broker.cut("_mesh.fence");
  },
  ({ broker }) => {
    broker.logs.get("_mesh.state")?.compact();
  },
  (world) => world.crash(),
  (world) => world.reopen(),
];

export async function randomFault(world: PulsarWorld): Promise<void> {
  const fault = faults[world.below(faults.length)] as Fault;
  await fault(world);
}
