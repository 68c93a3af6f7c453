import { encodeStructured, MeshError, type MeshEvent } from "@fleetmesh/core";
import { describe, expect, it } from "vitest";
import type { TransformSpec } from "../../cloud-runtime/src/transform/transform.ts";
import { sampleEvent } from "../../cloud-runtime/test/subscription-samples.ts";

/** How one kind says the same things. Undefined = it is not made for that. */
export interface TransformSamples {
  /** Makes the type "changed". */
  readonly setsType?: TransformSpec;
  /** Takes the subject away, and leaves everything else. */
  readonly dropsSubject: TransformSpec;
  /** Leaves `speed` as the only member of the data. */
  readonly onlySpeed: TransformSpec;
  /** Names data.vin, which must be there. */
  readonly needsVin?: TransformSpec;
  /** Makes an event of it that has no type. */
  readonly dropsType?: TransformSpec;
  /** Makes three events of one. */
  readonly makesThree?: TransformSpec;
  readonly makesNone?: TransformSpec;
  /** Cannot be compiled; the message names the place. */
  readonly invalid: readonly (readonly [spec: TransformSpec, place: RegExp])[];
}

export interface TransformUnderTest {
  apply(spec: TransformSpec, event: MeshEvent): Promise<readonly MeshEvent[]>;
}

const bigNumbers = '{ "speed" : 12345678901234567890.10, "vin":"LSV1" }';
const event = sampleEvent({
  id: "e1",
  subject: "car-1",
  extensions: [
    ["fleet", "north"],
    ["level", 3],
    ["urgent", true],
  ],
  data: bigNumbers,
});

const textOf = (one: MeshEvent | undefined): string => Buffer.from(one?.data ?? []).toString();

async function failureOf(work: Promise<unknown>): Promise<MeshError> {
  try {
    await work;
  } catch (error) {
    if (MeshError.is(error)) return error;
    throw error;
  }
  throw new Error("It did not fail");
}

/** What every kind of transform has to do, wherever it runs. */
export function transformContract(
  name: string,
  samples: TransformSamples,
  under: () => TransformUnderTest,
): void {
  const apply = (spec: TransformSpec, of = event): Promise<readonly MeshEvent[]> =>
    under().apply(spec, of);
  const when = (spec: TransformSpec | undefined) => it.runIf(spec !== undefined);

  describe(name, () => {
    it("keeps everything that the rule does not change, the bytes of the data too", async () => {
      const [made, ...more] = await apply(samples.dropsSubject);
      expect(more).toEqual([]);
      expect(made).toMatchObject({
        ...event,
        subject: undefined,
        data: expect.anything() as unknown,
      });
      expect(textOf(made)).toBe(bigNumbers);
    });

    when(samples.setsType)("changes an attribute and leaves the others", async () => {
      const [made] = await apply(samples.setsType ?? {});
      expect(made).toMatchObject({ id: "e1", type: "changed", subject: "car-1" });
      expect(made?.extensions).toEqual(event.extensions);
    });

    it("changes the data", async () => {
      const small = { ...event, data: Buffer.from('{"speed":7.5,"vin":"LSV1"}') };
      const [made] = await apply(samples.onlySpeed, small);
      expect(JSON.parse(textOf(made))).toEqual({ speed: 7.5 });
      expect(made?.dataKind).toBe("json");
    });

    it("passes on data that it does not look into, whatever they are", async () => {
      const binary: MeshEvent = {
        ...event,
        datacontenttype: "application/octet-stream",
        data: Uint8Array.of(0, 255, 7, 128),
        dataKind: "binary",
      };
      const [made] = await apply(samples.dropsSubject, binary);
      expect(made).toMatchObject({ dataKind: "binary", datacontenttype: binary.datacontenttype });
      expect([...(made?.data ?? [])]).toEqual([0, 255, 7, 128]);
      const text: MeshEvent = { ...binary, datacontenttype: "text/csv", dataKind: "text" };
      const csv = { ...text, data: Buffer.from("a,b\n1,\u00e9") };
      const [plain] = await apply(samples.dropsSubject, csv);
      expect(plain).toMatchObject({ dataKind: "text" });
      expect(textOf(plain)).toBe("a,b\n1,\u00e9");
      const [none] = await apply(samples.dropsSubject, { ...event, data: undefined });
      expect(none?.data).toBeUndefined();
    });

    it("changes nothing of what it is given, and makes the same of it again", async () => {
      const before = Buffer.from(encodeStructured(event));
      const first = await apply(samples.onlySpeed);
      const second = await apply(samples.onlySpeed);
      expect(Buffer.from(encodeStructured(event)).equals(before)).toBe(true);
      expect(second.map(encodeStructured)).toEqual(first.map(encodeStructured));
    });

    when(samples.needsVin)("fails where the event lacks what the rule names", async () => {
      const bare = sampleEvent({ id: "e2", data: '{"speed":1}' });
      const failure = await failureOf(apply(samples.needsVin ?? {}, bare));
      expect(failure.kind).toBe("TRANSFORM_FAILED");
      expect(failure.message).toMatch(/^step 1 \(/);
      expect(failure.details).toMatchObject({ step: 1 });
    });

    when(samples.dropsType)("fails when what it makes is no valid event", async () => {
      const failure = await failureOf(apply(samples.dropsType ?? {}));
      expect(failure.details).toMatchObject({ why: "result" });
      expect(failure.message).toContain('"type"');
    });

    when(samples.makesThree)("numbers several events of one by its id", async () => {
      const made = await apply(samples.makesThree ?? {});
      expect(made.map(({ id }) => id)).toEqual(["e1/1", "e1/2", "e1/3"]);
      const chain = [samples.makesThree, samples.dropsSubject].flat() as TransformSpec;
      expect((await apply(chain)).map(({ id, subject }) => [id, subject])).toEqual([
        ["e1/1", undefined],
        ["e1/2", undefined],
        ["e1/3", undefined],
      ]);
    });

    when(samples.makesNone)("makes nothing of an event when the rule says so", async () => {
      expect(await apply(samples.makesNone ?? {})).toEqual([]);
    });

    it.each(samples.invalid)("refuses %j before it is used", async (spec, place) => {
      const failure = await failureOf(apply(spec));
      expect(failure.kind).toBe("SUBSCRIPTION_INVALID");
      expect(failure.message).toMatch(place);
    });
  });
}
