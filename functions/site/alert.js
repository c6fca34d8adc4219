/** Where a low balance begins: the customer's own threshold, and the warning before all is used. */

import { call, trouble } from "/site/api.js";
import { button, el, notice } from "/site/dom.js";
import { announce, say } from "/site/notices.js";
import { number, t } from "/site/words.js";

/** The API's own bound. */
const LOW_AT_MAX = 1_000_000_000;

/** The threshold, or null where it cannot be had: the balance is shown without it. */
export const threshold = () => call("GET", "/quota/alert").catch(() => null);

/** The warning, with the way to buy; null where there is nothing to warn of. */
export function warning(remaining, alert) {
  if (!alert || remaining >= alert.low_at) return null;
  const toPlans = () => document.querySelector("#plans button")?.focus();
  return notice("warn", t("low", { n: remaining }), t("low_text"), button(t("see_plans"), toPlans));
}

/** The customer's own threshold, and the form that sets it. `again` loads the balance. */
export function setting(alert, again, isOpen) {
  if (!alert) return null;
  const units = el("input", { id: "low-at", type: "number", min: 0, max: LOW_AT_MAX, step: 1, inputmode: "numeric", autocomplete: "off", value: alert.low_at, "aria-describedby": "low-at-hint low-at-wrong" });
  const wrong = el("p", { id: "low-at-wrong", class: "wrong", role: "alert" });
  const send = async (event) => {
    event.preventDefault();
    const asked = units.value.trim() === "" ? NaN : Number(units.value);
    const isRight = Number.isInteger(asked) && asked >= 0 && asked <= LOW_AT_MAX;
    units.toggleAttribute("aria-invalid", !isRight);
    wrong.textContent = isRight ? "" : t("low_at_wrong", { most: number(LOW_AT_MAX) });
    if (!isRight) return units.focus();
    try {
      await call("PUT", "/quota/alert", { body: { low_at: asked } });
    } catch (error) {
      return announce(trouble(error));
    }
    if (await again()) say(t("low_at_saved"));
  };
  const now = alert.low_at ? t("low_at_is", { n: alert.low_at }) : t("low_at_never");
  const field = el("div", { class: "field" }, units, el("button", { class: "quiet", id: "low-at-save" }, t("save")));
  const form = el("form", { onsubmit: send, novalidate: true }, el("label", { for: "low-at" }, t("low_at")), field, el("p", { id: "low-at-hint", class: "faint" }, t("low_at_hint")), wrong);
  return el("details", { id: "alert", open: Boolean(isOpen) }, el("summary", {}, now), form);
}
