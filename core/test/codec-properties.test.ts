import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MeshError } from "../src/error/mesh-error.ts";
import { eventByteSize } from "../src/event/event-limits.ts";
import { decodeHttp, encodeHttp } from "../src/event/http-binding.ts";
import {
  decodeBatch,
  decodeStructured,
  encodeBatch,
  encodeStructured,
} from "../src/event/json-format.ts";
import { JsonScanner } from "../src/event/json-scanner.ts";
import { parseTimestampMs } from "../src/event/time.ts";
import { anyEvent, bytesOf, limits, plainOf, textOf } from "./event-sample.ts";

describe("Round trips", () => {
  it("give every event back from structured JSON, with the same bytes of data", () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const back = decodeStructured(encodeStructured(event), limits);
        expect(plainOf(back)).toEqual(plainOf(event));
      }),
    );
  });

  it("give a batch back in order, and the batch is what JSON.parse reads too", () => {
    fc.assert(
      fc.property(fc.array(anyEvent, { maxLength: 5 }), (events) => {
        const bytes = encodeBatch(events);
        expect(decodeBatch(bytes, limits).map(plainOf)).toEqual(events.map(plainOf));
        expect(JSON.parse(textOf(bytes) ?? "")).toHaveLength(events.length);
      }),
    );
  });

  it("give an event back from binary HTTP: extensions as text, the implied JSON type said", () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const { headers, body } = encodeHttp(event, "binary");
        for (const value of Object.values(headers)) expect(value).toMatch(/^[!-~][ -~]*$/);
        const rawHeaders = Object.entries(headers).flat();
        const [back] = decodeHttp({ rawHeaders, body, limits }).events;
        const isJson = event.dataKind === "json";
        expect(back && plainOf(back)).toEqual(
          plainOf({
            ...event,
            extensions: event.extensions.map(([name, value]) => [name, String(value)]),
            datacontenttype: event.datacontenttype ?? (isJson ? "application/json" : undefined),
          }),
        );
      }),
    );
  });

  it("change nothing in the text when it is decoded and encoded once more", () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const text = textOf(encodeStructured(event));
        expect(textOf(encodeStructured(decodeStructured(bytesOf(text ?? ""), limits)))).toBe(text);
      }),
    );
  });
});

describe("Our reading of JSON", () => {
  const isTakenByUs = (text: string): boolean => {
    const scanner = new JsonScanner(Buffer.from(text));
    try {
      scanner.skipValue();
      scanner.assertEnd();
      return true;
    } catch (error) {
      if (MeshError.is(error, "EVENT_INVALID")) return false;
      throw error;
    }
  };
  const isTakenByParse = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };

  it("takes every JSON text that JSON.parse takes", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (data) => {
        expect(isTakenByUs(data)).toBe(true);
      }),
    );
  });

  it("agrees with JSON.parse on damaged JSON", () => {
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom(...'{}[]",:\\ue+-.0019 \ttrfn\u0001é'.split("")))
      .map(([text, at, mark]) => {
        const place = at % (text.length + 1);
        return text.slice(0, place) + mark + text.slice(place + (at % 2));
      });
    fc.assert(
      fc.property(damaged, (data) => {
        expect(isTakenByUs(data)).toBe(isTakenByParse(data));
      }),
      { numRuns: 2000 },
    );
  });

  it("agrees with JSON.parse on any token soup", () => {
    const token = fc.constantFrom(
      "[",
      "]",
      "1",
      "-",
      ".5",
      "e3",
      '"a"',
      '"',
      "\\n",
      ",",
      "true",
      "nul",
      " ",
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 8 }), (tokens) => {
        const data = `[${tokens.join("")}]`;
        expect(isTakenByUs(data)).toBe(isTakenByParse(data));
      }),
      { numRuns: 3000 },
    );
  });
});

describe("Sizes and times", () => {
  it("count an event the same in whatever encoding it came", () => {
    fc.assert(
      fc.property(anyEvent, (event) => {
        const back = decodeStructured(encodeStructured(event), limits);
        expect(eventByteSize(back)).toBe(eventByteSize(event));
        expect(eventByteSize(event)).toBeLessThanOrEqual(encodeStructured(event).length);
      }),
    );
  });

  it("read every date that JavaScript writes", () => {
    fc.assert(
      fc.property(
        fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("9999-12-31T23:59:59Z") }),
        (date) => {
          expect(parseTimestampMs(date.toISOString())).toBe(date.getTime());
        },
      ),
    );
  });
});
