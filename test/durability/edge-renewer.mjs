// Fills a buffer, has a part of it confirmed, and gives it a new epoch, until it is killed. Tells on stdout:
//   E epoch            of the buffer before the renewal        A id,id,...   an append was acknowledged
//   W class sequence   the region has this                     D             the renewal is over
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { systemChance, systemClock } from "@fleetmesh/core";
import { openBuffers } from "@fleetmesh/edge-agent";

const [directory] = process.argv.slice(2);
const silent = { info() {}, warn() {}, error() {} };
const tell = (line) => writeSync(1, `${line}\n`);
const buffers = await openBuffers({
  directory,
  agentId: "agent-1",
  limits: { bytesMax: 64 * 1024 * 1024, whenFull: "reject" },
  clock: systemClock,
  chance: systemChance,
  logger: silent,
  reserveBytes: 65_536,
  ackDelayMs: 1,
});

function item(eventClass, id, expiresMs) {
  const event = {
    id,
    source: "urn:v",
    type: "t",
    subject: undefined,
    time: undefined,
    datacontenttype: undefined,
    dataschema: undefined,
    extensions: [],
    data: Buffer.from(id),
    dataKind: "binary",
  };
  return { eventClass, expiresMs, entry: { topic: `t.${eventClass}`, receivedMs: 1, event } };
}

async function append(eventClass, name, count) {
  const ids = Array.from({ length: count }, (_, at) => `${name}-${at}`);
  await buffers.current.append(ids.map((id) => item(eventClass, id)));
  tell(`A ${ids.join(",")}`);
}

/** The watermark as the region has it; told before the buffer learns it. */
async function confirm(eventClass, sequence) {
  tell(`W ${eventClass} ${sequence}`);
  const rest = { rejected: 0, evicted: 0, expired: 0, damaged: 0 };
  const watermark = { sequence, stored: sequence, ...rest };
  await buffers.current.acknowledge({ [eventClass]: watermark });
}

const { current } = buffers;
tell(`E ${current.epoch}`);
for (let round = 0; round < 4; round += 1)
  for (const eventClass of ["critical", "normal", "bulk"])
    await append(eventClass, `${eventClass}-${round}`, 5);
// A stretch in the middle that will never be sent.
await current.append([item("bulk", "gone", 1)]);
await append("bulk", "bulk-behind", 3);
await current.read({ eventClass: "bulk", after: 20, countMax: 1, bytesMax: 1, nowMs: 1e12 });
await confirm("normal", 7);
await confirm("critical", 20);
// What was confirmed is on the disk with the next append.
await append("normal", "normal-last", 2);
closeSync(openSync(join(directory, "armed"), "w"));
await buffers.renew(current, "told by a test");
await append("normal", "fresh", 4);
while (buffers.salvaged.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
tell("D");
setInterval(() => undefined, 1_000);
