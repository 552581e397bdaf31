/**
 * The currencies of ISO 4217 that are in force.
 *
 * Owns: which codes there are. Does not decide: what one is worth in another (RateBook).
 */
import { Schema } from "effect"

const CODES = `
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL
HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
USN UYI UYU UYW UZS VED VES VND VUV WST XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XUA YER ZAR ZMW
ZWG`

/** Also those that are withdrawn within the year: what was booked in them must stay readable. */
const LEAVING = ["ANG", "BGN", "CUC"]

const CURRENCIES: ReadonlySet<string> = new Set([...CODES.trim().split(/\s+/u), ...LEAVING])

const EXAMPLE = 'a currency of ISO 4217 like "USD"'

/** A currency's code, as it is shown. */
export const Currency = Schema.String.check(Schema.isPattern(/^[A-Z]{3}$/u, { expected: EXAMPLE }).abort())

/** A currency that a caller names: one that is in force. */
export const CurrencyInForce = Currency.check(
  Schema.makeFilter((code: string) => CURRENCIES.has(code) || `Expected ${EXAMPLE}: ${code} is not in force`)
)
