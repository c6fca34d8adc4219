/** Use over time, drawn by hand: one bar a day, and the same as a table for those who cannot see or hover. */

import { button, el, put, svg } from "/site/dom.js";
import { day, dayShort, number, t } from "/site/words.js";

const DAYS = 30;
const HEIGHT = 148;
const FOOT = 22;
const HEAD = 18;
const WIDTH_MIN = 120;
const DAY_MS = 86_400_000;
/** Whether the use is split by key: kept while the page is open. */
let isSplit = false;

/** Units used per UTC day, oldest first: `[{date, units}]`, the last DAYS days, days without use included. `open`: a day's use that is no line yet. */
export function perDay({ entries, not_itemised: open }, now = Date.now()) {
  const used = new Map(open ? [[open.day, open.units]] : []);
  for (const entry of entries.filter((one) => one.type === "consumed")) {
    const date = entry.reference_type === "day" ? entry.reference_id : entry.booked_at.slice(0, 10);
    used.set(date, (used.get(date) ?? 0) - entry.units);
  }
  return Array.from({ length: DAYS }, (_, index) => {
    const date = new Date(now - (DAYS - 1 - index) * DAY_MS).toISOString().slice(0, 10);
    return { date, units: used.get(date) ?? 0 };
  });
}

/**
 * The figure with its caption and its table (`unfolded`: shown at once); it is drawn again when its width changes.
 * `split` answers the parts of the use by key.
 */
export function chart(ledger, split, unfolded = false) {
  const days = perDay(ledger);
  const sum = days.reduce((total, { units }) => total + units, 0);
  if (!sum) return el("p", { class: "faint" }, t("use_none"));
  const most = days.reduce((best, one) => (one.units > best.units ? one : best));
  const words = [t("use_sum", { n: sum }), t("use_most", { day: day(most.date), n: most.units })];
  const [drawing, legend, list] = [el("div", { class: "drawing" }), el("div"), el("details", { open: unfolded })];
  let parts = null;
  const redraw = () => drawing.replaceChildren(draw(days, parts, drawing.clientWidth, words.join(". ")));
  const show = async () => {
    const found = isSplit ? await split() : null;
    parts = found?.filter((part) => days.some(({ date }) => part.units.has(date))) ?? null;
    isSplit = parts !== null;
    toggle.setAttribute("aria-pressed", `${isSplit}`);
    put(legend, parts && el("ul", { class: "legend" }, parts.map(({ name }, index) => el("li", { class: `part${index}` }, name))));
    list.replaceChildren(el("summary", {}, t("use_days")), table(days, parts));
    redraw();
  };
  const toggle = button(t("use_split"), () => ((isSplit = !isSplit), show()), "link", { "aria-pressed": "false" });
  list.append(el("summary", {}, t("use_days")), table(days, null));
  new ResizeObserver(redraw).observe(drawing);
  if (isSplit) show();
  return el("figure", { class: "chart" }, drawing, legend, el("figcaption", {}, words.join(" · "), " ", toggle), list);
}

function table(days, parts) {
  const used = days.filter(({ units }) => units).reverse();
  const cells = (date, ...rest) => el("tr", {}, el("th", { scope: "row" }, day(date)), rest.map((one) => el("td", { class: typeof one === "number" ? "count" : "" }, typeof one === "number" ? number(one) : one)));
  const ofParts = ({ date }) => parts.filter((part) => part.units.has(date)).map((part) => cells(date, part.name, part.units.get(date)));
  const rows = parts ? used.flatMap(ofParts) : used.map(({ date, units }) => cells(date, units));
  const head = ["day", ...(parts ? ["key"] : []), "calls"].map((name) => el("th", { scope: "col", class: name === "calls" ? "count" : "name" }, t(name)));
  return el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows));
}

function draw(days, parts, wide, label) {
  const width = Math.max(wide, WIDTH_MIN);
  const step = width / days.length;
  const largest = Math.max(...days.map(({ units }) => units));
  const ground = HEIGHT - FOOT;
  const heightOf = (units) => (units / largest) * (ground - HEAD);
  const bar = ({ date, units }, index) => {
    const height = units ? Math.max(3, heightOf(units)) : 1;
    const shape = { x: index * step + step * 0.14, y: ground - height, width: step * 0.72, height, rx: Math.min(3, step / 4) };
    return svg("rect", { class: units ? "bar" : "bar none", ...shape }, svg("title", {}, t("use_bar", { day: day(date), n: units })));
  };
  const stack = ({ date, units }, index) => {
    if (!units) return [bar({ date, units }, index)];
    let top = ground;
    return parts.map((part, place) => {
      const height = heightOf(part.units.get(date) ?? 0);
      top -= height;
      const words = t("use_part", { day: day(date), name: part.name, n: part.units.get(date) ?? 0 });
      return height ? svg("rect", { class: `bar part${place}`, x: index * step + step * 0.14, y: top, width: step * 0.72, height }, svg("title", {}, words)) : null;
    });
  };
  const line = (y) => svg("line", { x1: 0, x2: width, y1: y, y2: y, class: "rule" });
  const text = (x, y, anchor, words) => svg("text", { x, y, "text-anchor": anchor }, words);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": label },
    line(HEAD - 0.5),
    line(ground + 0.5),
    parts ? days.flatMap(stack) : days.map(bar),
    text(0, HEAD - 6, "start", number(largest)),
    text(0, HEIGHT - 5, "start", dayShort(days[0].date)),
    text(width, HEIGHT - 5, "end", dayShort(days.at(-1).date)),
  );
}
