/** Back from Stripe: the page asks at once what became of the payment, and goes on asking while money is under way. */

import { ApiError, call } from "/site/api.js";
import { button, el } from "/site/dom.js";
import { announce, attend, say, spoken } from "/site/notices.js";
import { describe } from "/site/payments.js";
import { person, signOut } from "/site/signin.js";
import { clock, t } from "/site/words.js";

/** Seconds between questions while a payment is under way, the last one again and again; then the page may be closed. */
const PAUSES_S = [2, 3, 5, 10, 20, 30];
const ASKS_MAX = 24;
const UNDER_WAY = new Set(["pending", "processing"]);

/**
 * Resolves at the first answer (or failure), so that the balance shown after it includes the payment; goes on asking in the
 * background, and calls `changed` whenever the payment changed.
 */
export function follow(sessionId, changed) {
  return new Promise((first) => {
    const { shown, tell, now } = panel();
    tell({ kind: "info busy", title: t("confirming"), text: t("confirming_text") });
    announce(shown);
    run(sessionId, { shown, tell, now }, first, changed);
  });
}

async function run(sessionId, { shown, tell, now }, first, changed) {
  let [before, asked] = ["", false];
  for (let turn = 1; ; turn += 1) {
    const payment = await call("POST", `/payments/${encodeURIComponent(sessionId)}/confirm`).catch((error) => error);
    const state = payment instanceof Error ? `error ${payment.code}` : payment.status;
    const last = state === "error not_found" || (!UNDER_WAY.has(state) && !(payment instanceof Error)) || turn >= ASKS_MAX;
    tell(verdict(payment, last));
    if (state !== before && !shown.isConnected) announce(shown);
    else if (state !== before || asked) say(`${spoken(shown)} ${asked ? shown.lastChild.textContent : ""}`);
    if (last && !(payment instanceof Error)) history.replaceState(null, "", `/${location.hash}`);
    first();
    if (before && state !== before) changed();
    before = state;
    if (last) return;
    asked = await pause(PAUSES_S[Math.min(turn, PAUSES_S.length) - 1], now);
  }
}

/** A message whose words change in place: a button that has the focus keeps it, and what stays the same is not said again. */
function panel() {
  const [title, text, small] = [el("h2"), el("p"), el("p", { class: "faint" })];
  const actions = {
    now: button(t("check_now"), () => actions.now.dispatchEvent(new Event("asked"))),
    again: button(t("try_again"), () => location.reload()),
    other: button(t("switch_account"), signOut),
    list: el("a", { href: "#/payments", class: "button" }, t("see_payments")),
  };
  const shown = el("div", {}, title, text, el("p", { class: "actions" }, Object.values(actions)), small);
  const tell = (said) => {
    shown.className = `notice ${said.kind}`;
    for (const [line, words] of [[title, said.title], [text, said.text], [small, said.small ?? ""]]) if (line.textContent !== words) line.textContent = words;
    const held = Object.values(actions).find((action) => action === document.activeElement);
    for (const [name, action] of Object.entries(actions)) action.hidden = !said.actions?.includes(name);
    if (held?.hidden) attend();
  };
  return { shown, tell, now: actions.now };
}

function verdict(payment, last) {
  if (payment instanceof Error) return verdictOfError(payment, last);
  if (payment.status === "completed") return { kind: "good", title: t("paid"), text: t("paid_text", { n: payment.quota }), actions: ["list"] };
  const said = describe(payment);
  if (!UNDER_WAY.has(payment.status)) return { ...said, actions: ["list"] };
  const small = t(last ? "checked_last" : "checked", { time: clock(Date.now()) });
  return { ...said, kind: last ? "info" : "info busy", small, actions: last ? ["list"] : ["now", "list"] };
}

function verdictOfError(error, last) {
  if (!(error instanceof ApiError)) throw error;
  if (error.code === "not_found") return { kind: "warn", title: t("confirm_unknown"), text: t("confirm_unknown_text", { name: person() ?? "" }), actions: ["other"] };
  return { kind: "warn", title: t(last ? "error" : "confirm_failed"), text: t("confirm_failed_text"), small: error.code.startsWith("stripe_") ? "" : error.words, actions: [last ? "again" : "now"] };
}

/** Wait, but not while nobody looks, and not when somebody asks. Answers whether somebody did. */
function pause(seconds, now) {
  return new Promise((done) => {
    const over = () => done(false);
    const timer = setTimeout(() => (document.hidden ? addEventListener("visibilitychange", over, { once: true }) : over()), seconds * 1000);
    now.addEventListener("asked", () => (clearTimeout(timer), done(true)), { once: true });
  });
}
