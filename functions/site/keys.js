/** API keys: create one, copy it this once, limit it, revoke it. */

import { call, trouble } from "/site/api.js";
import { ask } from "/site/asking.js";
import { button, el, notice, put, skeleton } from "/site/dom.js";
import { figures, limitFields } from "/site/limits.js";
import { announce } from "/site/notices.js";
import { moment, t } from "/site/words.js";

/** The API's own bound. */
const NAME_MAX = 100;

/** Fill `place` with the form and the list. */
export function show(place) {
  const rest = el("div", {}, skeleton(t("loading"), 4));
  const fresh = el("div", { role: "status" });
  const load = async () => {
    try {
      const { keys } = await call("GET", "/keys");
      put(rest, keys.length ? el("ul", { class: "rows" }, keys.map((key) => row(key, load))) : notice("info", t("keys_none"), t("keys_none_text")));
    } catch (error) {
      put(rest, trouble(error, button(t("try_again"), load)));
    }
  };
  place.replaceChildren(el("h1", { tabindex: "-1" }, t("keys")), el("p", { class: "lead" }, t("keys_text")), form(fresh, load), fresh, rest);
  load();
  return load;
}

function form(fresh, load) {
  const input = el("input", { id: "key-name", name: "name", maxlength: NAME_MAX, autocomplete: "off", "aria-describedby": "key-hint" });
  const hint = el("p", { id: "key-hint", class: "faint" }, t("key_name_hint"));
  const submit = el("button", { type: "submit", class: "primary" }, t("key_create"));
  const limit = limitFields("new-limit");
  const create = async () => {
    const name = input.value.trim();
    input.toggleAttribute("aria-invalid", !name);
    hint.textContent = t(name ? "key_name_hint" : "key_name_missing");
    hint.classList.toggle("wrong", !name);
    if (!name) return input.focus();
    const asked = limit.read();
    if (asked === undefined) return;
    try {
      const key = await call("POST", "/keys", { body: asked ? { name, limit: asked } : { name } });
      input.value = "";
      limit.reset();
      fresh.replaceChildren(secret(key, () => (fresh.replaceChildren(), input.focus())));
      fresh.querySelector("input").focus();
      await load();
    } catch (error) {
      fresh.replaceChildren(trouble(error));
    }
  };
  const send = async (event) => {
    event.preventDefault();
    if (submit.disabled) return;
    submit.disabled = true;
    await create();
    submit.disabled = false;
  };
  return el("form", { class: "card line", onsubmit: send, novalidate: true }, el("label", { for: "key-name" }, t("key_name")), el("div", { class: "field" }, input, submit), hint, limit.fields);
}

function secret(key, close) {
  const value = el("input", { readonly: true, value: key.key, "aria-label": t("key_value", { name: key.name }), class: "secret", spellcheck: "false", onfocus: (event) => event.target.select() });
  const copy = button(t("key_copy"), async () => {
    const done = await navigator.clipboard.writeText(key.key).then(() => true, () => false);
    if (!done) value.select();
    copy.textContent = t(done ? "key_copied" : "key_copy_failed");
  }, "primary");
  const shown = notice("good", t("key_made"), t("key_made_text"));
  shown.append(el("div", { class: "field" }, value, copy, button(t("dismiss"), close)));
  return shown;
}

function row(key, load) {
  const change = button(t("key_limit"), () => askLimit(key, load), "quiet", { "aria-label": t("key_limit_of", { name: key.name }) });
  const revoke = button(t("key_revoke"), () => askRevoke(key, load), "quiet danger", { "aria-label": t("key_revoke_named", { name: key.name }) });
  return el(
    "li",
    { class: "card row key", id: key.key_id },
    el("div", {}, el("h2", {}, key.name), el("p", { class: "faint" }, t("key_created", { time: moment(key.created_at) })), figures(key)),
    el("p", { class: "acts" }, key.used_today === undefined ? null : change, revoke),
  );
}

function askRevoke(key, load) {
  const revoke = async (close) => {
    const said = await call("DELETE", pathOf(key)).then(() => notice("good", t("key_revoked", { name: key.name })), trouble);
    close();
    await load();
    announce(said, true);
  };
  ask(t("key_revoke_sure", { name: key.name }), el("p", {}, t("key_revoke_text")), (close) => button(t("key_revoke_yes"), () => revoke(close), "primary danger"));
}

function askLimit(key, load) {
  const limit = limitFields("key-limit", key.limit);
  const save = async (close) => {
    const asked = limit.read();
    if (asked === undefined) return;
    const done = () => notice("good", t(asked ? "key_limit_set" : "key_limit_cleared", { name: key.name }));
    const said = await call("PATCH", pathOf(key), { body: { limit: asked } }).then(done, trouble);
    close();
    await load();
    announce(said, true);
  };
  ask(t("key_limit_title", { name: key.name }), [el("p", {}, t("key_limit_text")), limit.fields], (close) => button(t("save"), () => save(close), "primary"));
}

const pathOf = (key) => `/keys/${encodeURIComponent(key.key_id)}`;
