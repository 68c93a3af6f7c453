import { BlockList, isIP } from "node:net";
import { invalidFilter } from "../invalid-filter.ts";

const blockGrammar = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/;

/** Whether a text is an IPv4 or IPv6 address within the block; an IPv4 address mapped into IPv6 counts as the IPv4 one. */
export function compileCidr(block: string, path: string): (text: string) => boolean {
  const [, address = "", length = ""] = blockGrammar.exec(block) ?? [];
  const version = isIP(address);
  const lengthMax = version === 4 ? 32 : 128;
  if (version === 0 || Number(length) > lengthMax)
    throw invalidFilter(path, 'must be an address block such as "10.0.0.0/8" or "2001:db8::/32"');
  const list = new BlockList();
  list.addSubnet(address, Number(length), familyOf(version));
  return (text) => {
    const found = isIP(text);
    return found !== 0 && list.check(text, familyOf(found));
  };
}

function familyOf(version: number): "ipv4" | "ipv6" {
  return version === 4 ? "ipv4" : "ipv6";
}
