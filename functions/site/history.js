/** The ledger, newest first, with the balance after each line; on top the use that is no line yet. */

import { el, notice } from "/site/dom.js";
import { listing } from "/site/listing.js";
import { change, day, has, moment, number, t } from "/site/words.js";

const PAGE = 50;

/** Fill `place` with the newest lines; more on demand. */
export function show(place) {
  const rows = el("tbody");
  const rest = el("div");
  const head = ["what", "calls", "balance"].map((name) => el("th", { scope: "col" }, t(name)));
  const frame = el("div", { class: "card table", role: "region", tabindex: "0", "aria-labelledby": "history-title" }, el("table", {}, el("thead", {}, el("tr", {}, head)), rows));
  place.replaceChildren(el("h1", { tabindex: "-1", id: "history-title" }, t("history")), el("p", { class: "lead" }, t("history_text")), rest);
  const lines = (got, first) => [...(first ? openLine(got) : []), ...got.entries.map(line)];
  return listing({ rest, path: "/quota/ledger", size: PAGE, rows, frame, lines, none: () => notice("info", t("history_none"), t("history_none_text")) });
}

/** It becomes a line when a later day begins; until then calls of its day are still added to it. */
function openLine({ entries, not_itemised: open }) {
  if (!open) return [];
  const isToday = open.day === new Date().toISOString().slice(0, 10);
  const words = t(isToday ? "entry_consumed_so_far" : "entry_consumed_on", { day: day(open.day) });
  return [cells(words, null, -open.units, (entries[0]?.balance_after ?? 0) - open.units, "open")];
}

function line(entry) {
  const daily = entry.type === "consumed" && entry.reference_type === "day";
  const plain = has(`entry_${entry.type}`) ? t(`entry_${entry.type}`) : entry.type;
  if (daily) return cells(t("entry_consumed_on", { day: day(entry.reference_id) }), null, entry.units, entry.balance_after);
  return cells(plain, entry.booked_at, entry.units, entry.balance_after);
}

function cells(words, time, units, balance, kind = "") {
  const sign = units > 0 ? "plus" : "minus";
  const what = el("td", {}, words, time ? el("time", { datetime: time, class: "faint" }, moment(time)) : null);
  return el("tr", { class: kind }, what, el("td", { class: `count ${sign}` }, change(units)), el("td", { class: "count" }, number(balance)));
}
