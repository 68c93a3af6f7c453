import Database from "better-sqlite3";
import { beforeEach, describe, expect, it } from "vitest";
import { emptyWatermark } from "@fleetmesh/core";
import type { AppendItem } from "../src/buffer/buffer.ts";
import { BufferFile } from "../src/buffer/buffer-file.ts";
import { openSchema } from "../src/buffer/buffer-schema.ts";
import { GroupEncoder } from "../src/buffer/group-encoder.ts";
import { otherTopics } from "../src/buffer/topic-rows.ts";
import type { SqliteConnection } from "../src/buffer/sqlite-connection.ts";

const identity = { agentId: "agent-1", epoch: "00000000000000aa" };
const limits = { bytesMax: 64 * 1024 * 1024, whenFull: "reject" } as const;

function itemOf(topic: string): AppendItem {
  return {
    eventClass: "normal",
    expiresMs: undefined,
    entry: {
      topic,
      receivedMs: 1,
      event: {
        ...{ id: "e", source: "s", type: "t", extensions: [], dataKind: "json" },
        ...{ subject: undefined, time: undefined, datacontenttype: undefined },
        ...{ dataschema: undefined, data: undefined },
      },
    },
  };
}

let db: SqliteConnection;
beforeEach(() => (db = new Database(":memory:") as SqliteConnection));

function open(): BufferFile {
  openSchema(db, identity, "off");
  return new BufferFile(db, { limits, durability: "off" });
}

function append(file: BufferFile, topics: readonly string[]): void {
  const encoder = new GroupEncoder();
  encoder.add(topics.map(itemOf));
  expect(file.append([encoder.finish()], undefined)).toEqual([true]);
}

function waiting(file: BufferFile): Record<string, number> {
  return Object.fromEntries(file.topics().queued.map(({ topic, events }) => [topic, events]));
}

describe("the count by topic", () => {
  it("is made from the blocks of a file that is older than it, and goes on from there", () => {
    const file = open();
    append(file, ["a", "b", "a"]);
    append(file, ["a", "a"]);
    file.acknowledge(1, { ...emptyWatermark, sequence: 1, stored: 1 });
    file.flushAcks();
    db.exec("DROP TABLE topic");
    // As earlier versions wrote it.
    db.exec(`UPDATE block SET topics = '{"a":2,"b":1}' WHERE count = 3`);
    db.pragma("user_version = 2");
    const migrated = open();
    expect(waiting(migrated)).toEqual({ a: 3, b: 1 });
    migrated.acknowledge(1, { ...emptyWatermark, sequence: 4, stored: 4 });
    expect(waiting(migrated)).toEqual({ a: 1 });
    migrated.acknowledge(1, { ...emptyWatermark, sequence: 5, stored: 5 });
    expect(migrated.topics().queued).toEqual([]);
    expect(db.prepare("SELECT count(*) AS n FROM topic").get()).toEqual({ n: 0 });
  });

  it("counts what is beyond a thousand topics as one, and never loses count", () => {
    const file = open();
    const names = Array.from({ length: 1_200 }, (_, at) => `t${at}`);
    for (let at = 0; at < names.length; at += 100) append(file, names.slice(at, at + 100));
    expect(waiting(file)[otherTopics]).toBe(200);
    expect(Object.keys(waiting(file))).toHaveLength(1_001);
    // Those that were counted as one are so until the last of them is gone.
    file.acknowledge(1, { ...emptyWatermark, sequence: 1_100, stored: 1_100 });
    append(file, ["t1150", "new"]);
    expect(waiting(file)).toEqual({ [otherTopics]: 102 });
    file.acknowledge(1, { ...emptyWatermark, sequence: 1_202, stored: 1_202 });
    append(file, ["t0", "new"]);
    expect(waiting(file)).toEqual({ t0: 1, new: 1 });
  });

  it("is as it was when a transaction fails", () => {
    const file = open();
    append(file, ["a"]);
    db.exec("CREATE TRIGGER refuse BEFORE UPDATE ON class BEGIN SELECT raise(ABORT, 'no'); END");
    const encoder = new GroupEncoder();
    encoder.add([itemOf("b")]);
    expect(() => file.append([encoder.finish()], undefined)).toThrow("no");
    db.exec("DROP TRIGGER refuse");
    expect(waiting(file)).toEqual({ a: 1 });
  });
});
