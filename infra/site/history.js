/** The ledger, newest first, with the balance after each line; on top what is used and not written down yet. */

import { call, trouble } from "/site/api.js";
import { button, el, notice, skeleton } from "/site/dom.js";
import { notItemised } from "/site/overview.js";
import { change, day, has, moment, number, t } from "/site/words.js";

const PAGE = 50;

/** Fill `place` with the newest lines; more on demand. */
export function show(place) {
  const lines = el("tbody");
  const more = el("p", { class: "actions" });
  const rest = el("div", {}, skeleton(t("loading"), 6));
  place.replaceChildren(el("h1", { tabindex: "-1", id: "history-title" }, t("history")), el("p", { class: "lead" }, t("history_text")), rest);
  const head = ["what", "calls", "balance"].map((name) => el("th", { scope: "col" }, t(name)));
  const table = el("div", { class: "card table", role: "region", tabindex: "0", "aria-labelledby": "history-title" }, el("table", {}, el("thead", {}, el("tr", {}, head)), lines));
  const load = async (cursor = "") => {
    try {
      const got = await call("GET", `/quota/ledger?limit=${PAGE}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      if (!cursor) lines.replaceChildren(...openLine(await call("GET", "/quota"), got.entries));
      lines.append(...got.entries.map(line));
      rest.replaceChildren(...(lines.childElementCount ? [table, more] : [notice("info", t("history_none"), t("history_none_text"))]));
      more.replaceChildren(...(got.next_cursor ? [button(t("load_more"), () => load(got.next_cursor))] : []));
    } catch (error) {
      (lines.childElementCount ? more : rest).replaceChildren(trouble(error, button(t("try_again"), () => load(cursor))));
    }
  };
  load();
  return () => load();
}

function openLine(balance, entries) {
  const open = notItemised(balance, entries);
  return open ? [cells(t("entry_open"), null, -open, balance.remaining + balance.held - balance.debt, "open")] : [];
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
