/** `invalid`: it is not HTTP/1.x, or too long to be one; nothing more can be made of it. */
export type ReadState = "more" | "complete" | "invalid";

type Phase =
  | "status-line"
  | "headers"
  | "body"
  | "chunk-size"
  | "chunk"
  | "chunk-end"
  | "trailers"
  | "until-close"
  | "complete"
  | "invalid";

const headCharsMax = 16 * 1024;
const interimMax = 8;
const excerptCharsMax = 512;
const statusLine = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/;
const chunkSizeLine = /^([0-9a-f]{1,8})[ \t]*(?:;.*)?$/i;
const wholeNumber = /^\d{1,15}$/;
const keepAliveTimeout = /(?:^|[ ,])timeout=(\d{1,9})/i;

/**
 * Reads the answers to one request after another on a connection (RFC 9112, 6 and 7), as they come in pieces. Of an answer only
 * what decides a push is kept: status, Retry-After, whether the connection may be used again, and the first of the body.
 * Where an answer does not say in one clear way how long it is, it ends with the connection.
 */
export class ResponseReader {
  /** 0 until the head of the final answer is complete. */
  status = 0;
  retryAfter: string | undefined;
  /** The first of the body, a unit per byte, where the status is no success. */
  excerpt = "";
  bodyLength = 0;
  /** The other side lets the connection live and has said nothing beyond its answer. */
  isReusable = true;
  /** How long the other side keeps an idle connection, where it says so. */
  keepAliveSeconds: number | undefined;
  #phase: Phase = "status-line";
  /** The beginning of a line that has no end yet. */
  #line = "";
  #headChars = 0;
  #interimCount = 0;
  #code = 0;
  /** What is left of the body or of the chunk. */
  #left = 0;
  #contentLength: string | undefined;
  #transferEncoding: string | undefined;

  /** Another answer begins. */
  next(): void {
    this.excerpt = "";
    this.bodyLength = 0;
    this.isReusable = true;
    this.#line = "";
    this.#interimCount = 0;
    this.#beginHead();
  }

  /** Takes what came, a unit per byte. */
  read(text: string): ReadState {
    let at = 0;
    while (at < text.length && !this.#isOver()) at = this.#step(text, at);
    if (this.#phase === "invalid") return "invalid";
    if (this.#phase !== "complete") return "more";
    if (at < text.length) this.isReusable = false;
    return "complete";
  }

  /** Whether the close of the connection completes the answer. */
  get endsWithConnection(): boolean {
    return this.#phase === "until-close";
  }

  #isOver(): boolean {
    return this.#phase === "complete" || this.#phase === "invalid";
  }

  #beginHead(): void {
    this.#phase = "status-line";
    this.status = 0;
    this.retryAfter = undefined;
    this.keepAliveSeconds = undefined;
    this.#headChars = 0;
    this.#contentLength = undefined;
    this.#transferEncoding = undefined;
  }

  #step(text: string, at: number): number {
    const isBody = this.#phase === "body" || this.#phase === "chunk" || this.endsWithConnection;
    return isBody ? this.#takeBody(text, at) : this.#takeLine(text, at);
  }

  #takeBody(text: string, at: number): number {
    const isBounded = this.#phase !== "until-close";
    const end = isBounded ? Math.min(text.length, at + this.#left) : text.length;
    this.bodyLength += end - at;
    const room = excerptCharsMax - this.excerpt.length;
    if (this.status >= 300 && room > 0) this.excerpt += text.slice(at, Math.min(end, at + room));
    if (isBounded) {
      this.#left -= end - at;
      if (this.#left === 0) this.#phase = this.#phase === "chunk" ? "chunk-end" : "complete";
    }
    return end;
  }

  /** A line feed alone ends a line too (RFC 9112, 2.2). */
  #takeLine(text: string, at: number): number {
    const end = text.indexOf("\n", at);
    this.#headChars += (end < 0 ? text.length : end + 1) - at;
    if (this.#headChars > headCharsMax) {
      this.#phase = "invalid";
      return text.length;
    }
    if (end < 0) {
      this.#line += text.slice(at);
      return text.length;
    }
    const line = this.#line + text.slice(at, end);
    this.#line = "";
    this.#takeWholeLine(line.endsWith("\r") ? line.slice(0, -1) : line);
    return end + 1;
  }

  #takeWholeLine(line: string): void {
    if (this.#phase === "status-line") this.#takeStatus(line);
    else if (this.#phase === "chunk-size") this.#takeChunkSize(line);
    else if (this.#phase === "chunk-end") this.#endChunk(line);
    else if (line === "") this.#endLines();
    // What a trailer says comes too late to matter.
    else if (this.#phase === "headers") this.#takeHeader(line);
  }

  #endLines(): void {
    if (this.#phase === "headers") this.#endHead();
    else this.#phase = "complete";
  }

  #takeStatus(line: string): void {
    const [, minor, code] = statusLine.exec(line) ?? [];
    this.#phase = code === undefined ? "invalid" : "headers";
    this.#code = Number(code);
    if (minor === "0") this.isReusable = false;
  }

  #takeHeader(line: string): void {
    const colon = line.indexOf(":");
    // By its length first: most headers are of no concern.
    if (colon < 10 || colon > 17) return;
    const value = line.slice(colon + 1).trim();
    switch (line.slice(0, colon).toLowerCase()) {
      case "connection": {
        if (/(?:^|[ ,])close(?:[ ,]|$)/i.test(value)) this.isReusable = false;
        return;
      }
      case "content-length": {
        const known = this.#contentLength;
        this.#contentLength = known === undefined || known === value ? value : "contradiction";
        return;
      }
      case "transfer-encoding": {
        const known = this.#transferEncoding;
        this.#transferEncoding = known === undefined ? value : `${known},${value}`;
        return;
      }
      case "retry-after": {
        this.retryAfter = value;
        return;
      }
      case "keep-alive":
        this.#takeKeepAlive(value);
    }
  }

  #takeKeepAlive(value: string): void {
    const [, seconds] = keepAliveTimeout.exec(value) ?? [];
    if (seconds === undefined) return;
    this.keepAliveSeconds = Number(seconds);
    // The next request might meet the close.
    if (this.keepAliveSeconds <= 1) this.isReusable = false;
  }

  #endHead(): void {
    if (this.#code < 200) {
      this.#interimCount += 1;
      // Nobody asked to switch protocols.
      const isInvalid = this.#code === 101 || this.#interimCount > interimMax;
      this.#beginHead();
      if (isInvalid) this.#phase = "invalid";
      return;
    }
    this.status = this.#code;
    this.#headChars = 0;
    this.#phase = this.#bodyPhase();
    if (this.#phase === "until-close") this.isReusable = false;
  }

  #bodyPhase(): Phase {
    if (this.status === 204 || this.status === 304) return "complete";
    const [length, encoding] = [this.#contentLength, this.#transferEncoding];
    if (encoding !== undefined) {
      if (length !== undefined) this.isReusable = false;
      return encoding.toLowerCase() === "chunked" ? "chunk-size" : "until-close";
    }
    if (length === undefined || !wholeNumber.test(length)) return "until-close";
    this.#left = Number(length);
    return this.#left === 0 ? "complete" : "body";
  }

  #endChunk(line: string): void {
    this.#headChars = 0;
    this.#phase = line === "" ? "chunk-size" : "invalid";
  }

  #takeChunkSize(line: string): void {
    const [, size] = chunkSizeLine.exec(line) ?? [];
    this.#left = parseInt(size ?? "", 16);
    if (size === undefined) this.#phase = "invalid";
    else this.#phase = this.#left === 0 ? "trailers" : "chunk";
  }
}
