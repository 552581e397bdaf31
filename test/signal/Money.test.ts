/** Exact amounts: nothing is ever rounded but where the contract says so. */
import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import {
  AMOUNT_MAX,
  amountOfCount,
  costOfTokens,
  countOfAmount,
  Decimal,
  divideHalfEven,
  formatAmount,
  isDecimal,
  NonNegativeDecimal,
  parseAmount,
  percentOf,
  UNIT
} from "../../src/signal/Money.ts"

const between = (minimum: bigint, maximum: bigint) =>
  Schema.BigInt.check(Schema.isBetweenBigInt({ minimum, maximum }))
const count = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))

describe("Decimal", () => {
  const written: ReadonlyArray<readonly [string, bigint, string]> = [
    ["0", 0n, "0"],
    ["-0", 0n, "0"],
    ["+0.000", 0n, "0"],
    ["1", UNIT, "1"],
    ["+1", UNIT, "1"],
    ["-1", -UNIT, "-1"],
    ["0.0063", 6_300_000_000n, "0.0063"],
    ["12.50", 12_500_000_000_000n, "12.5"],
    ["-0.000000000001", -1n, "-0.000000000001"],
    ["0.000000000001", 1n, "0.000000000001"],
    ["10", 10n * UNIT, "10"],
    ["100.10", 100_100_000_000_000n, "100.1"],
    ["007", 7n * UNIT, "7"],
    ["999999999999999.999999999999", AMOUNT_MAX, "999999999999999.999999999999"],
    ["-999999999999999.999999999999", -AMOUNT_MAX, "-999999999999999.999999999999"]
  ]
  for (const [text, amount, shortest] of written) {
    it(`reads ${text} and writes ${shortest}`, () => {
      assert.isTrue(isDecimal(text))
      assert.strictEqual(parseAmount(text), amount)
      assert.strictEqual(formatAmount(amount), shortest)
    })
  }

  const refused = [
    "",
    ".",
    "1.",
    ".5",
    "1e3",
    "1,5",
    " 1",
    "1 ",
    "NaN",
    "Infinity",
    "0x1",
    "--1",
    "+-1",
    "1_000"
  ]
  for (const text of [...refused, "1000000000000000", "0.0000000000001", "１"]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.isFalse(isDecimal(text))
      assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(Decimal)(text)))
    })
  }

  it("refuses a number: a float never touches an amount", () => {
    for (const value of [1, 0.5, 1n, null, true]) {
      assert.isTrue(Result.isFailure(Schema.decodeUnknownResult(Decimal)(value)))
    }
  })

  it("zero or more, where it says so", () => {
    const decode = Schema.decodeUnknownResult(NonNegativeDecimal)
    assert.isTrue(Result.isSuccess(decode("0")))
    assert.isTrue(Result.isFailure(decode("-1")))
    assert.isTrue(Result.isFailure(decode("-0.000000000001")))
  })

  it.prop(
    "is written and read back unchanged",
    { amount: between(-AMOUNT_MAX, AMOUNT_MAX) },
    ({ amount }) => {
      const text = formatAmount(amount)
      assert.isTrue(isDecimal(text), text)
      assert.strictEqual(parseAmount(text), amount)
      assert.notMatch(text, /^-0(\.0*)?$|\.$|\.[0-9]*0$/u)
    }
  )

  it("is also exact beyond what a wire accepts", () => {
    assert.strictEqual(formatAmount(AMOUNT_MAX + 1n), "1000000000000000")
    assert.strictEqual(formatAmount(-(10n ** 40n)), "-10000000000000000000000000000")
  })
})

describe("rounding half to even", () => {
  const table: ReadonlyArray<readonly [bigint, bigint, bigint]> = [
    [0n, 2n, 0n],
    [1n, 2n, 0n],
    [2n, 2n, 1n],
    [3n, 2n, 2n],
    [5n, 2n, 2n],
    [7n, 2n, 4n],
    [-1n, 2n, 0n],
    [-3n, 2n, -2n],
    [-5n, 2n, -2n],
    [-7n, 2n, -4n],
    [1n, 3n, 0n],
    [2n, 3n, 1n],
    [-1n, 3n, 0n],
    [-2n, 3n, -1n],
    [499_999n, 1_000_000n, 0n],
    [500_000n, 1_000_000n, 0n],
    [500_001n, 1_000_000n, 1n],
    [1_500_000n, 1_000_000n, 2n],
    [2_500_000n, 1_000_000n, 2n],
    [2_500_001n, 1_000_000n, 3n]
  ]
  for (const [numerator, denominator, rounded] of table) {
    it(`${numerator} / ${denominator} is ${rounded}`, () => {
      assert.strictEqual(divideHalfEven(numerator, denominator), rounded)
    })
  }

  it.prop(
    "is the nearest integer, and the even one of two that are equally near",
    { numerator: between(-(10n ** 30n), 10n ** 30n), denominator: between(1n, 10n ** 9n) },
    ({ numerator, denominator }) => {
      const quotient = divideHalfEven(numerator, denominator)
      const off = numerator - quotient * denominator
      const twice = 2n * (off < 0n ? -off : off)
      assert.isTrue(twice <= denominator)
      if (twice === denominator) assert.strictEqual(quotient % 2n, 0n)
      assert.isTrue(divideHalfEven(-numerator, denominator) === -quotient, "symmetric around zero")
    }
  )

  it.prop(
    "what tokens cost is the exact rational, rounded once",
    { tokens: count(1_000_000_000), perMillion: between(0n, 10n ** 18n) },
    ({ tokens, perMillion }) => {
      const exactMillionths = BigInt(tokens) * perMillion
      const off = costOfTokens(tokens, perMillion) * 1_000_000n - exactMillionths
      assert.isTrue(off >= -500_000n && off <= 500_000n)
    }
  )

  it("a million tokens cost their price, exactly", () => {
    assert.strictEqual(costOfTokens(1_000_000, 3n * UNIT), 3n * UNIT)
    assert.strictEqual(costOfTokens(0, 3n * UNIT), 0n)
  })
})

describe("counts as amounts", () => {
  it.prop("there and back", { tokens: count(Number.MAX_SAFE_INTEGER) }, ({ tokens }) => {
    assert.strictEqual(countOfAmount(amountOfCount(tokens)), tokens)
  })
})

describe("percentOf", () => {
  const table: ReadonlyArray<readonly [string, string, number]> = [
    ["0", "100", 0],
    ["50", "100", 50],
    ["100", "100", 100],
    ["99.999999999999", "100", 99.99],
    ["100.001", "100", 100],
    ["1", "3", 33.33],
    ["2", "3", 66.66],
    ["250", "100", 250],
    ["0", "0", 100],
    ["5", "0", 100],
    ["-50", "100", -50]
  ]
  for (const [part, whole, percent] of table) {
    it(`${part} of ${whole} is ${percent} %`, () => {
      assert.strictEqual(percentOf(parseAmount(part), parseAmount(whole)), percent)
    })
  }

  it.prop(
    "is 100 exactly when all of it is used, and never earlier",
    { part: between(0n, AMOUNT_MAX), whole: between(1n, AMOUNT_MAX) },
    ({ part, whole }) => {
      assert.strictEqual(percentOf(part, whole) >= 100, part >= whole)
    }
  )
})
