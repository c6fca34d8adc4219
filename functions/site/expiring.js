/** What of the quota expires when: in a line of its own, and in words once it is a week or a day away. */

import { el, notice } from "/site/dom.js";
import { moment, t } from "/site/words.js";

const DAY_MS = 86_400_000;

/** `next`: the units that expire first. `lots`: all that expire, soonest first. */
export function expiring(next, lots) {
  if (!next) return [];
  const line = (n, time) => t("expires_on", { n, time: moment(time) });
  const left = Date.parse(next.at) - Date.now();
  const rows = lots.map((lot) => el("li", {}, line(lot.left, lot.expires_at)));
  const all = rows.length > 1 ? el("details", { class: "expiring" }, el("summary", {}, t("expires_all")), el("ul", {}, rows)) : null;
  if (left >= 7 * DAY_MS) return [el("p", { class: "faint" }, line(next.units, next.at)), all];
  const words = t(left < DAY_MS ? "expires_day" : "expires_week", { n: next.units });
  return [notice("warn", words, t("expires_text", { time: moment(next.at) })), all];
}
