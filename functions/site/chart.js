/** Use over time, drawn by hand: one bar a day, and the same as a table for those who cannot see or hover. */

import { el, svg } from "/site/dom.js";
import { day, dayShort, number, t } from "/site/words.js";

const DAYS = 30;
const HEIGHT = 148;
const FOOT = 22;
const HEAD = 18;
const WIDTH_MIN = 120;
const DAY_MS = 86_400_000;

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

/** The figure with its caption and its table (`unfolded`: shown at once); it draws itself anew when its width changes. */
export function chart(ledger, unfolded = false) {
  const days = perDay(ledger);
  const sum = days.reduce((total, { units }) => total + units, 0);
  if (!sum) return el("p", { class: "faint" }, t("use_none"));
  const most = days.reduce((best, one) => (one.units > best.units ? one : best));
  const words = [t("use_sum", { n: sum }), t("use_most", { day: day(most.date), n: most.units })];
  const drawing = el("div", { class: "drawing" });
  new ResizeObserver(() => drawing.replaceChildren(draw(days, drawing.clientWidth, words.join(". ")))).observe(drawing);
  return el("figure", { class: "chart" }, drawing, el("figcaption", {}, words.join(" · ")), table(days, unfolded));
}

function table(days, unfolded) {
  const used = days.filter(({ units }) => units).reverse();
  const rows = used.map(({ date, units }) => el("tr", {}, el("th", { scope: "row" }, day(date)), el("td", { class: "count" }, number(units))));
  const head = el("tr", {}, el("th", { scope: "col" }, t("day")), el("th", { scope: "col" }, t("calls")));
  return el("details", { open: unfolded }, el("summary", {}, t("use_days")), el("table", {}, el("thead", {}, head), el("tbody", {}, rows)));
}

function draw(days, wide, label) {
  const width = Math.max(wide, WIDTH_MIN);
  const step = width / days.length;
  const largest = Math.max(...days.map(({ units }) => units));
  const ground = HEIGHT - FOOT;
  const bar = ({ date, units }, index) => {
    const height = units ? Math.max(3, (units / largest) * (ground - HEAD)) : 1;
    const shape = { x: index * step + step * 0.14, y: ground - height, width: step * 0.72, height, rx: Math.min(3, step / 4) };
    return svg("rect", { class: units ? "bar" : "bar none", ...shape }, svg("title", {}, t("use_bar", { day: day(date), n: units })));
  };
  const line = (y) => svg("line", { x1: 0, x2: width, y1: y, y2: y, class: "rule" });
  const text = (x, y, anchor, words) => svg("text", { x, y, "text-anchor": anchor }, words);
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": label },
    line(HEAD - 0.5),
    line(ground + 0.5),
    days.map(bar),
    text(0, HEAD - 6, "start", number(largest)),
    text(0, HEIGHT - 5, "start", dayShort(days[0].date)),
    text(width, HEIGHT - 5, "end", dayShort(days.at(-1).date)),
  );
}
