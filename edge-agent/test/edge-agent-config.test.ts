import { describe, expect, it } from "vitest";
import { MeshError, parseConfig } from "@fleetmesh/core";
import { edgeAgentConfigSchema } from "../src/agent/edge-agent-config.ts";
import { TopicClasses } from "../src/agent/topic-classes.ts";

const smallest =
  "agentId: v1\ndataDir: /var/lib/mesh\nuplink:\n  url: mqtts://region.example:8883\n";

function problemsOf(text: string): string {
  try {
    parseConfig(edgeAgentConfigSchema, text, "edge.yaml");
    return "";
  } catch (error) {
    return MeshError.from(error).message;
  }
}

describe("configuration of the edge agent", () => {
  it("needs a name, a directory and a region, and opens nothing to others by itself", () => {
    const config = parseConfig(edgeAgentConfigSchema, smallest, "edge.yaml");
    expect(config).toMatchObject({ doors: {}, uplink: { keepaliveSeconds: 30 } });
    expect(config.admin).toBeUndefined();
  });

  it("puts doors on loopback unless told otherwise", () => {
    const text = `${smallest}doors:\n  http: {}\nauth:\n  jwksFile: keys.json\n`;
    expect(parseConfig(edgeAgentConfigSchema, text, "edge.yaml").doors.http).toEqual({
      host: "127.0.0.1",
      port: 8100,
    });
  });

  it("refuses doors without keys to check tokens by", () => {
    expect(problemsOf(`${smallest}doors:\n  mqtt: {}\n`)).toContain("auth");
  });

  it("names the line and the nearest key of a misspelt one", () => {
    const text = `${smallest}buffer:\n  byteMax: 1000000000\n`;
    expect(problemsOf(text)).toMatch(/edge\.yaml:6:3: .*did you mean "bytesMax"/);
  });

  it("refuses a buffer that is too small for the events that it allows, and says what to raise", () => {
    const allowed = `${smallest}maxEventBytes: 12582912\n`;
    expect(parseConfig(edgeAgentConfigSchema, allowed, "edge.yaml").maxEventBytes).toBe(12_582_912);
    const problems = problemsOf(`${allowed}buffer:\n  bytesMax: 16777216\n`);
    expect(problems).toMatch(/buffer\.bytesMax: must be at least 50331648: .*maxEventBytes/);
    expect(problemsOf(`${smallest}maxEventBytes: 12582913\n`)).toContain("maxEventBytes");
  });

  it("refuses a url that is not MQTT, and a class rule that is no pattern", () => {
    expect(problemsOf(smallest.replace("mqtts", "https"))).toContain("uplink.url");
    const text = `${smallest}classes:\n  - topic: "Vehicle.*"\n    class: bulk\n`;
    expect(problemsOf(text)).toContain("classes.0.topic");
  });
});

describe("TopicClasses", () => {
  it("takes the first rule that matches, and normal where none does", () => {
    const classes = new TopicClasses([
      { topic: "vehicle.alarm.>", class: "critical" },
      { topic: "vehicle.>", class: "bulk" },
    ]);
    const topics = ["vehicle.alarm.brake", "vehicle.speed", "plant.speed", "vehicle.speed"];
    expect(topics.map((topic) => classes.of(topic))).toEqual([
      "critical",
      "bulk",
      "normal",
      "bulk",
    ]);
  });
});
