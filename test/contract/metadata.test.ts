import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileMetadata } from "../../cloud-runtime/src/metadata/file-metadata.ts";
import { MemoryMetadata } from "../../cloud-runtime/src/metadata/memory-metadata.ts";
import { sampleSubscription } from "../../cloud-runtime/test/subscription-samples.ts";
import { testMetadataContract } from "./metadata.contract.ts";

let folder: string;
let fileCount = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fleetmesh-metadata-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const freshPath = (): string => join(folder, `${fileCount++}`, "metadata.journal");

testMetadataContract("memory", (options) => Promise.resolve(new MemoryMetadata(options)));
testMetadataContract("file", (options) =>
  Promise.resolve(new FileMetadata({ ...options, path: freshPath() })),
);

async function opened(path: string, rewriteBytes = 1e9): Promise<FileMetadata> {
  const metadata = new FileMetadata({ path, autoCreateTopics: true, rewriteBytes });
  await metadata.start();
  return metadata;
}

describe("metadata in a file", () => {
  it("has everything again after a restart, and only its owner may read it", async () => {
    const path = freshPath();
    const first = await opened(path);
    await first.admitTopic("a.b");
    await first.putSubscription(sampleSubscription({ id: "gone" }));
    await first.putSubscription(sampleSubscription());
    await first.removeSubscription("gone");
    await first.stop();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    const second = await opened(path);
    expect(second.topics().map(({ name }) => name)).toEqual(["a.b"]);
    expect(second.subscriptions()).toEqual([sampleSubscription()]);
    await second.stop();
  });

  it("remembers after a restart, and in a rewritten file, which topics are being removed", async () => {
    const path = freshPath();
    const first = await opened(path, 1);
    await first.admitTopic("a.b");
    await first.admitTopic("a.c");
    await first.beginRemoval("a.b");
    await first.beginRemoval("a.c");
    await first.endRemoval("a.c");
    for (let turn = 0; turn < 5; turn += 1)
      await first.putSubscription(sampleSubscription({ revision: turn + 1 }));
    await first.stop();
    const second = await opened(path);
    expect(second.removing().map(({ name }) => name)).toEqual(["a.b"]);
    expect(second.topics()).toEqual([]);
    await second.stop();
  });

  it("loses at most the change that a power cut tore, at whatever byte", async () => {
    const path = freshPath();
    const first = await opened(path);
    for (const id of ["a", "b", "c"]) await first.putSubscription(sampleSubscription({ id }));
    await first.stop();
    const whole = await readFile(path);
    const ends = Array.from(whole, (byte, at) => (byte === 10 ? at + 1 : Infinity));
    for (let length = whole.length; length >= 0; length -= 7) {
      await writeFile(path, whole);
      await truncate(path, length);
      const torn = await opened(path);
      expect(torn.subscriptions()).toHaveLength(ends.filter((end) => end <= length).length);
      await torn.putSubscription(sampleSubscription({ id: "after" }));
      await torn.stop();
      const again = await opened(path);
      expect(again.subscription("after")).toBeDefined();
      await again.stop();
    }
  });

  it("keeps a damaged file aside and goes on with what reads back", async () => {
    const path = freshPath();
    const first = await opened(path);
    for (const id of ["a", "b", "c"]) await first.putSubscription(sampleSubscription({ id }));
    await first.stop();
    const bytes = await readFile(path);
    bytes[bytes.indexOf(10) + 40] = 0;
    await writeFile(path, bytes);
    const second = await opened(path);
    expect(second.subscriptions().map(({ id }) => id)).toEqual(["a", "c"]);
    await second.stop();
    expect((await readdir(join(path, ".."))).some((name) => name.includes("damaged"))).toBe(true);
    const third = await opened(path);
    expect(third.subscriptions().map(({ id }) => id)).toEqual(["a", "c"]);
    await third.stop();
  });

  it("does not grow for ever, and a rewritten file reads back", async () => {
    const path = freshPath();
    const first = await opened(path, 4_000);
    for (let revision = 1; revision <= 200; revision += 1)
      await first.putSubscription(sampleSubscription({ revision }));
    await first.stop();
    expect((await stat(path)).size).toBeLessThan(12_000);
    const second = await opened(path);
    expect(second.subscription("s1")?.revision).toBe(200);
    await second.stop();
  });
});
