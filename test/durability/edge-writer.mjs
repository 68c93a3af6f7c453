// Appends to a buffer from several sides at once, drains and acknowledges it, until it is killed. Tells on stdout:
//   A id first..last   an append was acknowledged: ids <life>-<n>      D class sequence id   an event was handed over
//   W class sequence stored expired evicted   the region has this; told before the buffer learns it
import { writeSync } from "node:fs";
import { seededChance, systemClock } from "@fleetmesh/core";
import { SqliteBuffer } from "@fleetmesh/edge-agent";

const [directory, lifeText, durability, bytesMaxText] = process.argv.slice(2);
const life = Number(lifeText);
const chance = seededChance(life * 7919);
const silent = { info() {}, warn() {}, error() {} };
const buffer = new SqliteBuffer({
  directory,
  agentId: "agent-1",
  limits: { bytesMax: Number(bytesMaxText), whenFull: "evict-lowest-class" },
  clock: systemClock,
  chance: { ...chance, hex64: () => `${life.toString(16).padStart(16, "0")}` },
  logger: silent,
  durability,
  reserveBytes: 65_536,
  ackDelayMs: 5,
});
const tell = (line) => writeSync(1, `${line}\n`);
const classes = ["critical", "normal", "bulk"];
let made = 0;

function item(eventClass) {
  made += 1;
  // By its number, so that others can send it again.
  const bytes = Math.floor((((made * 7_919) % 997) / 997) ** 3 * 8_000);
  const event = {
    id: `${life}-${made}`,
    source: "urn:v",
    type: "t",
    subject: undefined,
    time: undefined,
    datacontenttype: undefined,
    dataschema: undefined,
    extensions: [],
    data: Buffer.alloc(bytes, made % 251),
    dataKind: "binary",
  };
  return { eventClass, expiresMs: undefined, entry: { topic: "t", receivedMs: Date.now(), event } };
}

async function write() {
  for (;;) {
    const count = 1 + Math.floor(chance.float() ** 2 * 40);
    const items = Array.from({ length: count }, () =>
      item(classes[Math.floor(chance.float() * 3)]),
    );
    const ids = items.map((one) => one.entry.event.id);
    try {
      await buffer.append(items);
    } catch (error) {
      if (error.kind === "BUFFER_FULL") continue;
      throw error;
    }
    tell(`A ${ids.join(",")}`);
    if (chance.float() < 0.1) await new Promise((resolve) => setTimeout(resolve, 3));
  }
}

async function drain(eventClass, confirmed) {
  const region = { ...confirmed };
  for (;;) {
    const countMax = 1 + Math.floor(chance.float() * 200);
    const segments = await buffer.read({
      eventClass,
      after: region.sequence,
      countMax,
      bytesMax: 200_000,
      nowMs: undefined,
    });
    for (const one of segments) {
      if (one.kind === "gap") {
        region[one.reason] += one.last - region.sequence;
        region.sequence = one.last;
      } else {
        tell(
          `D ${eventClass} ${one.first} ${one.entries.map((entry) => entry.event.id).join(",")}`,
        );
        region.stored += one.entries.length;
        region.sequence = one.entries.at(-1).sequence;
      }
    }
    if (segments.length > 0) {
      tell(`W ${eventClass} ${JSON.stringify(region)}`);
      await buffer.acknowledge({ [eventClass]: region });
    }
    await new Promise((resolve) => setTimeout(resolve, 1 + chance.float() * 20));
  }
}

await buffer.start();
tell(`E ${buffer.epoch}`);
const region = JSON.parse(process.argv[6] ?? "{}");
const { classes: known } = await buffer.stats();
for (const eventClass of classes)
  void drain(eventClass, region[eventClass] ?? known[eventClass].confirmed);
for (let writer = 0; writer < 6; writer += 1) void write();
