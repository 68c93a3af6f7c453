import { CloudEvent, HTTP, type CloudEventV1, type Message } from "cloudevents";
import { describe, expect, it } from "vitest";
import { attributeOf, type MeshEvent } from "../src/event/event.ts";
import {
  decodeHttp,
  encodeHttp,
  encodeHttpBatch,
  type HttpMessage,
} from "../src/event/http-binding.ts";
import { bytesOf, eventOf, limits, textOf } from "./event-sample.ts";

// The SDK is the peer only where it is right: it neither percent-codes headers nor refuses what it should.
const samples: readonly MeshEvent[] = [
  eventOf({
    subject: "Vehicle.Speed",
    time: "2026-11-23T06:12:28.123+08:00",
    datacontenttype: "application/json",
    dataschema: "https://schema.example/speed",
    extensions: [
      ["partitionkey", "k1"],
      ["sequence", "00000000000000000001"],
    ],
    data: bytesOf('{"speed":63.25,"gear":null}'),
    dataKind: "json",
  }),
  eventOf({
    time: "2026-01-01T00:00:00Z",
    datacontenttype: "text/plain",
    data: bytesOf("hello"),
    dataKind: "text",
  }),
  eventOf({
    time: "2026-01-01T00:00:00Z",
    datacontenttype: "image/png",
    data: Buffer.from([0, 255, 7]),
    dataKind: "binary",
  }),
];

/** What the SDK calls data, as the bytes that we call data. */
function dataOf(event: CloudEventV1<unknown>): string | undefined {
  if (event.data === undefined || event.data === null) return undefined;
  if (ArrayBuffer.isView(event.data))
    // The SDK gives base64 data as one 32-bit element a byte.
    return Buffer.from(event.data as Uint8Array | Uint32Array).toString("latin1");
  return typeof event.data === "string" ? event.data : JSON.stringify(event.data);
}

function toSdk(message: HttpMessage): CloudEventV1<unknown> {
  const isText = message.headers["content-type"] !== "image/png";
  const body = isText ? textOf(message.body) : Buffer.from(message.body);
  const event = HTTP.toEvent({ headers: { ...message.headers }, body });
  return (Array.isArray(event) ? event[0] : event) as CloudEventV1<unknown>;
}

function fromSdk(message: Message): readonly MeshEvent[] {
  const rawHeaders = Object.entries(message.headers).flatMap(([name, value]) => [
    name,
    String(value),
  ]);
  const { body } = message;
  const bytes = body instanceof Uint8Array ? body : bytesOf((body as string | undefined) ?? "");
  return decodeHttp({ rawHeaders, body: bytes, limits }).events;
}

function expectSame(theirs: CloudEventV1<unknown>, ours: MeshEvent): void {
  for (const name of ["id", "source", "type", "subject", "datacontenttype", "dataschema"] as const)
    expect(theirs[name], name).toBe(ours[name]);
  if (ours.time !== undefined) expect(Date.parse(theirs.time ?? "")).toBe(Date.parse(ours.time));
  for (const [name, value] of ours.extensions) expect(theirs[name], name).toBe(value);
}

describe("With the cloudevents SDK as peer", () => {
  it.each(["structured", "batch"] as const)("what we write in %s mode, it reads", (mode) => {
    for (const event of samples) {
      const theirs = toSdk(encodeHttp(event, mode));
      expectSame(theirs, event);
      expect(dataOf(theirs)).toBe(Buffer.from(event.data ?? []).toString("latin1"));
    }
  });

  it("what we write in binary mode, it reads", () => {
    for (const event of samples) expectSame(toSdk(encodeHttp(event, "binary")), event);
  });

  it("reads all events of our batch", () => {
    const message = encodeHttpBatch(samples);
    const events = HTTP.toEvent({ headers: { ...message.headers }, body: textOf(message.body) });
    expect(events).toHaveLength(samples.length);
  });

  it.each(["structured", "binary"] as const)("what it writes in %s mode, we read", (mode) => {
    const theirs = new CloudEvent({
      id: "7",
      source: "/peer",
      type: "com.example.peer",
      subject: "plain",
      time: "2026-11-23T06:12:28.123Z",
      datacontenttype: "application/json",
      partitionkey: "p",
      data: { speed: 1.5, list: [1, "zwei"] },
    });
    const [ours] = fromSdk(HTTP[mode](theirs));
    expect(ours?.id).toBe("7");
    expect(ours?.subject).toBe("plain");
    expect(ours?.time).toBe("2026-11-23T06:12:28.123Z");
    expect(ours && attributeOf(ours, "partitionkey")).toBe("p");
    expect(ours?.dataKind).toBe("json");
    expect(JSON.parse(textOf(ours?.data) ?? "")).toEqual({ speed: 1.5, list: [1, "zwei"] });
  });

  it("what it writes as base64, we read as the same bytes", () => {
    const theirs = new CloudEvent({
      id: "8",
      source: "/peer",
      type: "t",
      data: Uint8Array.of(0, 255, 7),
    });
    const [ours] = fromSdk(HTTP.structured(theirs));
    expect([...(ours?.data ?? [])]).toEqual([0, 255, 7]);
    expect(ours?.dataKind).toBe("binary");
  });
});
