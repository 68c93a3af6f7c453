import { dirname } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import Database from "better-sqlite3";
import { errorToData } from "@fleetmesh/core";
import { isDamage, storeError, type SqlDatabase, type SqlValue } from "./sqlite/sql-database.ts";
import { createDirectory, lockDirectory, quarantineFile } from "./sqlite/store-directory.ts";
import type { QuestionName } from "./sqlite/store-question.ts";
import { StoreReader } from "./sqlite/store-reader.ts";
import { StoreWriter } from "./sqlite/store-writer.ts";
import type {
  OpenAnswer,
  ThreadReply,
  ThreadRequest,
  ThreadRole,
  ThreadTask,
} from "./sqlite/thread-message.ts";

/** The store's threads: one writes and fsyncs, one reads; never the thread of the network. */
const openDatabase = (file: string): SqlDatabase => {
  const db = new Database(file);
  return {
    get inTransaction() {
      return db.inTransaction;
    },
    exec: (sql) => db.exec(sql),
    prepare: (sql) => db.prepare<SqlValue[]>(sql),
    pragma: (text, options) => db.pragma(text, options),
    close: () => db.close(),
  };
};

type Serve = (task: ThreadTask) => unknown;

function writerOf(role: Extract<ThreadRole, { kind: "writer" }>): Serve {
  const { options, onDamage } = role;
  const writer = new StoreWriter(openDatabase, options);
  let lock: SqlDatabase | undefined;
  const open = (): OpenAnswer => {
    const dir = dirname(options.file);
    createDirectory(dir);
    lock ??= lockDirectory(openDatabase, dir);
    try {
      return { topics: writer.open(), quarantined: undefined };
    } catch (error) {
      if (!isDamage(error) || onDamage === "refuse") throw error;
      const quarantined = quarantineFile(options.file);
      return { topics: writer.open(), quarantined };
    }
  };
  return (task) => {
    if (task.kind === "apply") return writer.apply(task.ops, task.nowMs);
    if (task.kind === "open") return open();
    writer.close();
    lock?.close();
    lock = undefined;
    return undefined;
  };
}

function readerOf(role: Extract<ThreadRole, { kind: "reader" }>): Serve {
  const reader = new StoreReader(openDatabase, role.file);
  return (task) => {
    if (task.kind === "ask") return reader.answer(task.name as QuestionName, task.ask as never);
    if (task.kind === "close") reader.close();
    return undefined;
  };
}

const role = workerData as ThreadRole;
const serve = role.kind === "writer" ? writerOf(role) : readerOf(role);

async function reply({ id, task }: ThreadRequest): Promise<ThreadReply> {
  try {
    return { id, answer: await serve(task) };
  } catch (error) {
    return { id, error: errorToData(storeError(error)) };
  }
}

parentPort?.on("message", (request: ThreadRequest) => {
  void reply(request).then((message) => parentPort?.postMessage(message));
});
