/** The first view: what is left, how it was used, and what can be bought. */

import { call, callPublic, trouble } from "/site/api.js";
import { announce, buy } from "/site/buying.js";
import { chart } from "/site/chart.js";
import { button, el, notice, skeleton } from "/site/dom.js";
import { clock, money, number, t, unitPrice } from "/site/words.js";

/** The API's largest page, and pages enough for a month of daily lines and purchases. */
const PAGE = 100;
const PAGES_MAX = 3;
const MONTH_MS = 31 * 86_400_000;

/** Fill `place`. `before`: what the balance must wait for, so that no old one is shown. */
export function show(place, { before = Promise.resolve() } = {}) {
  const quota = el("section", { class: "card quota", "aria-labelledby": "quota-title" });
  const use = el("section", { class: "card use", "aria-labelledby": "use-title" });
  const load = async () => {
    const shown = [quota, use].map((one) => one.childElementCount > 0);
    if (!shown[0]) quota.replaceChildren(el("h1", { id: "quota-title", tabindex: "-1" }, t("your_quota")), skeleton(t("loading"), 3));
    if (!shown[1]) use.replaceChildren(el("h2", { id: "use-title" }, t("use")), skeleton(t("loading"), 4));
    await before;
    await fillBalance(quota, use, load);
  };
  const plans = planSection(t("plans"), "h2", (plan) => (pressed) => buy(plan.id, pressed));
  place.replaceChildren(el("div", { class: "pair" }, quota, use), plans);
  load();
  return load;
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
  place.replaceChildren(head, planSection(t("plans"), "h2", (plan) => () => purchase(plan.id), t("sign_in_to_buy")));
}

async function fillBalance(quota, use, again) {
  try {
    const ledger = await monthOfLedger();
    const balance = await call("GET", "/quota");
    quota.replaceChildren(...balanceCard(balance, again));
    use.replaceChildren(el("h2", { id: "use-title" }, t("use")), chart(ledger, notItemised(balance, ledger)));
    return null;
  } catch (error) {
    if (quota.querySelector(".figure")) return announce(trouble(error), false); // the older figures stay, with their time beside them
    quota.replaceChildren(el("h1", { id: "quota-title", tabindex: "-1" }, t("your_quota")), trouble(error, button(t("try_again"), again)));
    use.replaceChildren(el("h2", { id: "use-title" }, t("use")), el("p", { class: "faint" }, "–"));
    return null;
  }
}

/** The books balance: what all lines sum up to, less what is there now, has been used and not been written down yet. */
export function notItemised(balance, entries) {
  const sum = entries.length ? entries[0].balance_after : 0;
  return Math.max(0, sum - (balance.remaining + balance.held - balance.debt));
}

async function monthOfLedger() {
  const entries = [];
  let cursor = "";
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const got = await call("GET", `/quota/ledger?limit=${PAGE}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    entries.push(...got.entries);
    cursor = got.next_cursor ?? "";
    if (!cursor || Date.parse(entries.at(-1).booked_at) < Date.now() - MONTH_MS) break;
  }
  return entries;
}

function balanceCard(balance, again) {
  const { total, used, held, remaining, debt } = balance;
  const whole = Math.max(total, used + held + remaining, 1);
  const part = (units, kind) => (units ? el("span", { class: kind, css: { "--part": `${(units / whole) * 100}%` } }) : null);
  const key = (kind, words) => el("li", { class: kind }, words);
  return [
    el("h1", { id: "quota-title", tabindex: "-1" }, t("your_quota")),
    el("p", { class: "figure" }, el("strong", {}, number(remaining)), " ", t("calls_left", { n: remaining })),
    el(
      "div",
      { class: "bar", role: "meter", "aria-valuemin": 0, "aria-valuemax": whole, "aria-valuenow": remaining, "aria-valuetext": t("quota_bar", { remaining, total: whole }), "aria-label": t("your_quota") },
      part(remaining, "left"),
      part(held, "held"),
    ),
    el("ul", { class: "legend" }, key("left", t("left", { n: remaining })), held ? key("held", t("held", { n: held })) : null, key("used", t("used", { n: used }))),
    total || used ? null : notice("info", t("none_yet"), t("none_yet_text")),
    (total || used) && !remaining && !debt ? notice("warn", t("all_used"), t("all_used_text")) : null,
    debt ? notice("warn", t("debt", { n: debt }), t("debt_text")) : null,
    el("p", { class: "asof" }, t("as_of", { time: clock(Date.now()) }), " ", button(t("refresh"), again, "link")),
  ].filter(Boolean);
}

function planSection(title, level, act, hint) {
  const list = el("div", { class: "plans" }, skeleton(t("loading"), 4), skeleton(t("loading"), 4), skeleton(t("loading"), 4));
  const load = async () => {
    try {
      const { plans } = await callPublic("/plans");
      list.replaceChildren(...(plans.length ? plans.map((plan) => planCard(plan, act(plan))) : [el("p", { class: "faint" }, t("plans_none"))]));
    } catch (error) {
      list.replaceChildren(trouble(error, button(t("try_again"), load)));
    }
  };
  load();
  return el("section", { id: "plans", "aria-labelledby": "plans-title" }, el(level, { id: "plans-title" }, title), list, hint ? el("p", { class: "faint" }, hint) : null);
}

function planCard(plan, act) {
  return el(
    "article",
    { class: "card plan", "aria-labelledby": `plan-${plan.id}` },
    el("h3", { id: `plan-${plan.id}` }, plan.name),
    el("p", { class: "price" }, money(plan.amount_minor, plan.currency)),
    el("p", { class: "units" }, el("strong", {}, t("plan_quota", { n: plan.quota })), el("span", {}, t("plan_each", { price: unitPrice(plan.amount_minor, plan.currency, plan.quota) }))),
    el("p", { class: "about" }, plan.description),
    button(t("buy", { name: plan.name }), act, "primary"),
  );
}
