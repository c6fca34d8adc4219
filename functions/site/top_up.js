/** Automatic top-ups: agree to them, see their state, and end them. Off until the customer ticks the box. */

import { call, trouble } from "/site/api.js";
import { ask } from "/site/asking.js";
import { button, el, notice, put } from "/site/dom.js";
import { announce } from "/site/notices.js";
import { has, money, number, t, tongue } from "/site/words.js";

const PATH = "/quota/auto-top-up";
/** The API's own bounds. */
const UNITS_MAX = 1_000_000_000;
const MONTHLY_MAX = 30;

/** Whether the seller offers them; asked once, as an answer of 404 is for good. */
let isOffered = true;

/**
 * What the overview shows of them: the card, and the box at the plans that keeps a payment card. Both stay hidden where the
 * seller does not offer it.
 */
export function topUps() {
  const section = el("section", { class: "card topup", "aria-labelledby": "topup-title", hidden: true });
  const box = el("input", { type: "checkbox", id: "remember" });
  const remember = el("label", { class: "check", for: box.id, hidden: true }, box, el("span", {}, t("remember_card")));
  const load = async () => {
    if (!isOffered) return;
    try {
      const now = await call("GET", PATH);
      put(section, card(now, load));
      section.hidden = remember.hidden = false;
    } catch (error) {
      isOffered = error.code !== "not_found";
      if (!isOffered) return;
      section.hidden = false;
      put(section, heading(), trouble(error, button(t("try_again"), load)));
    }
  };
  return { section, remember, load, keepsCard: () => box.checked };
}

const heading = () => el("h2", { id: "topup-title" }, t("topup"));

function card(now, load) {
  const off = button(t("topup_off"), () => change(() => call("DELETE", PATH), "topup_is_off", load));
  const forget = button(t("topup_forget"), () => askForget(load), "quiet danger");
  const terms = button(t(now.on && !now.paused ? "topup_change" : "topup_start"), () => askTerms(now, load).catch((error) => announce(trouble(error), true)), now.paused ? "primary" : "quiet");
  return [
    heading(),
    now.paused ? why(now.paused) : null,
    el("p", {}, now.on ? t("topup_on", terms_of(now)) : t("topup_none")),
    now.on ? el("p", { class: "faint" }, t("topup_used", { n: now.used_this_month, most: now.max_per_month })) : null,
    now.card ? el("p", {}, t("topup_card", card_of(now.card))) : null,
    el("p", { class: "actions" }, terms, now.on ? off : null, now.card ? forget : null),
  ];
}

const terms_of = (now) => ({ plan: now.plan, n: now.when_below, most: now.max_per_month });

function card_of({ brand, last4, exp_month: month, exp_year: year }) {
  return { brand: brand.charAt(0).toUpperCase() + brand.slice(1), last4, until: `${String(month).padStart(2, "0")}/${year}` };
}

/** Why no card is charged, and what the customer can do. */
function why(reason) {
  const name = has(`topup_paused_${reason}`) ? reason : "refused";
  return notice("warn", t("topup_paused"), t(`topup_paused_${name}`));
}

/** Do it, show what became of it, and say so. */
async function change(act, name, load) {
  const said = await act().then(() => notice("good", t("topup"), t(name)), trouble);
  await load();
  announce(said, true);
}

function askForget(load) {
  const forget = async (close) => {
    close();
    await change(() => call("DELETE", `${PATH}?forget_card=true`), "topup_forgotten", load);
  };
  ask(t("topup_forget_sure"), el("p", {}, t("topup_forget_text")), (close) => button(t("topup_forget_yes"), () => forget(close), "primary danger"));
}

async function askTerms(now, load) {
  const { plans } = await call("GET", "/plans");
  const form = termsForm(plans, now);
  const send = async (close) => {
    const terms = form.read();
    if (!terms) return;
    close();
    await change(() => call("PUT", PATH, { body: terms }), "topup_is_on", load);
  };
  ask(t("topup"), form.fields, (close) => button(t("topup_agree"), () => send(close), "primary"));
}

/** The fields. `read` answers the terms, or nothing, with the focus on what is missing. */
function termsForm(plans, now) {
  const options = plans.map((plan) => el("option", { value: plan.id, lang: tongue(plan.name), selected: plan.id === now.plan }, `${plan.name} · ${money(plan)}`));
  const plan = el("select", { id: "topup-plan" }, options);
  const below = whole("topup-below", UNITS_MAX, now.when_below);
  const most = whole("topup-most", MONTHLY_MAX, now.max_per_month ?? 1);
  const agreed = el("input", { type: "checkbox", id: "topup-agreed", "aria-describedby": "topup-wrong" });
  const promise = el("span");
  const wrong = el("p", { id: "topup-wrong", class: "wrong", role: "alert" });
  const show = () => {
    const chosen = plans.find(({ id }) => id === plan.value);
    promise.textContent = chosen ? t("topup_promise", { plan: chosen.name, price: money(chosen), n: Number(below.value) || 0, most: Number(most.value) || 0 }) : "";
    agreed.checked = false; // other terms are not agreed to yet
    wrong.textContent = "";
  };
  for (const field of [plan, below, most]) field.addEventListener("input", show);
  show();
  const fields = el(
    "div",
    { class: "fields" },
    field("topup_plan", plan),
    field("topup_below", below),
    field("topup_most", most),
    el("label", { class: "check", for: agreed.id }, agreed, promise),
    wrong,
  );
  return { fields, read: () => read({ plan, below, most, agreed, wrong }) };
}

function read({ plan, below, most, agreed, wrong }) {
  const bad = [below, most].find((one) => !isWhole(one));
  if (bad ?? !agreed.checked) {
    wrong.textContent = bad ? t("key_limit_wrong", { most: number(Number(bad.max)) }) : t("topup_not_agreed");
    (bad ?? agreed).focus();
    return null;
  }
  return { plan: plan.value, when_below: Number(below.value), max_per_month: Number(most.value), agreed: true };
}

const isWhole = ({ value, max }) => value.trim() !== "" && Number.isInteger(Number(value)) && Number(value) >= 1 && Number(value) <= Number(max);

function whole(id, max, value) {
  return el("input", { id, type: "number", min: 1, max, step: 1, inputmode: "numeric", autocomplete: "off", value: value ?? undefined, "aria-describedby": "topup-wrong" });
}

const field = (name, input) => el("div", { class: "pair-field" }, el("label", { for: input.id }, t(name)), input);
