/** A modal question: the browser keeps the focus inside, and Escape changes nothing. */

import { button, el } from "/site/dom.js";
import { t } from "/site/words.js";

/** Ask. `act` makes the button that does it, and is given what closes the question. */
export function ask(title, content, act) {
  const close = () => dialog.close();
  const dialog = el(
    "dialog",
    { "aria-labelledby": "ask-title", onclose: () => dialog.remove() },
    el("h2", { id: "ask-title" }, title),
    content,
    el("p", { class: "actions" }, button(t("cancel"), close), act(close)),
  );
  document.body.append(dialog);
  dialog.showModal();
}
