/** Going to Stripe, and going back to a checkout that was left. */

import { ApiError, call, trouble } from "/site/api.js";
import { button } from "/site/dom.js";
import { announce } from "/site/notices.js";
import { t } from "/site/words.js";

/**
 * Where this tab's checkouts are, `{session_id: {url, ends}}`: Stripe tells it once. A payment that was left can be gone on
 * with instead of being made a second time. The addresses hold no token, and go with the tab or at signing out.
 */
const OPENED = "topup.checkouts";
/** Not paid yet, and perhaps still payable in the same checkout: after a declined card, too. */
const PAYABLE = new Set(["pending", "failed"]);
const keys = new Map();

/**
 * Open Stripe's checkout for a plan. A repeat after a failure is the same purchase: its key is kept until there was an answer.
 * `remember`: Stripe keeps the card for automatic top-ups.
 */
export async function buy(plan, pressed, { remember: keeps = false } = {}) {
  const name = `${plan} ${keeps}`;
  const label = pressed?.textContent;
  if (pressed) pressed.textContent = t("buy_opening");
  if (!keys.has(name)) keys.set(name, crypto.randomUUID());
  try {
    const session = await call("POST", "/payments/checkout", { body: keeps ? { plan, remember_card: true } : { plan }, key: keys.get(name), errand: { buy: plan } });
    keys.delete(name);
    remember(session);
    await leaveFor(session.url);
  } catch (error) {
    if (error.code === "idempotency_conflict") keys.delete(name);
    const again = error.passes === false ? [] : [button(t("try_again"), (retry) => buy(plan, retry, { remember: keeps }))];
    announce(trouble(error, ...again), true);
  } finally {
    if (pressed) pressed.textContent = label;
  }
}

/** Go on with a checkout, if Stripe says that it is not over. Answers with the payment if it is. Throws ApiError. */
export async function resume(sessionId) {
  const payment = await call("POST", `/payments/${encodeURIComponent(sessionId)}/confirm`);
  if (!PAYABLE.has(payment.status)) return payment;
  await leaveFor(opened()[sessionId].url);
  return payment;
}

/** Whether this tab knows the way back to a payment's checkout. */
export const canResume = (sessionId) => Object.hasOwn(opened(), sessionId);

/** The checkout that this tab opened last and that may still be open, or nothing. */
export const lastOpened = () => Object.keys(opened()).at(-1);

async function leaveFor(url) {
  if (!/^https?:$/.test(new URL(url).protocol)) throw new ApiError("internal_error");
  location.assign(url);
  await new Promise((done) => addEventListener("pageshow", done, { once: true })); // back by the browser's button: buy again
}

function remember({ session_id: id, url, expires_at: ends }) {
  sessionStorage.setItem(OPENED, JSON.stringify({ ...opened(), [id]: { url, ends } }));
}

function opened() {
  const all = Object.entries(JSON.parse(sessionStorage.getItem(OPENED) ?? "{}"));
  return Object.fromEntries(all.filter(([, { ends }]) => Date.parse(ends) > Date.now()));
}
