/** The list of payments: each with its state in a buyer's words, and what to do next. */

import { call, trouble } from "/site/api.js";
import { buy, canResume, resume } from "/site/buying.js";
import { button, el, notice, put } from "/site/dom.js";
import { listing } from "/site/listing.js";
import { say } from "/site/notices.js";
import { has, moment, money, t, tongue } from "/site/words.js";

const PAGE = 20;
const KIND = { completed: "good", processing: "info", pending: "info", failed: "bad", expired: "warn", disputed: "bad", refunded: "warn", partially_refunded: "warn" };
const PAID = ["completed", "disputed", "refunded", "partially_refunded"];

// Of these Stripe says: tell the buyer no more than that the bank declined the card.
// https://docs.stripe.com/declines/codes
const DECLINED = ["generic_decline", "do_not_honor", "call_issuer", "transaction_not_allowed", "restricted_card", "fraudulent", "lost_card", "stolen_card", "pickup_card", "merchant_blacklist"];

/** A payment's state as `{title, text, kind}`. */
export function describe(payment) {
  const { status, refunded_minor: refunded, failure_code: code } = payment;
  if (status === "pending" && !payment.session_id) return { title: t("status_processing"), kind: "info", text: t("status_charging_text") };
  const why = DECLINED.includes(code) ? "card_declined" : code;
  const title = has(`status_${status}`) ? t(`status_${status}`) : status;
  let name = `status_${status}_text`;
  if (status === "failed" && has(`fail_${why}`)) name = `fail_${why}`;
  // The seller gave money back, or the bank did, or both: what the seller gave has an amount.
  if (status.endsWith("refunded")) name = refunded ? "status_refunded_text" : "status_lost_text";
  const text = has(name) ? t(name, { amount: money(payment, refunded), n: payment.units_clawed_back }) : "";
  return { title, kind: KIND[status] ?? "info", text };
}

/** Fill `place` with the newest payments; more on demand. */
export function show(place) {
  const rows = el("ul", { class: "rows" });
  const rest = el("div");
  place.replaceChildren(el("h1", { tabindex: "-1" }, t("payments")), rest);
  const none = () => notice("info", t("payments_none"), t("payments_none_text"), el("a", { href: "#/", class: "button" }, t("see_plans")));
  return listing({ rest, path: "/payments", size: PAGE, rows, frame: rows, lines: (got) => got.payments.map(row), none });
}

function row(payment) {
  const made = el("li", { class: "card row", id: payment.payment_id });
  made.append(...parts(payment, made));
  return made;
}

function parts(payment, made) {
  const { title, text, kind } = describe(payment);
  const place = el("div");
  const paid = payment.paid_minor ?? payment.amount_minor;
  const name = el("h2", { tabindex: "-1" }, el("span", { class: "capital", lang: tongue(payment.plan) }, payment.plan), ` · ${t("plan_quota", { n: payment.quota })}`);
  const renew = (now) => {
    put(made, parts(now, made));
    say(`${describe(now).title}. ${describe(now).text}`);
  };
  return [
    el("div", { class: "row-head" }, name, el("span", { class: `state ${kind}` }, title)),
    el("p", { class: "row-facts" }, el("strong", {}, money(payment, paid)), el("time", { datetime: payment.created_at }, moment(payment.created_at))),
    el("p", { class: "about" }, text),
    actions(payment, renew, place),
    place,
  ].filter(Boolean);
}

function actions(payment, renew, place) {
  const { status, session_id: sessionId, plan } = payment;
  const path = `/payments/${encodeURIComponent(sessionId ?? payment.payment_id)}`;
  const act = (label, run, kind) => button(t(label), (pressed) => run(pressed).catch((error) => place.replaceChildren(trouble(error))), kind);
  const check = act("check_now", async () => renew(await call("POST", `${path}/confirm`)));
  const goOn = act("continue_checkout", async () => renew(await resume(sessionId)), "primary");
  const again = act(status === "pending" ? "buy_anew" : "buy_again", (pressed) => buy(plan, pressed));
  const receipt = act("receipt", async () => location.assign((await call("GET", `${path}/receipt`)).receipt_url));
  const shown = [
    status === "pending" && canResume(sessionId) ? goOn : null,
    ["pending", "processing"].includes(status) && sessionId ? check : null,
    ["failed", "expired"].includes(status) || (status === "pending" && sessionId && !canResume(sessionId)) ? again : null,
    PAID.includes(status) ? receipt : null,
  ];
  return shown.some(Boolean) ? el("p", { class: "actions" }, shown) : null;
}
