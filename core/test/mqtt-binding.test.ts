import { describe, expect, it } from "vitest";
import { decodeMqtt, encodeMqtt } from "../src/event/mqtt-binding.ts";
import { bytesOf, eventOf, limits } from "./event-sample.ts";

describe("The MQTT 3.1.1 binding", () => {
  it("carries one structured event as JSON", () => {
    const event = eventOf({ subject: "s", extensions: [["n", 1]] });
    expect(decodeMqtt(encodeMqtt(event), limits)).toEqual(event);
  });

  it("refuses a batch, bare data and an empty payload", () => {
    for (const payload of ["[]", '{"speed":1}', "", "23.5"])
      expect(() => decodeMqtt(bytesOf(payload), limits)).toThrow();
  });
});
