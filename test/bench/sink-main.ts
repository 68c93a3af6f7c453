import { createServer, type AddressInfo, type Socket } from "node:net";

/**
 * An HTTP server that costs next to nothing, in a process of its own: one request at a time per connection, told by its
 * content-length, answered 200. It counts, and keeps when each event came, by the number at the end of its id.
 * Messages: `{expect: n}` = say when n more have come; `{times: true}` = the arrivals so far, and forget them.
 */
const answer = Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
const idMark = Buffer.from('"id":"');
const quote = 0x22;
let isTiming = false;
let arrivals: [number: number, atMicros: number][] = [];
let count = 0;
let expected = Infinity;

function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function note(bytes: Buffer): void {
  count += 1;
  if (isTiming) {
    const start = bytes.indexOf(idMark) + idMark.length;
    const id = bytes.toString("latin1", start, bytes.indexOf(quote, start));
    arrivals.push([Number(id.slice(id.lastIndexOf("-") + 1)), nowMicros()]);
  }
  if (count === expected) process.send?.({ reached: nowMicros() });
}

function serve(socket: Socket): void {
  let kept: Buffer | undefined;
  let needed = 0;
  socket.setNoDelay(true);
  socket.on("error", () => undefined);
  socket.on("data", (chunk: Buffer) => {
    const bytes = kept === undefined ? chunk : Buffer.concat([kept, chunk]);
    if (needed === 0) needed = lengthOf(bytes);
    if (needed === 0 || bytes.length < needed) {
      kept = bytes;
      return;
    }
    [kept, needed] = [undefined, 0];
    socket.write(answer);
    note(bytes);
  });
}

/** Of the whole request; 0 while its head is not there yet. */
function lengthOf(bytes: Buffer): number {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return 0;
  const head = bytes.toString("latin1", 0, headEnd);
  return headEnd + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
}

process.on("message", (message: { expect?: number; times?: boolean }) => {
  if (message.expect !== undefined) {
    [count, expected, arrivals] = [0, message.expect, []];
    isTiming = message.times === true;
    process.send?.({ ok: true });
  } else {
    process.send?.({ arrivals });
  }
});
process.on("disconnect", () => process.exit(0));

const server = createServer(serve);
server.listen(0, "127.0.0.1", () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
