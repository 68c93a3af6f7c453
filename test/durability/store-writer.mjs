// Appends to a region's store from agents, direct publishers and a dispatcher at once, until it is killed. Tells on stdout:
//   A agent sequence   handled up to here      D ids   direct events acknowledged      C n   delivery commit n acknowledged
// The store's module is taken by itself: the rest of the runtime would only slow the many starts down.
import { writeSync } from "node:fs";
import { createLogger, seededChance } from "@fleetmesh/core";
import { openSqliteStore } from "../../cloud-runtime/dist/store/sqlite-store.js";

const [dir, lifeText, synchronous] = process.argv.slice(2);
const life = Number(lifeText);
const chance = seededChance(life * 7919);
const logger = createLogger({ part: "test", level: "silent" });
const store = openSqliteStore({ dir, region: "cn-east", synchronous, logger });
const tell = (line) => writeSync(1, `${line}\n`);
const below = (count) => Math.floor(chance.float() * count);
const epoch = "00000000000000aa";

function event(id) {
  return {
    id,
    source: "urn:v",
    type: "t",
    subject: undefined,
    time: undefined,
    datacontenttype: undefined,
    dataschema: undefined,
    extensions: [],
    data: Buffer.alloc(below(100) * below(100), id.length),
    dataKind: "binary",
  };
}

async function drive(agentId) {
  const known = await store.events.watermarks(agentId, epoch);
  let handled = known.normal?.sequence ?? 0;
  for (;;) {
    // Now and then what was acknowledged is sent again, as after a lost answer.
    const first = Math.max(1, handled + 1 - (chance.float() < 0.2 ? below(30) : 0));
    const last = handled + 1 + below(60);
    const entries = [];
    for (let sequence = first; sequence <= last; sequence += 1) {
      const topic = `topic-${sequence % 3}`;
      entries.push({ topic, sequence, receivedMs: 1, event: event(`${agentId}-${sequence}`) });
    }
    const runs = [{ kind: "events", entries }];
    const append = { agentId, epoch, eventClass: "normal", first, last, runs };
    const { watermark } = await store.events.appendFromAgent(append);
    handled = watermark.sequence;
    tell(`A ${agentId} ${handled}`);
  }
}

async function publish(who) {
  const sent = [];
  for (let made = 0; ;) {
    const events = [];
    if (chance.float() < 0.2 && sent.length > 0) events.push(sent[below(sent.length)]);
    for (let count = 1 + below(5); count > 0; count -= 1)
      events.push(event(`d${life}-${who}-${made++}`));
    await store.events.appendDirect({ topic: "direct", receivedMs: 1, events });
    sent.push(...events);
    tell(`D ${events.map(({ id }) => id).join(",")}`);
  }
}

async function dispatch() {
  const [known] = await store.deliveries.cursors("s");
  for (let n = Number(known?.position ?? 0) + 1; ; n += 1) {
    const place = { subscription: "s", topic: "topic-0", position: String(n) };
    const counts = { delivered: 0, filtered: 0, expired: 0, deadLettered: n, trimmed: 0 };
    const entry = { topic: "topic-0", sequence: n, receivedMs: 1, event: event(`e${n}`) };
    const letter = {
      ...place,
      id: `l${n}`,
      atMs: n,
      reason: "r",
      attempts: [],
      origin: { region: "x" },
    };
    await store.deliveries.commit({
      cursors: [{ ...place, start: "0", ahead: [String(n + 2)], counts }],
      retries: [{ ...place, key: "k", attempts: [], nextMs: n }],
      retriesDone: [{ ...place, position: String(n - 1) }],
      deadLetters: [{ ...letter, entry }],
      records: [{ ...place, outcome: "dead-lettered", attempts: 1, atMs: n, durationMs: 1 }],
    });
    tell(`C ${n}`);
  }
}

await store.part.start();
for (const agentId of ["car-1", "car-2", "car-3"]) void drive(agentId);
for (const who of [1, 2]) void publish(who);
void dispatch();
