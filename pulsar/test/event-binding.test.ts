import { describe, expect, it } from "vitest";
import {
  eventLimitsDefault,
  seededChance,
  type Chance,
  type Extension,
  type MeshEvent,
} from "@fleetmesh/core";
import {
  encodeEvent,
  eventOf,
  foreignEventOf,
  stampOf,
  type EventStamp,
} from "../src/event-binding.ts";

const plain: MeshEvent = {
  ...{ id: "a", source: "/s", type: "t", subject: undefined, time: undefined },
  ...{ datacontenttype: undefined, dataschema: undefined, extensions: [], data: undefined },
  dataKind: "binary",
};
const direct: EventStamp = { region: "cn-east", sequence: 0, receivedMs: 1 };

const texts = ["x", "", " padded ", "部件/ABS", "a=b;c,d:e", "%25", '"quoted"', "\u{1F680}", "é"];

function pick<Item>(chance: Chance, items: readonly Item[]): Item {
  return items[Math.floor(chance.float() * items.length)] as Item;
}

function randomEvent(chance: Chance): MeshEvent {
  const text = (): string => pick(chance, texts) + pick(chance, texts);
  const some = <Value>(value: Value): Value | undefined =>
    chance.float() < 0.5 ? value : undefined;
  const names = ["partitionkey", "level", "hot", "a1", "meshrepaired", "zz"].filter(
    () => chance.float() < 0.4,
  );
  if (chance.float() < 0.5) names.reverse();
  const valueOf = (): Extension[1] =>
    pick(chance, [text(), -5, 2_147_483_647, 0, true, false, "5", "true"]);
  const bytes = Uint8Array.from({ length: Math.floor(chance.float() * 20) }, () =>
    Math.floor(chance.float() * 256),
  );
  return {
    ...{ id: `i${text()}`, source: `/s/${text()}`, type: `t${text()}` },
    subject: some(`s${text()}`),
    time: some(pick(chance, ["2026-05-01T10:00:00.123456789+08:00", "1950-01-01t00:00:00z"])),
    datacontenttype: some(pick(chance, ["application/json", "text/plain; charset=UTF-8"])),
    dataschema: some("urn:s"),
    extensions: names.map((name) => [name, valueOf()] as const),
    data: some(bytes),
    dataKind: pick(chance, ["json", "text", "binary"]),
  };
}

describe("the binding of events to Pulsar's messages", () => {
  it("gives any event back exactly, in whatever order the properties come", () => {
    const chance = seededChance(7);
    for (let round = 0; round < 5_000; round += 1) {
      const event = randomEvent(chance);
      const { payload, properties } = encodeEvent(event, direct);
      const shuffled = Object.entries(properties).sort(() => chance.float() - 0.5);
      const back = eventOf({ payload, properties: Object.fromEntries(shuffled) });
      expect(back).toEqual(event);
    }
  });

  it("leaves the payload untouched and names the ordering key and the event time", () => {
    const data = Buffer.from('{ "a": 1.0 }');
    const time = "2026-05-01T10:00:00Z";
    const message = encodeEvent({ ...plain, subject: "k", time, data, dataKind: "json" }, direct);
    expect(Buffer.from(message.payload)).toEqual(data);
    expect(message.key).toBe("k");
    expect(message.eventTimeMs).toBe(Date.UTC(2026, 4, 1, 10));
    expect(message.properties).toMatchObject({ ce_id: "a", ce_specversion: "1.0", ce_time: time });
  });

  it.each<EventStamp>([
    direct,
    {
      ...{ region: "far", agentId: "car-7", epoch: "00000000000000aa", eventClass: "critical" },
      ...{ sequence: 42, receivedMs: 1.5, position: "3.4.-1" },
    },
  ])("gives back where an event came from: %j", (stamp) => {
    expect(stampOf(encodeEvent(plain, stamp).properties)).toEqual(stamp);
  });

  it.each([
    { meshsequence: "0" },
    { meshsequence: "x" },
    { meshsequence: "9".repeat(40) },
    { meshclass: "7" },
    { meshepoch: "A" },
    { meshagent: "x".repeat(5_000) },
    { meshreceived: "soon" },
    { meshorigin: "" },
  ])("takes a message with %j for a foreign one", (broken) => {
    const stamp = { region: "r", agentId: "a", epoch: "00000000000000aa", sequence: 1 };
    const whole = encodeEvent(plain, { ...stamp, eventClass: "normal", receivedMs: 1 });
    expect(stampOf(whole.properties)).toBeDefined();
    expect(stampOf({ ...whole.properties, ...broken })).toBeUndefined();
  });

  it("takes no event whose shape is not said or does not fit", () => {
    const { payload, properties } = encodeEvent(plain, direct);
    for (const meshshape of ["", "x1", "j", "b0;missing"])
      expect(eventOf({ payload, properties: { ...properties, meshshape } })).toBeUndefined();
  });

  describe("of other producers", () => {
    const payload = Buffer.from('{"v":1}');
    const foreign = (properties: Record<string, string>, body: Uint8Array = payload) =>
      foreignEventOf({ payload: body, properties }, eventLimitsDefault);
    const binary = { ce_specversion: "1.0", ce_id: "1", ce_source: "/x", ce_type: "t" };

    it("reads binary mode, with any text in its properties", () => {
      const event = foreign({
        ...binary,
        ce_subject: "部件 %41",
        "content-type": "application/json",
      });
      expect(event).toMatchObject({ id: "1", subject: "部件 %41", dataKind: "json" });
    });

    it("reads structured mode", () => {
      const body = Buffer.from(
        JSON.stringify({ specversion: "1.0", id: "9", source: "/x", type: "t" }),
      );
      expect(foreign({ "content-type": "application/cloudevents+json" }, body)?.id).toBe("9");
    });

    it.each([
      {},
      { other: "property" },
      { ...binary, ce_id: "" },
      { ...binary, ce_specversion: "0.3" },
      { ...binary, "ce_Not A Name": "x" },
      { ...binary, ce_x: "\u0000" },
      { ...binary, ce_big: "x".repeat(2_000_000) },
      Object.fromEntries(Array.from({ length: 5_000 }, (_, at) => [`ce_p${at}`, "x"])),
    ])("passes over what is no CloudEvent (%#)", (properties) => {
      expect(foreign(properties)).toBeUndefined();
    });
  });
});
