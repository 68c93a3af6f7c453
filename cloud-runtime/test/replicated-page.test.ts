import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MeshError, type MeshEvent } from "@fleetmesh/core";
import { decodeReplicatedPage, encodeReplicatedPage } from "../src/replication/replicated-page.ts";
import type { StoredEvent } from "../src/store/event-store.ts";

const text = fc.string({ maxLength: 30, unit: "grapheme" });
const event: fc.Arbitrary<MeshEvent> = fc.record({
  id: text,
  source: text,
  type: text,
  subject: fc.option(text, { nil: undefined }),
  time: fc.constant(undefined),
  datacontenttype: fc.option(text, { nil: undefined }),
  dataschema: fc.constant(undefined),
  extensions: fc.array(fc.tuple(text, fc.oneof(text, fc.boolean())), { maxLength: 3 }),
  data: fc.option(fc.uint8Array({ maxLength: 50 }), { nil: undefined }),
  dataKind: fc.constantFrom("json", "text", "binary"),
});
const origin = fc.oneof(
  fc.constant({ region: "cn-east" }),
  fc.record({
    region: fc.constant("cn-east"),
    agentId: text,
    epoch: fc.constant("00000000000000aa"),
    eventClass: fc.constantFrom("critical" as const, "normal" as const, "bulk" as const),
  }),
);
const stored: fc.Arbitrary<StoredEvent> = fc.record({
  position: fc.nat().map(String),
  topic: fc.constant("a"),
  origin,
  entry: fc.record({
    topic: fc.constant("a"),
    sequence: fc.nat(),
    receivedMs: fc.nat(),
    event,
  }),
});
const head = { region: "cn-east", topic: "a", next: "17" };

describe("a page of replicated events", () => {
  it("comes back as it was, whatever the events hold", () => {
    fc.assert(
      fc.property(fc.array(stored, { maxLength: 20 }), (events) => {
        const page = decodeReplicatedPage(encodeReplicatedPage(head, events));
        expect(page).toMatchObject(head);
        expect(page.entries.map((one) => ({ ...one, topic: "a" }))).toEqual(
          events.map((one) => ({
            ...one,
            entry: { ...one.entry, event: normal(one.entry.event) },
          })),
        );
      }),
    );
  });

  it("is refused with WIRE_INVALID when it is anything else", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => decodeReplicatedPage(bytes)).toThrow(
          expect.objectContaining({ kind: "WIRE_INVALID" }),
        );
      }),
    );
  });

  it("is refused when it is cut short or one bit is turned", () => {
    const [first] = fc.sample(fc.array(stored, { minLength: 5, maxLength: 5 }), 1);
    const whole = encodeReplicatedPage(head, first ?? []);
    for (let length = 0; length < whole.length; length += 1) {
      expect(isRefused(whole.subarray(0, length))).toBe(true);
    }
    for (let at = 0; at < whole.length; at += 1) {
      const torn = Uint8Array.from(whole);
      torn[at] = (torn[at] ?? 0) ^ 0x10;
      expect(isRefused(torn)).toBe(true);
    }
  });
});

function isRefused(bytes: Uint8Array): boolean {
  try {
    decodeReplicatedPage(bytes);
    return false;
  } catch (error) {
    return MeshError.is(error, "WIRE_INVALID");
  }
}

/** Bytes are compared as Uint8Array whatever view they came in. */
function normal(given: MeshEvent): MeshEvent {
  return { ...given, data: given.data && Uint8Array.from(given.data) };
}
