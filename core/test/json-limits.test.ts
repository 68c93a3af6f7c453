import { describe, expect, it } from "vitest";
import { decodeBatch, decodeStructured, encodeStructured } from "../src/event/json-format.ts";
import { bytesOf, eventOf, limits, refusal } from "./event-sample.ts";

const required = '"specversion":"1.0","id":"1","source":"/a","type":"t"';

describe("JSON that is not valid", () => {
  it.each([
    "",
    " ",
    "x",
    "nul",
    "{",
    "}",
    "{}x",
    `{${required},}`,
    `{${required} "x":1}`,
    `{${required},"x" 1}`,
    `{${required},x:1}`,
    `{${required},"data":01}`,
    `{${required},"data":1.}`,
    `{${required},"data":.5}`,
    `{${required},"data":+1}`,
    `{${required},"data":-}`,
    `{${required},"data":1e}`,
    `{${required},"data":NaN}`,
    `{${required},"data":tru}`,
    `{${required},"data":[1,]}`,
    `{${required},"data":[1}}`,
    `{${required},"data":{"a":1]}`,
    `{${required},"data":{"a"}}`,
    `{${required},"data":{,}}`,
    `{${required},"data":{"a":1,}}`,
    `{${required},"data":"\\x"}`,
    `{${required},"data":"\\u12g4"}`,
    `{${required},"data":"\n"}`,
    `{${required},"data":"abc}`,
    `\ufeff{${required}}`,
    `{${required}}\u00a0`,
  ])("is refused: %j", (text) => {
    expect(refusal(() => decodeStructured(bytesOf(text), limits)).kind).toBe("EVENT_INVALID");
  });

  it("is refused when the bytes are not UTF-8", () => {
    const bytes = Buffer.concat([
      bytesOf(`{${required},"subject":"`),
      Buffer.of(0xc0, 0xa0, 0x22, 0x7d),
    ]);
    expect(() => decodeStructured(bytes, limits)).toThrow("UTF-8");
  });

  it("may nest as deep as its size allows without hurting the stack", () => {
    const depth = 100_000;
    const data = "[".repeat(depth) + "]".repeat(depth);
    expect(decodeStructured(bytesOf(`{${required},"data":${data}}`), limits).data?.length).toBe(
      2 * depth,
    );
  });
});

describe("Size", () => {
  const sized = (dataBytes: number): string =>
    `{${required},"data":"${"a".repeat(dataBytes - 2)}"}`;
  const small = { maxEventBytes: 1000 };
  const overhead = "specversion1.0id1source/atypet".length;

  it("is counted as attributes plus data, and the bound itself is allowed", () => {
    expect(decodeStructured(bytesOf(sized(1000 - overhead)), small).data).toHaveLength(
      1000 - overhead,
    );
    const error = refusal(() => decodeStructured(bytesOf(sized(1001 - overhead)), small));
    expect(error.kind).toBe("EVENT_TOO_LARGE");
    expect(error.status).toBe(413);
    expect(error.details).toEqual({ bytes: 1001, bytesMax: 1000 });
  });

  it("names the index of the large one in a batch", () => {
    const error = refusal(() => decodeBatch(bytesOf(`[${sized(100)},${sized(2000)}]`), small));
    expect(error.kind).toBe("EVENT_TOO_LARGE");
    expect(error.details["index"]).toBe(1);
  });

  it("is refused before anything is read when the text is far too long", () => {
    const error = refusal(() => decodeStructured(new Uint8Array(10_000_000), limits));
    expect(error.kind).toBe("EVENT_TOO_LARGE");
  });

  it("lets 64 KiB of binary data pass in base64, and 256 KiB less the attributes by default", () => {
    for (const byteCount of [65_536, 262_144 - 100]) {
      const event = eventOf({ data: Buffer.alloc(byteCount, 0xff), dataKind: "binary" });
      expect(decodeStructured(encodeStructured(event), limits).data).toHaveLength(byteCount);
    }
  });
});
