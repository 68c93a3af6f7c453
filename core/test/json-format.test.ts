import { describe, expect, it } from "vitest";
import { attributeOf, type MeshEvent } from "../src/event/event.ts";
import {
  decodeBatch,
  decodeStructured,
  encodeBatch,
  encodeStructured,
} from "../src/event/json-format.ts";
import { bytesOf, eventOf, limits, plainOf, refusal, textOf } from "./event-sample.ts";

const required = '"specversion":"1.0","id":"1","source":"/a","type":"t"';
const decode = (members: string): MeshEvent =>
  decodeStructured(bytesOf(`{${required}${members === "" ? "" : ","}${members}}`), limits);
const encoded = (event: MeshEvent): string => textOf(encodeStructured(event)) ?? "";

describe("Reading attributes of a structured event", () => {
  it("takes the four required attributes and nothing else", () => {
    expect(decode("")).toEqual(eventOf({ source: "/a", type: "t" }));
  });

  it.each(["id", "source", "type", "specversion"])("refuses an event without %s", (name) => {
    const event: Record<string, string> = { specversion: "1.0", id: "1", source: "/a", type: "t" };
    const rest = Object.fromEntries(Object.entries(event).filter(([key]) => key !== name));
    const error = refusal(() => decodeStructured(bytesOf(JSON.stringify(rest)), limits));
    expect(error.kind).toBe("EVENT_INVALID");
    expect(error.details).toEqual({ attribute: name });
    expect(error.message).toContain("missing");
  });

  it.each(["id", "source", "type"])("refuses an empty or null or non-string %s", (name) => {
    for (const value of ["", null, 5, true]) {
      const event = { specversion: "1.0", id: "1", source: "/a", type: "t", [name]: value };
      const error = refusal(() => decodeStructured(bytesOf(JSON.stringify(event)), limits));
      expect(error.details["attribute"]).toBe(name);
    }
  });

  it.each(["0.3", "1.1", "1", ""])("refuses specversion %j", (specversion) => {
    const text = JSON.stringify({ specversion, id: "1", source: "/a", type: "t" });
    const error = refusal(() => decodeStructured(bytesOf(text), limits));
    expect(error.details["attribute"]).toBe("specversion");
  });

  it("keeps the types of extensions and their order of arrival", () => {
    const event = decode(
      '"zeta":"z","alpha":-2147483648,"beta":true,"gamma":2147483647,"no":false',
    );
    expect(event.extensions).toEqual([
      ["zeta", "z"],
      ["alpha", -2147483648],
      ["beta", true],
      ["gamma", 2147483647],
      ["no", false],
    ]);
  });

  it("takes extensions named like members of JavaScript objects for what they are", () => {
    const event = decode('"constructor":"c","tostring":"t","finish":"f","set":1,"unset":null');
    expect(attributeOf(event, "constructor")).toBe("c");
    expect(attributeOf(event, "finish")).toBe("f");
    expect(attributeOf(event, "unset")).toBeUndefined();
  });

  it("treats null as unset", () => {
    const event = decode('"subject":null,"time":null,"datacontenttype":null,"ext":null');
    expect(event).toEqual(eventOf({ source: "/a", type: "t" }));
  });

  it.each(["MyExt", "my_ext", "my-ext", "", "é", "ext ", "__proto__"])(
    "refuses the attribute name %j",
    (name) => {
      expect(refusal(() => decode(`${JSON.stringify(name)}:"x"`)).details["attribute"]).toBe(name);
      expect(refusal(() => decode(`${JSON.stringify(name)}:null`)).details["attribute"]).toBe(name);
    },
  );

  it("refuses a second member of the same name, also when spelled with escapes or null", () => {
    for (const members of [
      '"id":"2"',
      '"\\u0069d":"2"',
      '"ext":1,"ext":1',
      '"ext":null,"ext":1',
      '"ext":1,"ext":null',
      '"ext":null,"ext":null',
      '"subject":null,"subject":"s"',
      '"subject":"s","subject":null',
      '"data":1,"data":1',
      '"data_base64":"","data_base64":""',
    ])
      expect(refusal(() => decode(members)).message).toContain("more than once");
  });

  it("finds a duplicate among very many extensions quickly", () => {
    const names = Array.from({ length: 30_000 }, (_, index) => `"x${index.toString(36)}":1`);
    expect(decode(names.join(",")).extensions).toHaveLength(30_000);
    expect(() => decode([...names, '"x0":1'].join(","))).toThrow("more than once");
  });

  it.each(["1.0", "1e3", "1E0", "0.5", "2147483648", "-2147483649", "5e9", "1e400"])(
    "refuses the number %s as an attribute",
    (number) => {
      expect(refusal(() => decode(`"ext":${number}`)).details["attribute"]).toBe("ext");
    },
  );

  it("reads -0 as the integer 0", () => {
    expect(Object.is(attributeOf(decode('"ext":-0'), "ext"), 0)).toBe(true);
  });

  it.each(["{}", "[]", '{"a":1}', "[1]"])("refuses %s as an attribute", (value) => {
    expect(refusal(() => decode(`"ext":${value}`)).details["attribute"]).toBe("ext");
  });

  it.each([
    ["a line feed", "\\n"],
    ["NUL", "\\u0000"],
    ["U+007F", "\u007f"],
    ["U+0085", "\u0085"],
    ["U+009F, escaped", "\\u009f"],
    ["the noncharacter U+FDD0", "\ufdd0"],
    ["the noncharacter U+FFFF, escaped", "\\uffff"],
    ["the noncharacter U+1FFFE", "\u{1fffe}"],
    ["a high surrogate alone", "\\ud800"],
    ["a low surrogate alone", "\\udc00"],
    ["surrogates the wrong way round", "\\udc00\\ud800"],
  ])("refuses %s in a string", (_, text) => {
    expect(refusal(() => decode(`"subject":"a${text}b"`)).details["attribute"]).toBe("subject");
    expect(refusal(() => decode(`"ext":"a${text}b"`)).details["attribute"]).toBe("ext");
  });

  it("keeps any other text, escaped or not", () => {
    expect(decode('"subject":"车辆 \\u20ac 😀 \\ud83d\\ude00 \\"q\\" \\/"').subject).toBe(
      '车辆 € 😀 😀 "q" /',
    );
  });

  it.each([
    ["source", "a b"],
    ["source", "<a>"],
    ["source", "/%zz"],
    ["source", "/车"],
    ["subject", ""],
    ["time", ""],
    ["time", "2026-02-30T00:00:00Z"],
    ["time", "2026-11-23T06:12:28"],
    ["time", "yesterday"],
    ["datacontenttype", ""],
    ["datacontenttype", "json"],
    ["datacontenttype", "a/b;c d"],
    ["dataschema", ""],
    ["dataschema", "/relative"],
    ["dataschema", "http:"],
  ])("refuses %s %j", (name, value) => {
    const event = { specversion: "1.0", id: "1", source: "/a", type: "t", [name]: value };
    const error = refusal(() => decodeStructured(bytesOf(JSON.stringify(event)), limits));
    expect(error.kind).toBe("EVENT_INVALID");
    expect(error.details["attribute"]).toBe(name);
  });

  it.each([
    "/a",
    "urn:vehicle:1",
    "https://a.example/b?c=d#e",
    "a",
    "//h",
    "%E8%BD%A6",
    "?q",
    "#f",
  ])("takes %s as a source", (source) => {
    const text = JSON.stringify({ specversion: "1.0", id: "1", source, type: "t" });
    expect(decodeStructured(bytesOf(text), limits).source).toBe(source);
  });

  it("keeps the text of time: offset and digits below the millisecond", () => {
    expect(decode('"time":"2026-11-23T06:12:28.123456789+08:00"').time).toBe(
      "2026-11-23T06:12:28.123456789+08:00",
    );
  });

  it("takes datacontenttype without data", () => {
    const event = decode('"datacontenttype":"text/plain"');
    expect(event.datacontenttype).toBe("text/plain");
    expect(event.data).toBeUndefined();
  });
});

describe("Reading data of a structured event", () => {
  it("keeps JSON data byte for byte: number spelling, key order, white space, duplicates, escapes", () => {
    const data = '{ "b" : 1.0,\n "a":1e3, "a":-0.00, "\\u0061" : 12345678901234567890 ,"z":[ ] }';
    const event = decode(`"data" : \t${data} \n, "ext":1`);
    expect(textOf(event.data)).toBe(data);
    expect(event.dataKind).toBe("json");
    expect(encoded(event)).toContain(`,"data":${data}}`);
  });

  it("gives data as a view, without a copy", () => {
    const bytes = bytesOf(`{${required},"data":{"a":1}}`);
    expect(decodeStructured(bytes, limits).data?.buffer).toBe(bytes.buffer);
  });

  it("tells JSON null from no data", () => {
    expect(textOf(decode('"data":null').data)).toBe("null");
    expect(decode("").data).toBeUndefined();
    expect(encoded(decode('"data":null'))).toContain('"data":null}');
    expect(encoded(decode(""))).not.toContain("data");
  });

  it("reads the number 1.5 and a string under a JSON type as JSON, the string with its quotation marks", () => {
    expect(textOf(decode('"data":1.5').data)).toBe("1.5");
    expect(textOf(decode('"data":"I\'m a string"').data)).toBe('"I\'m a string"');
    const nested = decode('"datacontenttype":"application/json","data":"{\\"a\\":1}"');
    expect(textOf(nested.data)).toBe('"{\\"a\\":1}"');
    expect(nested.dataKind).toBe("json");
  });

  it("reads a string under another type as text", () => {
    const event = decode('"data":"<a n=\\"\\u20ac\\"/>","datacontenttype":"application/xml"');
    expect(event.dataKind).toBe("text");
    expect(textOf(event.data)).toBe('<a n="€"/>');
    expect(decodeStructured(encodeStructured(event), limits)).toEqual(event);
  });

  it.each(["5", "null", "{}", "[]", "true"])("refuses %s as data under a non-JSON type", (data) => {
    const error = refusal(() => decode(`"datacontenttype":"text/plain","data":${data}`));
    expect(error.details["attribute"]).toBe("data");
  });

  it("refuses text data that cannot be UTF-8", () => {
    const error = refusal(() => decode('"datacontenttype":"text/plain","data":"\\ud800"'));
    expect(error.details["attribute"]).toBe("data");
  });

  it.each([
    "application/json",
    "Application/JSON; charset=utf-8",
    "text/json",
    "application/x+JSON",
  ])("knows %s as a JSON type", (type) => {
    expect(decode(`"datacontenttype":"${type}","data":{}`).dataKind).toBe("json");
  });

  it("reads data_base64 as bytes, with or without a content type, and invents none", () => {
    const bare = decode('"data_base64":"AAH/"');
    expect([...(bare.data ?? [])]).toEqual([0, 1, 255]);
    expect(bare.dataKind).toBe("binary");
    expect(bare.datacontenttype).toBeUndefined();
    expect(encoded(bare)).not.toContain("datacontenttype");
    const typed = decode('"data_base64":"eyJhIjoxfQ==","datacontenttype":"application/json"');
    expect(typed.dataKind).toBe("binary");
    expect(encoded(typed)).toContain('"data_base64":"eyJhIjoxfQ=="');
  });

  it.each(["AAH", "AA=", "A A=", "AAH/\\n", "-_8=", "AAH/=", "AB==", "é"])(
    "refuses the base64 text %j",
    (text) => {
      expect(refusal(() => decode(`"data_base64":"${text}"`)).details["attribute"]).toBe(
        "data_base64",
      );
    },
  );

  it("refuses data_base64 that is not a string", () => {
    expect(() => decode('"data_base64":null')).toThrow("must be a string");
    expect(() => decode('"data_base64":1')).toThrow("must be a string");
  });

  it("refuses data and data_base64 together, in either order", () => {
    expect(() => decode('"data":1,"data_base64":"AAH/"')).toThrow("excludes");
    expect(() => decode('"data_base64":"AAH/","data":null')).toThrow("excludes");
  });
});

describe("Writing a structured event", () => {
  it("writes core attributes first, then extensions as they came, then data", () => {
    const event = decode(
      '"zz":1,"data":{},"time":"2026-01-01T00:00:00Z","aa":true,"datacontenttype":"application/json","subject":"s","dataschema":"a:b"',
    );
    expect(encoded(event)).toBe(
      '{"specversion":"1.0","id":"1","source":"/a","type":"t","subject":"s","time":"2026-01-01T00:00:00Z","datacontenttype":"application/json","dataschema":"a:b","zz":1,"aa":true,"data":{}}',
    );
  });

  it("carries JSON data under a non-JSON type as a string, with the same bytes back", () => {
    const event = eventOf({
      data: bytesOf('{"a": 1}'),
      dataKind: "json",
      datacontenttype: "text/x",
    });
    expect(encoded(event)).toContain('"data":"{\\"a\\": 1}"');
    expect(textOf(decodeStructured(encodeStructured(event), limits).data)).toBe('{"a": 1}');
  });

  it("carries text without a type, or of broken UTF-8, as base64: the bytes come back", () => {
    for (const event of [
      eventOf({ data: bytesOf("hello"), dataKind: "text" }),
      eventOf({ data: new Uint8Array([0xff]), dataKind: "text", datacontenttype: "text/plain" }),
    ]) {
      const back = decodeStructured(encodeStructured(event), limits);
      expect(back.data).toEqual(Buffer.from(event.data ?? []));
      expect(back.dataKind).toBe("binary");
    }
  });
});

describe("A batch", () => {
  const one = `{${required}}`;

  it("may be empty", () => {
    expect(decodeBatch(bytesOf(" [ ] "), limits)).toEqual([]);
    expect(textOf(encodeBatch([]))).toBe("[]");
  });

  it("keeps the order and every event's bytes", () => {
    const events = decodeBatch(bytesOf(`[${one}, {${required},"data":[1.0 , 2]} ]`), limits);
    expect(events.map((event) => textOf(event.data))).toEqual([undefined, "[1.0 , 2]"]);
    expect(decodeBatch(encodeBatch(events), limits).map(plainOf)).toEqual(events.map(plainOf));
    expect(JSON.parse(textOf(encodeBatch(events)) ?? "")).toHaveLength(2);
  });

  it("names the index of the event at fault", () => {
    const faults = [`{${required},"x":{}}`, "5", '{"id":"1"}', "null", `{${required}`];
    for (const fault of faults) {
      const error = refusal(() => decodeBatch(bytesOf(`[${one},${one},${fault}]`), limits));
      expect(error.kind).toBe("EVENT_INVALID");
      expect(error.details["index"]).toBe(2);
    }
  });

  it("refuses an event of another specversion in it", () => {
    const other = '{"specversion":"0.3","id":"1","source":"/a","type":"t"}';
    expect(refusal(() => decodeBatch(bytesOf(`[${one},${other}]`), limits)).details).toEqual({
      attribute: "specversion",
      index: 1,
    });
  });

  it.each([",]", "[,]", `[${one},]`, `[${one}`, `[${one}${one}]`, `[${one}]x`, "", one])(
    "refuses %j",
    (text) => {
      expect(refusal(() => decodeBatch(bytesOf(text), limits)).kind).toBe("EVENT_INVALID");
    },
  );

  it("is not read where one event belongs", () => {
    expect(() => decodeStructured(bytesOf(`[${one}]`), limits)).toThrow("a batch came");
  });
});
