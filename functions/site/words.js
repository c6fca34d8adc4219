/** Words in the buyer's language; numbers, amounts and dates as their browser writes them. */

import english from "/site/words.en.js";
import chinese from "/site/words.zh.js";

export const language = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2)).find((tag) => tag === "zh" || tag === "en") ?? "en";
const locale = navigator.language || language;
const words = language === "zh" ? chinese : english;
const plural = new Intl.PluralRules(language);
const whole = new Intl.NumberFormat(locale);
const signed = new Intl.NumberFormat(locale, { signDisplay: "exceptZero" });

/** The words of `name`, with `{places}` filled; a number `n` chooses between `zero`, `one` and `other`, as far as they are there. */
export function t(name, values = {}) {
  const found = words[name];
  const text = typeof found === "object" ? ((values.n === 0 && found.zero) || (found[plural.select(values.n)] ?? found.other)) : found;
  return text.replace(/\{(\w+)\}/g, (_, place) => (typeof values[place] === "number" ? whole.format(values[place]) : values[place]));
}

/** Whether there are words for `name`. */
export function has(name) {
  return Object.hasOwn(words, name);
}

/** The language of the seller's own words, which are not translated: for screen readers, and for the choice of a font. */
export const tongue = (text) => (/\p{Script=Han}/u.test(text) ? "zh-Hans" : "en");

/** A whole number, and one with its sign. */
export const number = (value) => whole.format(value);
export const change = (value) => signed.format(value);

/**
 * A plan's or payment's `amount` as the API writes it, with the currency's sign. `minor`: another amount of the same currency.
 * The API alone knows how many digits Stripe gives a currency; browsers disagree (MGA, ISK). No float is shown.
 */
export function money({ amount, currency }, minor) {
  const digits = digitsOf(amount);
  return new Intl.NumberFormat(locale, inCurrency(currency, digits)).format(minor === undefined ? amount : decimal(minor, digits));
}

/** What one unit of a plan costs, to four digits at most: for comparing plans, not for adding up. */
export function unitPrice({ amount, currency, quota }) {
  const price = Number(amount) / quota;
  const style = inCurrency(currency, digitsOf(amount));
  const maximumFractionDigits = Math.max(style.maximumFractionDigits, price < 1 ? 4 : 2);
  return new Intl.NumberFormat(locale, { ...style, maximumFractionDigits }).format(price);
}

const digitsOf = (amount) => amount.split(".")[1]?.length ?? 0;

function inCurrency(currency, digits) {
  return { style: "currency", currency: currency.toUpperCase(), minimumFractionDigits: digits, maximumFractionDigits: digits };
}

function decimal(minor, digits) {
  const text = String(Math.abs(minor)).padStart(digits + 1, "0");
  const point = text.length - digits;
  const whole = `${minor < 0 ? "-" : ""}${text.slice(0, point)}`;
  return digits ? `${whole}.${text.slice(point)}` : whole;
}

const written = (options) => {
  const format = new Intl.DateTimeFormat(locale, options);
  return (time) => format.format(new Date(time));
};

/** A moment, a time of today, and a calendar day (`2026-01-02`, always that day, whatever the time zone). */
export const moment = written({ dateStyle: "medium", timeStyle: "short" });
export const clock = written({ timeStyle: "medium" });
export const day = written({ dateStyle: "medium", timeZone: "UTC" });
export const dayShort = written({ day: "numeric", month: "short", timeZone: "UTC" });
