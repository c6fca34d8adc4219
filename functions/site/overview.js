/** The first view: what is left, how it was used, and what can be bought. */

import { setting, threshold, warning } from "/site/alert.js";
import { call, callPublic, trouble } from "/site/api.js";
import { buy } from "/site/buying.js";
import { chart } from "/site/chart.js";
import { button, el, notice, put, skeleton } from "/site/dom.js";
import { expiring } from "/site/expiring.js";
import { announce, say } from "/site/notices.js";
import { partsOf } from "/site/splitting.js";
import { topUps } from "/site/top_up.js";
import { clock, money, number, t, tongue, unitPrice } from "/site/words.js";

/** The API's largest page, and pages enough for a month of daily lines and purchases. */
const PAGE = 100;
const PAGES_MAX = 3;
const MONTH_MS = 31 * 86_400_000;

/** Fill `place`. `before`: what the balance must wait for, so that no old one is shown. */
export function show(place, { before = Promise.resolve() } = {}) {
  const quota = el("section", { class: "card quota", "aria-labelledby": "quota-title" });
  const use = el("section", { class: "card use", "aria-labelledby": "use-title" });
  const load = async () => {
    if (!quota.querySelector(".figure")) {
      put(quota, quotaTitle(), skeleton(t("loading"), 3));
      put(use, useTitle(), skeleton(t("loading"), 4));
      use.hidden = false;
    }
    await before;
    return fillBalance(quota, use, load);
  };
  const auto = topUps();
  const all = () => Promise.all([load(), auto.load()]);
  const purchase = (plan) => (pressed) => buy(plan.id, pressed, { remember: auto.keepsCard() });
  const plans = planSection(purchase, { after: all(), remember: auto.remember });
  place.replaceChildren(el("div", { class: "pair" }, quota, use), plans, auto.section);
  return all;
}

/** For those who are not signed in: what this is, and what it costs. */
export function welcome(place, { enter, purchase }) {
  const head = el(
    "section",
    { class: "hero" },
    el("h1", { tabindex: "-1" }, t("welcome")),
    el("p", {}, t("welcome_text")),
    button(t("sign_in"), enter, "primary"),
  );
  place.replaceChildren(head, planSection((plan) => () => purchase(plan.id), { hint: t("sign_in_to_buy") }));
}

const quotaTitle = () => el("h1", { id: "quota-title", tabindex: "-1" }, t("your_quota"));
const useTitle = () => el("h2", { id: "use-title" }, t("use"));

/** Answers whether the figures are fresh. */
async function fillBalance(quota, use, again) {
  try {
    const [ledger, balance, alert] = await Promise.all([monthOfLedger(), call("GET", "/quota"), threshold()]);
    const isEmpty = !balance.total && !balance.used;
    const waits = isEmpty && (await call("GET", "/payments")).payments.some(({ status }) => status === "processing");
    const lots = balance.expires_next ? (await call("GET", `/quota/lots?limit=${PAGE}`)).lots : [];
    const dated = lots.filter((lot) => lot.expires_at);
    put(quota, balanceCard(balance, dated, again, waits, alert), setting(alert, again, quota.querySelector("#alert")?.open));
    put(use, useTitle(), chart(ledger, () => splitByKey(ledger), use.querySelector("details")?.open));
    return true;
  } catch (error) {
    use.hidden = !quota.querySelector(".figure");
    if (use.hidden) put(quota, quotaTitle(), trouble(error, button(t("try_again"), again)));
    else announce(trouble(error)); // the older figures stay, with their time beside them
    return false;
  }
}

/** The parts of the use, or null where they cannot be had; then it is said why. */
async function splitByKey(ledger) {
  try {
    return partsOf(ledger, (await call("GET", "/keys")).keys);
  } catch (error) {
    announce(trouble(error));
    return null;
  }
}

/** The newest page's answer, with the entries of as many pages as a month may need. */
async function monthOfLedger() {
  let [first, cursor] = [null, ""];
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const got = await call("GET", `/quota/ledger?limit=${PAGE}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    first ? first.entries.push(...got.entries) : (first = got);
    cursor = got.next_cursor ?? "";
    if (!cursor || Date.parse(got.entries.at(-1).booked_at) < Date.now() - MONTH_MS) break;
  }
  return first;
}

function balanceCard(balance, lots, again, waits, alert) {
  const { used, held, remaining } = balance;
  const total = Math.max(balance.total, used + held + remaining); // units owed were used, and are in no total
  const meter = { role: "meter", "aria-valuemin": 0, "aria-valuemax": total || 1, "aria-valuenow": remaining, "aria-label": t("your_quota"), "aria-valuetext": t("quota_bar", { remaining, total, n: total }) };
  const part = (units, kind) => (units ? el("span", { class: kind, css: { "--part": `${(units / total) * 100}%` } }) : null);
  const key = (kind, units) => el("li", { class: kind }, t(kind, { n: units }));
  const refresh = async () => {
    if (await again()) say(t("as_of", { time: clock(Date.now()) }));
  };
  return [
    quotaTitle(),
    el("p", { class: "figure" }, el("strong", {}, number(remaining)), " ", t("calls_left", { n: remaining })),
    el("div", { class: "bar", ...meter }, part(remaining, "left"), part(held, "held")),
    el("ul", { class: "legend" }, key("left", remaining), held ? key("held", held) : null, key("used", used)),
    ...expiring(balance.expires_next, lots),
    nextStep(balance, waits, alert),
    el("p", { class: "asof" }, t("as_of", { time: clock(Date.now()) }), " ", button(t("refresh"), refresh, "link")),
  ];
}

/** What the figures mean for the customer, where they mean something. */
function nextStep({ total, used, remaining, debt }, waits, alert) {
  if (debt) return notice("warn", t("debt", { n: debt }), t("debt_text"));
  if (!total && !used) return notice("info", t("none_yet"), t(waits ? "none_waits_text" : "none_yet_text"));
  return remaining ? warning(remaining, alert) : notice("warn", t("all_used"), t("all_used_text"));
}

/** `after`: what is above it is as large as it will be; a button that moves under a finger is not pressed. */
function planSection(act, { hint, after, remember = null }) {
  const list = el("div", { class: "plans" }, skeleton(t("loading"), 4), skeleton(t("loading"), 4), skeleton(t("loading"), 4));
  const load = async () => {
    try {
      const { plans } = await callPublic("/plans");
      await after;
      put(list, plans.length ? plans.map((plan) => planCard(plan, act(plan))) : el("p", { class: "faint" }, t("plans_none")));
    } catch (error) {
      put(list, trouble(error, button(t("try_again"), load)));
    }
  };
  load();
  return el("section", { id: "plans", "aria-labelledby": "plans-title" }, el("h2", { id: "plans-title" }, t("plans")), remember, list, hint ? el("p", { class: "faint" }, hint) : null);
}

function planCard(plan, act) {
  return el(
    "article",
    { class: "card plan", "aria-labelledby": `plan-${plan.id}` },
    el("h3", { id: `plan-${plan.id}`, lang: tongue(plan.name) }, plan.name),
    el("p", { class: "price" }, money(plan)),
    el("p", { class: "units" }, el("strong", {}, t("plan_quota", { n: plan.quota })), el("span", {}, t("plan_each", { price: unitPrice(plan) }))),
    el("p", { class: "about", lang: tongue(plan.description) }, plan.description),
    button(t("buy", { name: plan.name }), act, "primary"),
  );
}
