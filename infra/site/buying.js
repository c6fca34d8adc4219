/** Going to Stripe, and coming back: the page asks at once what became of the payment, and goes on asking while money is under way. */

import { ApiError, call, trouble } from "/site/api.js";
import { button, el, notice } from "/site/dom.js";
import { describe } from "/site/payments.js";
import { person, signOut } from "/site/signin.js";
import { clock, t } from "/site/words.js";

/** Seconds between questions while a payment is under way, the last one again and again; then the page may be closed. */
const PAUSES_S = [2, 3, 5, 10, 20, 30];
const ASKS_MAX = 24;
const UNDER_WAY = new Set(["pending", "processing"]);
const keys = new Map();

/** Open Stripe's checkout for a plan. A repeat after a failure is the same purchase: its key is kept until there was an answer. */
export async function buy(plan, pressed) {
  const label = pressed?.textContent;
  if (pressed) pressed.textContent = t("buy_opening");
  if (!keys.has(plan)) keys.set(plan, crypto.randomUUID());
  try {
    const session = await call("POST", "/payments/checkout", { body: { plan }, key: keys.get(plan), errand: { buy: plan } });
    keys.delete(plan);
    if (!/^https?:$/.test(new URL(session.url).protocol)) throw new ApiError("internal_error");
    location.assign(session.url);
    await new Promise((done) => addEventListener("pageshow", done, { once: true })); // back by the browser's button: buy again
  } catch (error) {
    if (error.code === "idempotency_conflict") keys.delete(plan);
    announce(trouble(error, button(t("try_again"), (again) => buy(plan, again))));
  } finally {
    if (pressed) pressed.textContent = label;
  }
}

/** Put a message where it is seen and heard, in place of the one before. */
export function announce(message, focus = true) {
  const place = document.getElementById("notices");
  place.replaceChildren(...(message ? [message] : []));
  if (!message || !focus) return;
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: "nearest" });
}

/**
 * Back from Stripe. Resolves at the first answer (or failure), so that the balance shown after it includes the payment;
 * goes on asking in the background, and calls `changed` whenever the payment changed.
 */
export function follow(sessionId, changed) {
  return new Promise((first) => {
    announce(notice("info busy", t("confirming"), t("confirming_text")));
    run(sessionId, first, changed);
  });
}

async function run(sessionId, first, changed) {
  let before = "";
  for (let asked = 1; ; asked += 1) {
    const payment = await call("POST", `/payments/${encodeURIComponent(sessionId)}/confirm`).catch((error) => error);
    const state = payment instanceof Error ? `error ${payment.code}` : payment.status;
    const last = state === "error not_found" || (!UNDER_WAY.has(state) && !(payment instanceof Error)) || asked >= ASKS_MAX;
    const now = button(t("check_now"), () => now.dispatchEvent(new Event("asked")));
    announce(said(payment, last, now), state !== before);
    if (last && !(payment instanceof Error)) history.replaceState(null, "", `/${location.hash}`);
    first();
    if (before && state !== before) changed();
    before = state;
    if (last) return;
    await pause(PAUSES_S[Math.min(asked, PAUSES_S.length) - 1], now);
  }
}

function said(payment, last, now) {
  if (payment instanceof Error) return saidOfError(payment, last, now);
  const list = el("a", { href: "#/payments", class: "button" }, t("see_payments"));
  if (payment.status === "completed") return notice("good", t("paid"), t("paid_text", { n: payment.quota }), list);
  const { title, text, kind } = describe(payment);
  if (!UNDER_WAY.has(payment.status)) return notice(kind, title, text, list);
  const shown = notice("info busy", title, text, last ? null : now, list);
  shown.append(el("p", { class: "faint" }, t(last ? "checked_last" : "checked", { time: clock(Date.now()) })));
  return shown;
}

function saidOfError(error, last, now) {
  if (!(error instanceof ApiError)) throw error;
  if (error.code === "not_found") return notice("warn", t("confirm_unknown"), t("confirm_unknown_text", { name: person() ?? "" }), button(t("switch_account"), signOut));
  const again = last ? button(t("try_again"), () => location.reload()) : now;
  const shown = notice("warn", t(last ? "error" : "confirm_failed"), t("confirm_failed_text"), again);
  shown.append(el("p", { class: "faint" }, error.words));
  return shown;
}

/** Wait, but not while nobody looks, and not when somebody asks. */
function pause(seconds, now) {
  return new Promise((done) => {
    const timer = setTimeout(() => (document.hidden ? addEventListener("visibilitychange", done, { once: true }) : done()), seconds * 1000);
    now.addEventListener("asked", () => (clearTimeout(timer), done()), { once: true });
  });
}
