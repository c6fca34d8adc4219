/** How elements are made: text goes in as text, never as HTML, so nothing that the API says can become markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Make an element. `attributes`: `onclick` and its like are listeners, `css` sets custom properties,
 * true and false are attributes with and without, everything else is written as it is.
 */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [property, text] of Object.entries(value)) element.style.setProperty(property, text);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that is busy while its act runs, so that no double click acts twice. */
export function button(label, act, kind = "quiet", more = {}) {
  const made = el("button", { type: "button", class: kind, ...more }, label);
  made.addEventListener("click", async () => {
    if (made.getAttribute("aria-disabled") === "true") return;
    made.setAttribute("aria-disabled", "true");
    try {
      await act(made);
    } finally {
      made.removeAttribute("aria-disabled");
    }
  });
  return made;
}

/**
 * Put `children` into `place` instead of what is there. Whoever had the focus in there keeps it: on the same element, else on
 * the one with its id, else on the one with the same words (in the same row, where rows have an id), else on what can take it
 * nearest.
 */
export function put(place, ...children) {
  const held = document.activeElement;
  const had = held !== place && place.contains(held);
  const row = had && held.closest("[id]")?.id;
  place.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
  if (!had || document.activeElement === held) return;
  const near = (row && place.querySelector(`#${CSS.escape(row)}`)) || place;
  const twin = held.id && near.id === held.id ? near : null;
  const same = held.isConnected ? held : twin ?? [...near.querySelectorAll("button, a, summary, input")].find((one) => one.textContent === held.textContent);
  (same ?? near.querySelector("button, a, [tabindex]") ?? document.getElementById("main")).focus();
}

/** Grey lines where text will be. Screen readers hear `label` only. */
export function skeleton(label, lines = 3) {
  const bars = Array.from({ length: lines }, () => el("span", { class: "bone" }));
  return el("div", { class: "skeleton", "aria-busy": "true" }, el("span", { class: "unseen" }, label), bars);
}

/** A message with what to do next. `kind`: good, info, warn or bad. */
export function notice(kind, title, text, ...actions) {
  const shown = actions.filter(Boolean);
  return el(
    "div",
    { class: `notice ${kind}` },
    el("h2", {}, title),
    text ? el("p", {}, text) : null,
    shown.length ? el("p", { class: "actions" }, shown) : null,
  );
}
