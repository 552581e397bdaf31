/** Which exchange rate holds at a moment, and how amounts are converted. */
import { assert, describe, it } from "@effect/vitest"
import { convert, divideHalfEven, formatAmount, parseAmount } from "../../src/signal/Money.ts"
import { RateBook } from "../../src/tokens/RateBook.ts"

type Told = readonly [pair: string, rate: string, asOf: number]
type Wanted = readonly [pair: string, at: number, rate: string | undefined]

const bookOf = (told: ReadonlyArray<Told>): RateBook => {
  const book = new RateBook()
  for (const [index, [pair, rate, asOf]] of told.entries()) {
    const [base = "", currency = ""] = pair.split("/")
    book.put({ seq: index + 1, base, currency, rate: parseAmount(rate), asOf, source: null })
  }
  return book
}

const HISTORIES: { readonly [story: string]: readonly [ReadonlyArray<Told>, ReadonlyArray<Wanted>] } = {
  "the rate of a pair is the last one of that moment or before": [
    [
      ["EUR/USD", "1.1", 100],
      ["EUR/USD", "1.3", 300],
      ["EUR/USD", "1.2", 200]
    ],
    [
      ["EUR/USD", 100, "1.1"],
      ["EUR/USD", 199, "1.1"],
      ["EUR/USD", 200, "1.2"],
      ["EUR/USD", 1_000, "1.3"]
    ]
  ],
  "before the first one, the first one counts": [[["EUR/USD", "1.1", 100]], [["EUR/USD", 0, "1.1"]]],
  "of two for the same moment the later told one counts": [
    [
      ["EUR/USD", "1.1", 100],
      ["EUR/USD", "1.2", 200],
      ["EUR/USD", "1.15", 100]
    ],
    [
      ["EUR/USD", 150, "1.15"],
      ["EUR/USD", 200, "1.2"]
    ]
  ],
  "the inverse is rounded half to even to 12 digits": [
    [
      ["EUR/USD", "3", 0],
      ["EUR/JPY", "1.6", 0],
      ["USD/VND", "25431.37", 0]
    ],
    [
      ["USD/EUR", 0, "0.333333333333"],
      ["JPY/EUR", 0, "0.625"],
      ["VND/USD", 0, "0.000039321515"]
    ]
  ],
  "the direct one counts before the inverse of the same moment": [
    [
      ["USD/EUR", "0.5", 100],
      ["EUR/USD", "3", 100]
    ],
    [
      ["USD/EUR", 100, "0.5"],
      ["EUR/USD", 100, "3"],
      ["USD/EUR", 0, "0.5"]
    ]
  ],
  "an inverse that was told for a later moment counts before a direct one that is out of date": [
    [
      ["USD/EUR", "0.5", 100],
      ["EUR/USD", "4", 200]
    ],
    [
      ["USD/EUR", 199, "0.5"],
      ["USD/EUR", 200, "0.25"]
    ]
  ],
  "otherwise it goes by way of the tenant's currency, and is rounded once": [
    [
      ["USD/EUR", "0.7", 0],
      ["USD/JPY", "3", 0],
      ["GBP/USD", "1.3", 0]
    ],
    [
      // 3 / 0.7, not 3 × 1.428571428571
      ["EUR/JPY", 0, "4.285714285714"],
      ["GBP/JPY", 0, "3.9"],
      ["JPY/GBP", 0, "0.25641025641"],
      ["GBP/EUR", 0, "0.91"]
    ]
  ],
  "each leg of the way is of the moment": [
    [
      ["USD/EUR", "0.5", 0],
      ["USD/EUR", "0.8", 200],
      ["USD/JPY", "100", 0],
      ["USD/JPY", "160", 100]
    ],
    [
      ["EUR/JPY", 50, "200"],
      ["EUR/JPY", 150, "320"],
      ["EUR/JPY", 200, "200"]
    ]
  ],
  "a way over anything but the tenant's currency is no way": [
    [
      ["EUR/GBP", "0.8", 0],
      ["GBP/JPY", "190", 0]
    ],
    [
      ["EUR/JPY", 0, undefined],
      ["EUR/USD", 0, undefined],
      ["USD/USD", 0, "1"]
    ]
  ]
}

describe("which rate holds", () => {
  for (const [story, [told, wanted]] of Object.entries(HISTORIES)) {
    it(story, () => {
      const book = bookOf(told)
      assert.strictEqual(book.size, told.length)
      for (const [pair, at, rate] of wanted) {
        const [from = "", to = ""] = pair.split("/")
        const found = book.find(from, to, at, "USD")
        assert.strictEqual(found === undefined ? undefined : formatAmount(found), rate, `${pair} at ${at}`)
      }
    })
  }
})

describe("a conversion rounds once, half to even", () => {
  /** In units of 10⁻¹². */
  const table: ReadonlyArray<readonly [amount: bigint, rate: string, result: bigint]> = [
    [1n, "0.5", 0n],
    [2n, "0.5", 1n],
    [3n, "0.5", 2n],
    [5n, "0.5", 2n],
    [7n, "0.5", 4n],
    [-1n, "0.5", 0n],
    [-3n, "0.5", -2n],
    [-5n, "0.5", -2n],
    [1n, "0.500000000001", 1n],
    [1n, "0.499999999999", 0n],
    [1n, "1.5", 2n],
    [1n, "2.5", 2n],
    [3n, "2.5", 8n],
    [4n, "0.125", 0n],
    [12n, "0.125", 2n],
    [20n, "0.125", 2n],
    [1_000_000_000_000n, "0.333333333333", 333_333_333_333n],
    [3_000_000_000_000n, "0.333333333333", 999_999_999_999n],
    [0n, "1234567.5", 0n],
    [10n ** 27n, "0.000000000001", 10n ** 15n]
  ]
  for (const [amount, rate, result] of table) {
    it(`${amount} × ${rate} = ${result}`, () => {
      assert.strictEqual(convert(amount, parseAmount(rate)), result)
      assert.strictEqual(divideHalfEven(amount * parseAmount(rate), 10n ** 12n), result)
    })
  }
})
