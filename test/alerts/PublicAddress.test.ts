/** What is public, in every way that an address can be written. */
import { assert, describe, it } from "@effect/vitest"
import { isPublicAddress } from "../../src/alerts/PublicAddress.ts"

const PUBLIC = `
8.8.8.8             1.1.1.1            100.63.255.255      100.128.0.0         172.15.255.255     172.32.0.0
169.253.255.255     192.167.255.255    198.17.255.255      198.20.0.0          223.255.255.255    168.63.129.17
2606:4700::1111     2a00:1450:4001::8  2001:200::1         2001:4860:4860::8888
::ffff:8.8.8.8      ::ffff:808:808     0:0:0:0:0:FFFF:0808:0808
64:ff9b::8.8.8.8    64:ff9b::808:808   64:ff9b:0:0:0:0:808:808
`

const PRIVATE = `
0.0.0.0             0.1.2.3            10.0.0.0            10.255.255.255      100.64.0.0         100.127.255.255
127.0.0.1           127.255.255.255    169.254.169.254     169.254.0.1         172.16.0.1         172.31.255.255
192.0.0.192         192.0.2.1          192.88.99.1         192.168.0.1         198.18.0.1         198.19.255.255
198.51.100.7        203.0.113.7        224.0.0.1           239.255.255.255     240.0.0.1          255.255.255.255
168.63.129.16       100.100.100.200
::                  ::1                0:0:0:0:0:0:0:1     fe80::1             fe80::1%eth0       febf::1
fc00::1             fd00::1            fd00:ec2::254       fd20:ce::254        ff02::1            fec0::1
2001:db8::1         2001::1            2001:0:4136:e378:8000:63bf:3fff:fdd2    2001:2::1          2001:10::1
2002:7f00:1::1      2002:a9fe:a9fe::   2002:808:808::1     3fff::1             5f00::1            100::1
::ffff:127.0.0.1    ::ffff:7f00:1      ::FFFF:169.254.169.254                  ::ffff:a00:1       ::ffff:0.0.0.0
::ffff:100.64.0.1   0:0:0:0:0:ffff:192.168.1.1             ::127.0.0.1         ::8.8.8.8          ::ffff:0:8.8.8.8
64:ff9b::10.0.0.1   64:ff9b::7f00:1    64:ff9b::           64:ff9b::1          64:ff9b::a9fe:a9fe 64:ff9b:1::8.8.8.8
`

const NO_ADDRESS = [
  "",
  " ",
  "localhost",
  "8.8.8",
  "0x08.8.8.8",
  "8.8.8.8 ",
  "[::1]",
  "2606:4700::1111%eth0",
  "::g"
]

const words = (table: string): ReadonlyArray<string> => table.trim().split(/\s+/u)

describe("an address", () => {
  it.each(words(PUBLIC))("%s is public", (address) => {
    assert.isTrue(isPublicAddress(address))
  })
  it.each(words(PRIVATE))("%s is not", (address) => {
    assert.isFalse(isPublicAddress(address))
  })
  it.each(NO_ADDRESS)("%j is none", (text) => {
    assert.isFalse(isPublicAddress(text))
  })
})
