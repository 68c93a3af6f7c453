import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { platform } from "node:os";

/** The kernel's clock ticks in a second, as every Linux in use has them. */
const ticksPerSecond = 100;

/** CPU microseconds, user and system, that a process has used so far: the operating system's accounting, 10 ms fine. */
export function cpuMicrosOf(pid: number): number {
  if (platform() !== "linux") return psSeconds(pid) * 1e6;
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // The name in brackets may hold blanks: count from behind it. utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
}

/** Resident memory in MB (10^6 bytes). */
export function residentMegabytesOf(pid: number): number {
  if (platform() !== "linux") return (Number(ps(pid, "rss")) * 1024) / 1e6;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return (Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024) / 1e6;
}

function ps(pid: number, field: string): string {
  return execFileSync("ps", ["-o", `${field}=`, "-p", String(pid)], { encoding: "utf8" }).trim();
}

/** `[[hours:]minutes:]seconds` */
function psSeconds(pid: number): number {
  return ps(pid, "time")
    .split(":")
    .reduce((sum, part) => sum * 60 + Number(part), 0);
}
