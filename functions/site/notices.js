/** The place for messages, on top of every view: seen, heard once, and in nobody's way. */

const place = document.getElementById("notices");

/** Let screen readers say this, once. Nothing is shown and no focus moves. */
export function say(words) {
  document.getElementById("said").textContent = words;
}

/**
 * Show a message in place of the one before; null for none. It is given the focus when the person's own act led to it
 * (`acted`), or when nothing else has it. Otherwise it is said: nobody is torn from what they are doing.
 */
export function announce(message, acted = false) {
  const held = document.activeElement;
  const free = acted || !held || held === document.body || place.contains(held);
  place.replaceChildren(...(message ? [message] : []));
  if (message && free) attend();
  else if (message && message.getAttribute("role") !== "alert") say(spoken(message));
}

/** Give the message the focus. */
export function attend() {
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: "nearest" });
}

/** A message's title and text. */
export function spoken(message) {
  return [...message.querySelectorAll(":scope > h2, :scope > p:not(.actions, .faint)")].map((line) => line.textContent).join(" ");
}
