import { describe, expect, it } from "vitest";
import { decodeHttp, encodeHttp, encodeHttpBatch } from "../src/event/http-binding.ts";
import type { MeshEvent } from "../src/event/event.ts";
import { bytesOf, eventOf, limits, refusal, textOf } from "./event-sample.ts";

const required = {
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/a",
  "ce-type": "t",
};
const structured = '{"specversion":"1.0","id":"1","source":"/a","type":"t"}';

function decode(headers: Readonly<Record<string, string>>, body = "") {
  return decodeHttp({ rawHeaders: Object.entries(headers).flat(), body: bytesOf(body), limits });
}

function one(headers: Readonly<Record<string, string>>, body = ""): MeshEvent {
  return decode({ ...required, ...headers }, body).events[0] as MeshEvent;
}

describe("The mode of an HTTP message", () => {
  it.each([
    ["application/cloudevents+json", "structured"],
    ["Application/CloudEvents+JSON; charset=UTF-8", "structured"],
    ["application/json", "binary"],
    ["text/plain", "binary"],
  ])("of %s is %s", (type, mode) => {
    const body = mode === "structured" ? structured : "{}";
    expect(decode({ ...required, "Content-Type": type }, body).mode).toBe(mode);
  });

  it("is batch for the batch type, though structured is a prefix of it", () => {
    const batch = decode(
      { "content-type": "APPLICATION/cloudevents-batch+json" },
      `[${structured}]`,
    );
    expect(batch.mode).toBe("batch");
    expect(batch.events).toHaveLength(1);
  });

  it.each([
    "application/cloudevents+avro",
    "application/cloudevents",
    "application/cloudevents-batch+avro",
    "application/cloudevents-batch",
    "application/cloudevents+json; charset=utf-16",
  ])("of %s is none that is read: 415", (type) => {
    const error = refusal(() => decode({ ...required, "content-type": type }, structured));
    expect(error.kind).toBe("CONTENT_TYPE_UNSUPPORTED");
    expect(error.status).toBe(415);
  });

  it("is binary without a Content-Type", () => {
    expect(decode(required).mode).toBe("binary");
  });

  it("cannot be told from two Content-Type headers", () => {
    const rawHeaders = ["Content-Type", "text/plain", "content-type", "application/json"];
    const error = refusal(() => decodeHttp({ rawHeaders, body: bytesOf(""), limits }));
    expect(error.kind).toBe("EVENT_INVALID");
  });
});

describe("Structured mode over HTTP", () => {
  it("believes the payload, not repeated ce- headers", () => {
    const headers = {
      "content-type": "application/cloudevents+json",
      "ce-id": "other",
      "ce-x": "",
    };
    const [event] = decode(headers, structured).events;
    expect(event?.id).toBe("1");
    expect(event?.extensions).toEqual([]);
  });
});

describe("Binary mode over HTTP: headers", () => {
  it("reads attributes from ce- headers of any case, extensions as text", () => {
    const event = one({ "CE-Subject": "s", "Ce-Count": "5", "ce-Flag": "true" });
    expect(event.subject).toBe("s");
    expect(event.extensions).toEqual([
      ["count", "5"],
      ["flag", "true"],
    ]);
  });

  it.each(["ce-id", "ce-source", "ce-type", "ce-specversion"])("is no event without %s", (name) => {
    const rest = Object.fromEntries(
      Object.entries(required as Record<string, string>).filter(([key]) => key !== name),
    );
    const error = refusal(() => decode(rest));
    expect(error.kind).toBe("EVENT_INVALID");
    expect(error.details["attribute"]).toBe(name.slice(3));
  });

  it("refuses ce-datacontenttype", () => {
    expect(() => one({ "ce-datacontenttype": "text/plain" })).toThrow("Content-Type");
  });

  it.each(["ce-my-ext", "ce-", "ce-data", "ce-data_base64", "ce-a.b"])("refuses %s", (name) => {
    expect(refusal(() => one({ [name]: "x" })).kind).toBe("EVENT_INVALID");
  });

  it("refuses an empty and a duplicated ce- header", () => {
    expect(refusal(() => one({ "ce-ext": "" })).details["attribute"]).toBe("ext");
    expect(refusal(() => one({ "ce-ext": " " })).details["attribute"]).toBe("ext");
    const rawHeaders = [...Object.entries(required).flat(), "CE-ID", "1"];
    expect(() => decodeHttp({ rawHeaders, body: bytesOf(""), limits })).toThrow("more than once");
  });

  it.each([
    ["Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"],
    ["Euro%20%e2%82%ac", "Euro €"],
    ["%41%42", "AB"],
    ["%2541", "%41"],
    ["a b", "a b"],
    ['"quoted \\"value\\" %E2%82%AC"', 'quoted "value" €'],
    ['"a\\\\b"', "a\\b"],
  ])("decodes %s once", (value, text) => {
    expect(one({ "ce-subject": value }).subject).toBe(text);
  });

  it.each(["%C0%A0", "%ED%A0%80", "100%", "%zz", "%E2%82", "\u00e9", "%00", "%0A", "%EF%BF%BF"])(
    "refuses the value %s",
    (value) => {
      expect(refusal(() => one({ "ce-subject": value })).details["attribute"]).toBe("subject");
    },
  );

  it("refuses a Content-Type that is none", () => {
    expect(refusal(() => one({ "content-type": "json" })).details["attribute"]).toBe(
      "datacontenttype",
    );
  });
});

describe("Binary mode over HTTP: the body", () => {
  it.each([
    ["application/json", '{"a": 1.0}\n', "json"],
    ["application/vnd.x+json; charset=utf-8", "[1]", "json"],
    ["application/json", "{nope", "binary"],
    ["application/json; charset=utf-16", "[1]", "binary"],
    ["text/plain", "hé", "text"],
    ["image/svg+xml", "<svg/>", "text"],
    ["text/plain; charset=iso-8859-1", "abc", "binary"],
    ["application/octet-stream", "abc", "binary"],
  ])("of %s %j is %s", (type, body, kind) => {
    const event = one({ "content-type": type }, body);
    expect(event.dataKind).toBe(kind);
    expect(textOf(event.data)).toBe(body);
    expect(event.datacontenttype).toBe(type);
  });

  it("is binary when text is not UTF-8, and when no type is given", () => {
    const rawHeaders = [...Object.entries(required).flat(), "content-type", "text/plain"];
    const [event] = decodeHttp({ rawHeaders, body: Uint8Array.of(0xff), limits }).events;
    expect(event?.dataKind).toBe("binary");
    const bare = one({}, "abc");
    expect(bare.dataKind).toBe("binary");
    expect(bare.datacontenttype).toBeUndefined();
  });

  it("of no bytes is no data without a type or under a JSON type, else data of length 0", () => {
    expect(one({}).data).toBeUndefined();
    expect(one({ "content-type": "application/json" }).data).toBeUndefined();
    expect(one({ "content-type": "text/plain" }).data).toHaveLength(0);
  });

  it("and the attributes are bounded in size", () => {
    const input = { rawHeaders: Object.entries(required).flat(), limits: { maxEventBytes: 100 } };
    const error = refusal(() => decodeHttp({ ...input, body: new Uint8Array(101) }));
    expect(error.kind).toBe("EVENT_TOO_LARGE");
    expect(() => decodeHttp({ ...input, body: new Uint8Array(80) })).toThrow("bytes");
    expect(decodeHttp({ ...input, body: new Uint8Array(60) }).events).toHaveLength(1);
  });
});

describe("Writing an event to HTTP", () => {
  const event = eventOf({
    subject: "Euro € 😀",
    time: "2026-01-01T00:00:00Z",
    dataschema: "https://a.example/s",
    datacontenttype: "text/plain",
    extensions: [
      ["n", 5],
      ["flag", false],
      ["q", 'a"b%c'],
      ["empty", ""],
    ],
    data: bytesOf("hello"),
    dataKind: "text",
  });

  it("in binary mode percent-encodes with upper-case hex and leaves out ce-datacontenttype", () => {
    const { headers, body } = encodeHttp(event, "binary");
    expect(headers).toEqual({
      "ce-specversion": "1.0",
      "ce-id": "1",
      "ce-source": "urn:vehicle:1",
      "ce-type": "com.example.moved",
      "ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80",
      "ce-time": "2026-01-01T00:00:00Z",
      "ce-dataschema": "https://a.example/s",
      "ce-n": "5",
      "ce-flag": "false",
      "ce-q": "a%22b%25c",
      "ce-empty": '""',
      "content-type": "text/plain",
    });
    expect(body).toBe(event.data);
  });

  it("in binary mode gives an empty extension back", () => {
    const { headers, body } = encodeHttp(event, "binary");
    const rawHeaders = Object.entries(headers).flat();
    const [back] = decodeHttp({ rawHeaders, body, limits }).events;
    expect(back?.extensions.at(-1)).toEqual(["empty", ""]);
  });

  it("in binary mode says application/json when the JSON format implied it, and only then", () => {
    const json = eventOf({ data: bytesOf("1"), dataKind: "json" });
    expect(encodeHttp(json, "binary").headers["content-type"]).toBe("application/json");
    const binary = eventOf({ data: bytesOf("1"), dataKind: "binary" });
    expect(encodeHttp(binary, "binary").headers["content-type"]).toBeUndefined();
  });

  it("in binary mode has an empty body without data", () => {
    expect(encodeHttp(eventOf(), "binary").body).toHaveLength(0);
  });

  it("in binary mode sends a JSON string with its quotation marks", () => {
    const [read] = decode(
      { "content-type": "application/cloudevents+json" },
      structured.replace("}", ',"data":"I\'m"}'),
    ).events;
    expect(textOf(encodeHttp(read as MeshEvent, "binary").body)).toBe('"I\'m"');
  });

  it("in structured and batch mode says the type and carries all in the body", () => {
    const single = encodeHttp(event, "structured");
    expect(single.headers).toEqual({ "content-type": "application/cloudevents+json" });
    const batch = encodeHttpBatch([event, event]);
    expect(batch.headers).toEqual({ "content-type": "application/cloudevents-batch+json" });
    for (const { headers, body } of [single, batch, encodeHttp(event, "batch")]) {
      const back = decodeHttp({ rawHeaders: Object.entries(headers).flat(), body, limits });
      expect(back.events[0]?.subject).toBe("Euro € 😀");
    }
  });
});
