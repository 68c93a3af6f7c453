import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pulsarHome } from "./pulsar-distribution.ts";

export interface PulsarPorts {
  readonly broker: number;
  readonly web: number;
  readonly bookie: number;
}

export type PulsarSettings = Readonly<Record<string, string | number | boolean>>;

/** A small and quick standalone: one namespace bundle, few threads, small caches, loopback only. */
const smallSettings: PulsarSettings = {
  bindAddress: "127.0.0.1",
  advertisedAddress: "127.0.0.1",
  // Else the bookie listens on all addresses.
  listeningInterface: process.platform === "darwin" ? "lo0" : "lo",
  // Else it ignores the port it is given; with a port of its own choice a restart could find that port taken.
  allowEphemeralPorts: true,
  webSocketServiceEnabled: true,
  brokerShutdownTimeoutMs: 1_000,
  delayedDeliveryTickTimeMillis: 100,
  managedLedgerNewEntriesCheckDelayInMillis: 0,
  defaultNumberOfNamespaceBundles: 1,
  managedLedgerCacheSizeMB: 16,
  dbStorage_writeCacheMaxSizeMb: 16,
  dbStorage_readAheadCacheMaxSizeMb: 16,
  dbStorage_rocksDB_blockCacheSize: 8_388_608,
  journalPreAllocSizeMB: 4,
  // Larger than what is written at once: a full buffer is written in the middle of a record, and a bookie that is killed then takes
  // the half record with zeros behind it for a whole one, and its ledger cannot be opened any more.
  journalWriteBufferSizeKB: 4_096,
  numIOThreads: 2,
  numOrderedExecutorThreads: 2,
  numExecutorThreadPoolSize: 2,
  topicOrderedExecutorThreadNum: 2,
  numCacheExecutorThreadPoolSize: 2,
  bookkeeperClientNumWorkerThreads: 2,
  bookkeeperClientNumIoThreads: 2,
  managedLedgerNumSchedulerThreads: 2,
  webSocketNumIoThreads: 2,
  numHttpServerThreads: 8,
  // As a mesh needs them.
  brokerDeleteInactiveTopicsEnabled: false,
  enableReplicatedSubscriptions: true,
  replicatedSubscriptionsSnapshotFrequencyMillis: 200,
};

const opened = [
  "java.base/java.io",
  "java.base/java.util.zip",
  "java.base/sun.net",
  "java.management/sun.management",
  "jdk.management/com.sun.management.internal",
  "java.base/java.nio",
  "java.base/jdk.internal.misc",
  "java.base/jdk.internal.platform",
];

/** Smaller direct memory was seen to die under load. */
const javaFlags = [
  ...opened.flatMap((name) => ["--add-opens", `${name}=ALL-UNNAMED`]),
  ..."-Xms64m -Xmx256m -XX:MaxDirectMemorySize=192m -XX:ReservedCodeCacheSize=96m".split(" "),
  ..."-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto".split(" "),
  "-Djava.net.preferIPv4Stack=true",
  "-Dio.netty.tryReflectionSetAccessible=true",
  "-Dio.netty.eventLoopThreads=2",
  "-Dlog4j2.is.webapp=false",
  "-Dpulsar.allocator.exit_on_oom=true",
];

/** In the server's folder, where it runs. */
export const pulsarLog = "pulsar.log";
/** What Java itself says, before there is a log and when it fails. */
export const pulsarOutput = "pulsar.out";
const logBytesMaxDefault = 8 * 1024 * 1024;

/** The log and the one before it. */
const logConfig = (bytesMax: number): string => `<Configuration status="ERROR">
  <Appenders>
    <RollingFile name="log" fileName="${pulsarLog}" filePattern="pulsar.%i.log">
      <PatternLayout pattern="%d %-5level %logger{36} - %msg%n"/>
      <SizeBasedTriggeringPolicy size="${bytesMax}"/>
      <DefaultRolloverStrategy max="1"/>
    </RollingFile>
  </Appenders>
  <Loggers><Root level="info"><AppenderRef ref="log"/></Root></Loggers>
</Configuration>
`;

/** Writes the configuration into the folder; the same folder, ports and settings give the same server again. */
export async function writePulsarConfig(given: {
  readonly dir: string;
  readonly name: string;
  readonly ports: PulsarPorts;
  readonly settings: PulsarSettings;
  /** Of its log; as much is kept of what was before. Default 8 MiB. */
  readonly logBytesMax?: number | undefined;
}): Promise<void> {
  const shipped = await readFile(join(pulsarHome, "conf", "standalone.conf"), "utf8");
  const own = {
    clusterName: given.name,
    brokerServicePort: given.ports.broker,
    webServicePort: given.ports.web,
    ...smallSettings,
    ...given.settings,
  };
  const lines = [
    // Of a setting given twice the broker takes the last one, but its bookie the first.
    ...shipped.split("\n").filter((line) => !((line.split("=")[0] ?? "") in own)),
    ...Object.entries(own).map(([name, value]) => `${name}=${value}`),
  ];
  await writeFile(join(given.dir, "standalone.conf"), `${lines.join("\n")}\n`);
  await writeFile(
    join(given.dir, "log4j2.xml"),
    logConfig(given.logBytesMax ?? logBytesMaxDefault),
  );
}

export function pulsarArgs(dir: string, ports: PulsarPorts): string[] {
  return [
    ...javaFlags,
    `-Dlog4j.configurationFile=${join(dir, "log4j2.xml")}`,
    ...["-cp", join(pulsarHome, "lib", "*"), "org.apache.pulsar.PulsarStandaloneStarter"],
    ...["--config", join(dir, "standalone.conf")],
    ...["--metadata-dir", join(dir, "metadata"), "--bookkeeper-dir", join(dir, "bookkeeper")],
    ...["--bookkeeper-port", String(ports.bookie), "--advertised-address", "127.0.0.1"],
    ...["--no-functions-worker", "--no-stream-storage"],
  ];
}

/** The end of what the server in this folder said last: its log's, and behind it Java's own words. */
export async function pulsarLastWords(dir: string, characters: number): Promise<string> {
  const texts = [pulsarLog, pulsarOutput].map(async (name) => {
    const text = await readFile(join(dir, name), "utf8").catch(() => "");
    return text.slice(-characters).trimEnd();
  });
  return (await Promise.all(texts)).filter((text) => text !== "").join("\n");
}
