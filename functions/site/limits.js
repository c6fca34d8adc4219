/** What a key may use and what it has used: the figures in the list, and the fields that set a limit. */

import { el } from "/site/dom.js";
import { moment, number, t } from "/site/words.js";

/** The API's own bound. */
const UNITS_MAX = 1_000_000_000;
const WINDOWS = ["none", "day", "month", "total"];
const USED_IN = { day: "used_today", month: "used_this_month", total: "used_total" };

/** Use today and this month, and the limit with a bar. `key` as the API lists it. */
export function figures(key) {
  if (key.used_today === undefined) return [];
  const use = el("p", { class: "row-facts" }, el("span", {}, t("key_used_today", { n: key.used_today })), el("span", {}, t("key_used_month", { n: key.used_this_month })));
  return key.limit ? [use, ...limit(key)] : [use, el("p", { class: "faint" }, t("key_no_limit"))];
}

/** What open calls have set aside counts as gone, so the bar may be longer than the use. */
function limit(key) {
  const { units, per } = key.limit;
  const left = key.limit_remaining;
  const words = t(`key_limit_${per}`, { used: key[USED_IN[per]], n: units, left });
  const meter = { role: "meter", "aria-valuemin": 0, "aria-valuemax": units, "aria-valuenow": units - left, "aria-label": t("key_limit_of", { name: key.name }), "aria-valuetext": words };
  const gone = units === left ? null : el("span", { class: left ? "gone" : "gone full", css: { "--part": `${((units - left) / units) * 100}%` } });
  const resets = key.resets_at ? el("time", { datetime: key.resets_at, class: "faint" }, t("key_resets", { time: moment(key.resets_at) })) : null;
  return [el("div", { class: "bar", ...meter }, gone), el("p", { class: "row-facts" }, el("span", {}, words), resets)];
}

/**
 * The fields of a limit: how many calls, and in what time. `name` makes their ids. `read` answers a limit, null for none, or
 * undefined for a number that is none, with the focus on it.
 */
export function limitFields(name, now = null) {
  const units = el("input", { id: `${name}-units`, type: "number", min: 1, max: UNITS_MAX, step: 1, inputmode: "numeric", autocomplete: "off", value: now?.units, "aria-describedby": `${name}-wrong` });
  const options = WINDOWS.map((per) => el("option", { value: per, selected: per === (now?.per ?? "none") }, t(`per_${per}`)));
  const per = el("select", { id: `${name}-per`, onchange: () => show() }, options);
  const amount = el("div", { class: "pair-field" }, el("label", { for: units.id }, t("key_limit_units")), units);
  const wrong = el("p", { id: `${name}-wrong`, class: "wrong", role: "alert" });
  const show = () => {
    amount.hidden = per.value === "none";
    wrong.textContent = "";
    units.removeAttribute("aria-invalid");
  };
  const read = () => {
    if (per.value === "none") return null;
    const asked = units.value.trim() === "" ? NaN : Number(units.value);
    if (Number.isInteger(asked) && asked >= 1 && asked <= UNITS_MAX) return { units: asked, per: per.value };
    units.toggleAttribute("aria-invalid", true);
    wrong.textContent = t("key_limit_wrong", { most: number(UNITS_MAX) });
    units.focus();
    return undefined;
  };
  const reset = () => {
    per.value = "none";
    units.value = "";
    show();
  };
  show();
  const choice = el("div", { class: "pair-field" }, el("label", { for: per.id }, t("key_limit")), per);
  return { fields: el("div", { class: "fields" }, choice, amount, wrong), read, reset };
}
