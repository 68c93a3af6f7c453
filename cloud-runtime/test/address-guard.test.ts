import type { LookupAddress } from "node:dns";
import { describe, expect, it } from "vitest";
import {
  AddressGuard,
  hostOf,
  isNetwork,
  isPublicAddress,
  type Resolve,
} from "../src/target/address-guard.ts";

const strict = { allowPrivateSinks: false };

/** A resolver that gives one answer after another. */
function answering(...answers: readonly (readonly string[])[]): Resolve {
  let at = 0;
  return (_, __, callback) => {
    const addresses = answers[Math.min(at, answers.length - 1)] ?? [];
    at += 1;
    callback(
      null,
      addresses.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  };
}

function looked(guard: AddressGuard, all: boolean): Promise<string | readonly string[]> {
  return new Promise((resolve, reject) => {
    guard.lookup?.("sink.example", { all }, (error, found: string | LookupAddress[]) => {
      if (error) reject(error);
      else resolve(typeof found === "string" ? found : found.map(({ address }) => address));
    });
  });
}

describe("address guard", () => {
  it.each([
    "127.0.0.1",
    "10.1.2.3",
    "172.31.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.100.100.200",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "192.88.99.1",
    "::1",
    "::",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a00:1",
    "::ffff:0:7f00:1",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "fd00:ec2::254",
    "ff02::1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:1::1",
    "not an address",
  ])("does not take %s for public", (address) => expect(isPublicAddress(address)).toBe(false));

  it.each(["1.1.1.1", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "2001:4860:4860::8888"])(
    "takes %s for public",
    (address) => expect(isPublicAddress(address)).toBe(true),
  );

  it.each([
    "http://0x7f.1/",
    "http://127.1/",
    "http://0177.0.0.1/",
    "http://2130706433/",
    "http://[::ffff:127.0.0.1]/",
    "http://[0:0:0:0:0:ffff:7f00:1]/",
    "http://[::]/",
    "http://0/",
    "http://169.254.169.254/latest/meta-data/",
    "http://①②⑦.⓪.⓪.①/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://a.localhost/",
  ])("refuses the host of %s", (url) => {
    expect(() => new AddressGuard(strict).assertHost(hostOf(new URL(url)))).toThrow(/not public/);
  });

  it("lets a public host through, and every host where private ones are allowed", () => {
    expect(() => new AddressGuard(strict).assertHost("example.com")).not.toThrow();
    const open = new AddressGuard({ allowPrivateSinks: true });
    expect(() => open.assertHost("127.0.0.1")).not.toThrow();
    expect(open.lookup).toBeUndefined();
  });

  it.each([[["10.0.0.1"]], [["1.1.1.1", "127.0.0.1"]], [["::ffff:192.168.0.1"]]])(
    "refuses a name that resolves to %j",
    async (addresses) => {
      const guard = new AddressGuard({ ...strict, resolve: answering(addresses) });
      await expect(guard.assertResolves("sink.example")).rejects.toThrow(/not public/);
      await expect(looked(guard, true)).rejects.toThrow(/not public/);
      await expect(looked(guard, false)).rejects.toThrow(/not public/);
    },
  );

  it("judges a name anew for each connection, and gives the socket the address that it judged", async () => {
    const resolve = answering(["1.1.1.1"], ["1.1.1.2", "2606:4700::1111"], ["127.0.0.1"]);
    const guard = new AddressGuard({ ...strict, resolve });
    await guard.assertResolves("sink.example");
    expect(await looked(guard, true)).toEqual(["1.1.1.2", "2606:4700::1111"]);
    await expect(looked(guard, false)).rejects.toThrow(/not public/);
  });

  it("lets a name through that does not resolve when it is given, and says so at the connection", async () => {
    const resolve: Resolve = (_, __, callback) => callback(new Error("ENOTFOUND"), []);
    const guard = new AddressGuard({ ...strict, resolve });
    await guard.assertResolves("sink.example");
    await expect(looked(guard, false)).rejects.toThrow("ENOTFOUND");
    const empty = new AddressGuard({ ...strict, resolve: answering([]) });
    await expect(looked(empty, false)).rejects.toThrow("has no address");
  });

  it("allows the networks that are named and no other", async () => {
    const networks = { allowSinkNetworks: ["10.20.0.0/16", "fd00:1::/64", "192.168.7.7"] };
    const guard = new AddressGuard({ ...strict, ...networks, resolve: answering(["10.20.3.4"]) });
    for (const address of ["10.20.0.1", "::ffff:10.20.0.1", "fd00:1::9", "192.168.7.7"])
      expect(guard.isAllowed(address)).toBe(true);
    for (const address of ["10.21.0.1", "fd00:2::9", "192.168.7.8", "127.0.0.1"])
      expect(guard.isAllowed(address)).toBe(false);
    await guard.assertResolves("sink.example");
    expect(await looked(guard, false)).toBe("10.20.3.4");
    expect(() => guard.assertHost("localhost")).toThrow(/not public/);
  });

  it.each([
    ["10.0.0.0/8", true],
    ["fd00::/8", true],
    ["10.0.0.1", true],
    ["10.0.0.0/33", false],
    ["10.0.0.0/", false],
    ["example.com", false],
  ])("takes %j for a network: %s", (text, wanted) => expect(isNetwork(text)).toBe(wanted));
});
