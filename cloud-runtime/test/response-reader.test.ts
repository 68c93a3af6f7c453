import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ResponseReader, type ReadState } from "../src/target/response-reader.ts";

interface Seen {
  readonly state: ReadState;
  readonly status: number;
  readonly bodyLength: number;
  readonly excerpt: string;
  readonly isReusable: boolean;
  readonly retryAfter: string | undefined;
}

function readPieces(pieces: readonly string[]): Seen {
  const reader = new ResponseReader();
  reader.next();
  let state: ReadState = "more";
  pieces.forEach((piece, at) => {
    if (state === "more") state = reader.read(piece);
    // What comes behind an answer in a packet of its own is for the connection to judge.
    else if (state === "complete" && at > 0) reader.isReusable = false;
  });
  const { status, bodyLength, excerpt, isReusable, retryAfter } = reader;
  return { state, status, bodyLength, excerpt, isReusable, retryAfter };
}

const lines = (...texts: string[]): string => texts.join("\r\n") + "\r\n\r\n";
const ok = "HTTP/1.1 200 OK";
const withBody = (body: string, ...headers: string[]): string =>
  lines("HTTP/1.1 500 No", ...headers, `Content-Length: ${body.length}`) + body;

type Case = readonly [what: string, text: string, wanted: Partial<Seen>];
const done = { state: "complete", isReusable: true } as const;
const cases: readonly Case[] = [
  ["no body", lines(ok, "content-length: 0"), { ...done, status: 200 }],
  ["a body of known length", withBody("why not"), { ...done, excerpt: "why not", bodyLength: 7 }],
  ["204 without a length", lines("HTTP/1.1 204 None"), { ...done, status: 204 }],
  ["304 with a length", lines("HTTP/1.1 304 x", "content-length: 9"), { ...done, status: 304 }],
  ["a status without words", lines("HTTP/1.1 200", "content-length: 0"), { ...done, status: 200 }],
  [
    "lines that end in LF alone",
    "HTTP/1.1 202 OK\nContent-Length: 2\n\nok",
    { ...done, status: 202 },
  ],
  [
    "interim answers",
    lines("HTTP/1.1 100 Continue") +
      lines("HTTP/1.1 103 Hints", "link: x") +
      lines(ok, "Content-Length: 0"),
    { ...done, status: 200 },
  ],
  [
    "chunks with extensions and trailers",
    lines("HTTP/1.1 503 Busy", "Transfer-Encoding: Chunked", "Retry-After: 7") +
      "4;name=value\r\nbusy\r\nA \r\n0123456789\r\n0\r\nRetry-After: 9\r\n\r\n",
    { ...done, status: 503, excerpt: "busy0123456789", bodyLength: 14, retryAfter: "7" },
  ],
  [
    "a close announced",
    lines(ok, "Connection: foo, Close", "content-length: 0"),
    { isReusable: false },
  ],
  ["HTTP/1.0", lines("HTTP/1.0 200 OK", "content-length: 0"), { isReusable: false, status: 200 }],
  [
    "a keep-alive too short to use",
    lines(ok, "Keep-Alive: timeout=1", "content-length: 0"),
    { isReusable: false },
  ],
  ["more than was asked", withBody("ab") + "HTTP/1.1 200", { status: 500, isReusable: false }],
  [
    "a length and an encoding",
    lines(ok, "content-length: 3", "transfer-encoding: chunked") + "0\r\n\r\n",
    { state: "complete", isReusable: false },
  ],
  ["a length said twice alike", lines(ok, "content-length: 0", "content-length: 0"), done],
  [
    "two lengths",
    lines(ok, "content-length: 0", "content-length: 1") + "x",
    { state: "more", status: 200 },
  ],
  [
    "a length that is no number",
    lines(ok, "content-length: -1") + "x",
    { state: "more", status: 200 },
  ],
  ["no length at all", lines(ok) + "until the end", { state: "more", bodyLength: 13 }],
  [
    "an encoding unknown",
    lines(ok, "transfer-encoding: gzip") + "x",
    { state: "more", status: 200 },
  ],
  ["an upgrade nobody asked for", lines("HTTP/1.1 101 Switch"), { state: "invalid", status: 0 }],
  ["another protocol", "SSH-2.0-OpenSSH_9.2\r\n", { state: "invalid", status: 0 }],
  ["another version", lines("HTTP/2.0 200 OK"), { state: "invalid" }],
  [
    "a chunk size that is none",
    lines(ok, "transfer-encoding: chunked") + "zz\r\n",
    { state: "invalid", status: 200 },
  ],
  [
    "a chunk longer than it says",
    lines(ok, "transfer-encoding: chunked") + "1\r\nab\r\n",
    { state: "invalid", status: 200 },
  ],
  ["a head without end", `${ok}\r\n${"x: y\r\n".repeat(5_000)}`, { state: "invalid", status: 0 }],
  ["a line without end", `${ok}\r\n${"x".repeat(20_000)}`, { state: "invalid", status: 0 }],
  ["interim answers without end", lines("HTTP/1.1 102 Wait").repeat(9), { state: "invalid" }],
];

describe("response reader", () => {
  it.each(cases)("reads %s, whole or in pieces", (_, text, wanted) => {
    const whole = readPieces([text]);
    expect(whole).toMatchObject(wanted);
    const step = Math.max(1, Math.floor(text.length / 200));
    for (let cut = 1; cut < text.length; cut += step)
      expect(readPieces([text.slice(0, cut), text.slice(cut)])).toEqual(whole);
    if (text.length < 1_000) expect(readPieces(Array.from(text))).toEqual(whole);
  });

  it("keeps of a long body what people read", () => {
    expect(readPieces([withBody("x".repeat(9_000))]).excerpt).toBe("x".repeat(512));
    expect(readPieces([lines(ok, "content-length: 4") + "fine"]).excerpt).toBe("");
  });

  it("begins each answer anew", () => {
    const reader = new ResponseReader();
    reader.next();
    const busy = ["HTTP/1.1 503 x", "retry-after: 3", "connection: close", "content-length: 1"];
    expect(reader.read(lines(...busy) + "a")).toBe("complete");
    reader.next();
    expect(reader.read(lines(ok, "content-length: 0"))).toBe("complete");
    const { status, retryAfter, excerpt, isReusable } = reader;
    expect({ status, retryAfter, excerpt, isReusable }).toEqual({
      ...{ status: 200, retryAfter: undefined, excerpt: "", isReusable: true },
    });
  });

  it("neither fails nor hangs over anything", () => {
    const piece = fc.oneof(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.constantFrom(
        "\r\n",
        "\n",
        ok,
        ": ",
        "content-length: 5",
        "transfer-encoding: chunked",
        "5",
        "0",
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        expect(["more", "complete", "invalid"]).toContain(readPieces(pieces).state);
      }),
      { numRuns: 500 },
    );
  });
});
