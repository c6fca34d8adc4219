/** The list of payments: each with its state in a buyer's words, and what to do next. */

import { call, trouble } from "/site/api.js";
import { buy } from "/site/buying.js";
import { button, el, notice, skeleton } from "/site/dom.js";
import { has, moment, money, number, t } from "/site/words.js";

const PAGE = 20;
const KIND = { completed: "good", processing: "info", pending: "info", failed: "bad", expired: "warn", disputed: "bad", refunded: "warn", partially_refunded: "warn" };
const PAID = ["completed", "disputed", "refunded", "partially_refunded"];

/** A payment's state as `{title, text, kind}`. */
export function describe(payment) {
  const { status, refunded_minor: refunded, units_clawed_back: units, failure_code: why } = payment;
  const values = { amount: money(refunded, payment.currency), units: number(units) };
  const title = has(`status_${status}`) ? t(`status_${status}`) : status;
  const kind = KIND[status] ?? "info";
  if (status === "failed" && has(`fail_${why}`)) return { title, kind, text: t(`fail_${why}`) };
  if (status === "refunded" || status === "partially_refunded") return { title, kind, text: t(refunded ? "status_refunded_text" : "status_lost_text", values) };
  return { title, kind, text: has(`status_${status}_text`) ? t(`status_${status}_text`, values) : "" };
}

/** Fill `place` with the newest payments; more on demand. */
export function show(place) {
  const list = el("ul", { class: "rows" });
  const more = el("p", { class: "actions" });
  const rest = el("div", {}, skeleton(t("loading"), 5));
  place.replaceChildren(el("h1", { tabindex: "-1" }, t("payments")), rest);
  const load = async (cursor = "") => {
    try {
      const got = await call("GET", `/payments?limit=${PAGE}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      if (!cursor) list.replaceChildren();
      list.append(...got.payments.map(row));
      rest.replaceChildren(...(list.childElementCount ? [list, more] : [empty()]));
      more.replaceChildren(...(got.next_cursor ? [button(t("load_more"), () => load(got.next_cursor))] : []));
    } catch (error) {
      (list.childElementCount ? more : rest).replaceChildren(trouble(error, button(t("try_again"), () => load(cursor))));
    }
  };
  load();
  return () => load();
}

function empty() {
  return notice("info", t("payments_none"), t("payments_none_text"), el("a", { href: "#/", class: "button" }, t("see_plans")));
}

function row(payment) {
  const { title, text, kind } = describe(payment);
  const place = el("div");
  const made = el(
    "li",
    { class: "card row" },
    el("div", { class: "row-head" }, el("h2", {}, el("span", { class: "capital" }, payment.plan), ` · ${t("plan_quota", { n: payment.quota })}`), el("span", { class: `state ${kind}` }, title)),
    el("p", { class: "row-facts" }, el("strong", {}, money(payment.amount_minor, payment.currency)), el("time", { datetime: payment.created_at }, moment(payment.created_at))),
    el("p", { class: "about" }, text),
    actions(payment, (fresh) => made.replaceWith(fresh), place),
    place,
  );
  return made;
}

function actions(payment, replace, place) {
  const { status, session_id: sessionId } = payment;
  const check = async () => {
    try {
      const fresh = row(await call("POST", `/payments/${encodeURIComponent(sessionId)}/confirm`));
      replace(fresh);
      fresh.querySelector("button")?.focus();
    } catch (error) {
      place.replaceChildren(trouble(error));
    }
  };
  const receipt = async () => {
    try {
      location.assign((await call("GET", `/payments/${encodeURIComponent(sessionId)}/receipt`)).receipt_url);
    } catch (error) {
      place.replaceChildren(trouble(error));
    }
  };
  const shown = [];
  if ((status === "pending" || status === "processing") && sessionId) shown.push(button(t("check_now"), check));
  if (["pending", "failed", "expired"].includes(status)) shown.push(button(t("buy_again"), (pressed) => buy(payment.plan, pressed)));
  if (PAID.includes(status)) shown.push(button(t("receipt"), receipt));
  return shown.length ? el("p", { class: "actions" }, shown) : null;
}
