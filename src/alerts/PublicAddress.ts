/**
 * Which addresses are in the public internet.
 *
 * Owns: the list. What is not known to be public is not: a tenant must reach neither this machine, nor its network,
 * nor a cloud's metadata, whichever way an address is written.
 *
 * Sources: IANA's special-purpose registries for IPv4 and IPv6; RFC 6052 (NAT64).
 */
import { BlockList, isIPv4, isIPv6 } from "node:net"

const NOT_PUBLIC_V4: ReadonlyArray<readonly [net: string, prefix: number]> = [
  ["0.0.0.0", 8], // this network
  ["10.0.0.0", 8], // private
  ["100.64.0.0", 10], // carrier-grade NAT; Alibaba's metadata
  ["127.0.0.0", 8], // loopback
  ["168.63.129.16", 32], // Azure's own services
  ["169.254.0.0", 16], // link-local; metadata of most clouds
  ["172.16.0.0", 12], // private
  ["192.0.0.0", 24], // protocol assignments; Oracle's metadata
  ["192.0.2.0", 24], // documentation
  ["192.31.196.0", 24], // AS112
  ["192.52.193.0", 24], // AMT
  ["192.88.99.0", 24], // 6to4 relays
  ["192.168.0.0", 16], // private
  ["192.175.48.0", 24], // AS112
  ["198.18.0.0", 15], // benchmarks
  ["198.51.100.0", 24], // documentation
  ["203.0.113.0", 24], // documentation
  ["224.0.0.0", 4], // multicast
  ["240.0.0.0", 4] // reserved, broadcast
]

/** Parts of 2000::/3 that are not public; of the rest of IPv6 nothing is. */
const NOT_PUBLIC_V6: ReadonlyArray<readonly [net: string, prefix: number]> = [
  ["2001::", 23], // protocol assignments: Teredo, benchmarks, ORCHID
  ["2001:db8::", 32], // documentation
  ["2002::", 16], // 6to4, whatever it carries
  ["2620:4f:8000::", 48], // AS112
  ["3fff::", 20] // documentation
]

const blockListOf = (nets: typeof NOT_PUBLIC_V4, family: "ipv4" | "ipv6"): BlockList => {
  const list = new BlockList()
  for (const [net, prefix] of nets) list.addSubnet(net, prefix, family)
  return list
}

const notPublicV4 = blockListOf(NOT_PUBLIC_V4, "ipv4")
const notPublicV6 = blockListOf(NOT_PUBLIC_V6, "ipv6")
const globalUnicast = blockListOf([["2000::", 3]], "ipv6")
/** These carry an IPv4 address in their last four bytes, and reach it. */
const carriesV4 = blockListOf(
  [
    ["::ffff:0:0", 96], // mapped
    ["64:ff9b::", 96] // NAT64
  ],
  "ipv6"
)

/** The last four bytes of an IPv6 address, as IPv4. */
const lastBytes = (address: string): string => {
  const dotted = address.slice(address.lastIndexOf(":") + 1)
  if (isIPv4(dotted)) return dotted
  // URL writes every address in one way: no zeros in front, no dots.
  const normal = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [high, low] = normal.endsWith("::") ? ["0", "0"] : normal.split(":").slice(-2)
  const bits = (Number.parseInt(high || "0", 16) << 16) | Number.parseInt(low || "0", 16)
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join(".")
}

/** Whether this is an address of the public internet. A text that is no address is none. */
export const isPublicAddress = (address: string): boolean => {
  if (isIPv4(address)) return !notPublicV4.check(address, "ipv4")
  // An address with a zone (`fe80::1%eth0`) is of a link.
  if (!isIPv6(address) || address.includes("%")) return false
  if (carriesV4.check(address, "ipv6")) return isPublicAddress(lastBytes(address))
  return globalUnicast.check(address, "ipv6") && !notPublicV6.check(address, "ipv6")
}
