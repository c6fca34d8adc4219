/** The page itself: who is here, which view is shown, and what to do when the connection goes or comes. */

import { trouble } from "/site/api.js";
import { buy, lastOpened, resume } from "/site/buying.js";
import { button, el, notice, skeleton } from "/site/dom.js";
import { follow } from "/site/following.js";
import * as history from "/site/history.js";
import * as keys from "/site/keys.js";
import { announce } from "/site/notices.js";
import * as overview from "/site/overview.js";
import * as payments from "/site/payments.js";
import * as signin from "/site/signin.js";
import { clock, language, t } from "/site/words.js";

const VIEWS = { "#/": ["overview", overview], "#/payments": ["payments", payments], "#/history": ["history", history], "#/keys": ["keys", keys] };
/** A view that was out of sight for longer is loaded anew when it is seen again. */
const STALE_MS = 15_000;

const main = document.getElementById("main");
let reload = () => {};
let loadedAt = Date.now();
let waitFor = Promise.resolve();

async function start() {
  dress();
  main.replaceChildren(skeleton(t("loading"), 4));
  const query = new URLSearchParams(location.search);
  if (!signin.configure()) return welcomeWith(notice("warn", t("sign_in_unavailable"), t("sign_in_unavailable_text"), button(t("try_again"), () => location.reload())));
  const back = await signin.comeBack();
  if (back?.ok) return enter(back.errand);
  if (!back && (signin.wasSignedIn() || query.has("session_id"))) return signin.leave({ silent: true });
  return welcomeWith(reason(back));
}

/** What to tell somebody who is not signed in, or nothing. */
function reason(back) {
  const query = new URLSearchParams(location.search);
  const sign = () => button(t("sign_in"), () => signin.leave(), "primary");
  if (back?.asked) return notice("bad", t("sign_in_failed"), t("sign_in_failed_text"), sign());
  if (query.has("session_id")) return notice("info", t("sign_in_to_see"), t("sign_in_to_see_text"), sign());
  return query.has("cancelled") ? notice("info", t("cancelled"), t("cancelled_text")) : null;
}

function welcomeWith(message) {
  announce(message);
  overview.welcome(main, { enter: () => signin.leave(), purchase: (plan) => signin.leave({ errand: { buy: plan } }) });
}

function enter(errand) {
  const query = new URLSearchParams(location.search);
  account();
  if (query.has("session_id")) waitFor = follow(query.get("session_id"), () => reload());
  if (query.has("cancelled")) {
    announce(notice("info", t("cancelled"), t("cancelled_text"), wayBack()));
    window.history.replaceState(null, "", `/${location.hash}`);
  }
  addEventListener("hashchange", () => route(true));
  addEventListener("visibilitychange", () => !document.hidden && refreshIfStale());
  addEventListener("pageshow", (event) => event.persisted && refreshIfStale());
  route(false);
  if (errand?.buy) buy(errand.buy);
}

/** To the checkout that was just left. */
function wayBack() {
  const sessionId = lastOpened();
  const goOn = async () => {
    const over = await resume(sessionId).catch(trouble);
    if (over instanceof Element) announce(over, true);
    else location.hash = "#/payments";
  };
  return sessionId ? button(t("continue_checkout"), goOn) : null;
}

function route(moved) {
  const hash = VIEWS[location.hash] ? location.hash : "#/";
  const [name, view] = VIEWS[hash];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.getAttribute("href") === hash) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${t(name)} · ${t("title")}`;
  if (moved && !document.querySelector("#notices .busy")) announce(null);
  const load = view.show(main, { before: waitFor });
  loadedAt = Date.now();
  reload = async () => {
    loadedAt = Date.now();
    await load();
  };
  if (moved) main.querySelector("h1").focus();
}

function refreshIfStale() {
  if (navigator.onLine && Date.now() - loadedAt > STALE_MS) reload();
}

/** The words around the views. */
function dress() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  document.title = t("title");
  const skip = document.getElementById("skip");
  skip.textContent = t("skip");
  skip.addEventListener("click", (event) => {
    event.preventDefault();
    main.focus();
  });
  document.querySelector("nav").setAttribute("aria-label", t("nav"));
  document.getElementById("notices").setAttribute("aria-label", t("messages"));
  document.querySelector("footer").textContent = t("footer");
  addEventListener("offline", connection);
  addEventListener("online", () => {
    connection();
    reload();
  });
  connection();
}

function connection() {
  const shown = navigator.onLine ? [] : [notice("warn", t("offline"), t("offline_text", { time: clock(loadedAt) }))];
  document.getElementById("connection").replaceChildren(...shown);
}

function account() {
  const links = Object.entries(VIEWS).map(([hash, [name]]) => el("a", { href: hash }, t(name)));
  document.querySelector("nav").replaceChildren(...links);
  const name = el("span", { class: "who", title: signin.person() }, el("span", { class: "unseen" }, t("signed_in_as", { name: "" })), signin.person());
  document.getElementById("account").replaceChildren(name, button(t("sign_out"), () => signin.signOut(), "link"));
}

start().catch((error) => main.replaceChildren(trouble(error, button(t("try_again"), () => location.reload()))));
