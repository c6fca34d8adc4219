/** Use over time, drawn by hand: one bar a day from the ledger's `consumed` lines, and one for what is not itemised yet. */

import { el, svg } from "/site/dom.js";
import { day, dayShort, number, t } from "/site/words.js";

const DAYS = 30;
const HEIGHT = 148;
const FOOT = 22;
const DAY_MS = 86_400_000;

/** Units used per UTC day, oldest first: `[{date, units}]`, the last DAYS days, days without use included. */
export function perDay(entries, now = Date.now()) {
  const used = new Map();
  for (const entry of entries.filter((one) => one.type === "consumed")) {
    const date = entry.reference_type === "day" ? entry.reference_id : entry.booked_at.slice(0, 10);
    used.set(date, (used.get(date) ?? 0) - entry.units);
  }
  return Array.from({ length: DAYS }, (_, index) => {
    const date = new Date(now - (DAYS - 1 - index) * DAY_MS).toISOString().slice(0, 10);
    return { date, units: used.get(date) ?? 0 };
  });
}

/** The figure with its caption; it draws itself anew when its width changes. */
export function chart(entries, open) {
  const days = perDay(entries);
  const sum = days.reduce((total, { units }) => total + units, open);
  if (!sum) return el("p", { class: "faint" }, t("use_none"));
  const most = days.reduce((best, one) => (one.units > best.units ? one : best));
  const closed = [t("use_sum", { n: sum }), most.units ? t("use_most", { day: day(most.date), n: most.units }) : null].filter(Boolean);
  const rest = open ? [t("use_open", { n: open })] : [];
  const drawing = el("div", { class: "drawing" });
  new ResizeObserver(() => drawing.replaceChildren(draw(days, open, drawing.clientWidth, [...closed, ...rest].join(". ")))).observe(drawing);
  const caption = el("figcaption", {}, el("span", {}, closed.join(" · ")), rest.map((words) => el("span", { class: "open", title: t("use_open_text") }, words)));
  return el("figure", { class: "chart" }, drawing, caption);
}

function draw(days, open, width, label) {
  const columns = days.length + (open ? 1 : 0);
  const step = Math.max(width, 120) / columns;
  const largest = Math.max(open, ...days.map(({ units }) => units));
  const height = (units) => (units ? Math.max(3, (units / largest) * (HEIGHT - FOOT - 16)) : 1);
  const bar = (index, units, kind, title) =>
    svg("rect", { class: kind, x: index * step + step * 0.14, y: HEIGHT - FOOT - height(units), width: step * 0.72, height: height(units), rx: Math.min(3, step / 4) }, svg("title", {}, title));
  const text = (x, y, anchor, words) => svg("text", { x, y, "text-anchor": anchor }, words);
  const hatch = svg("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, svg("rect", { width: 5, height: 5, class: "hatch-ground" }), svg("rect", { width: 2.4, height: 5, class: "hatch-line" }));
  return svg(
    "svg",
    { viewBox: `0 0 ${Math.max(width, 120)} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": label },
    svg("defs", {}, hatch),
    svg("line", { x1: 0, x2: width, y1: HEIGHT - FOOT + 0.5, y2: HEIGHT - FOOT + 0.5, class: "base" }),
    days.map(({ date, units }, index) => bar(index, units, units ? "bar" : "bar none", t("use_bar", { day: day(date), n: units }))),
    open ? bar(days.length, open, "bar open", t("use_open", { n: open })) : null,
    text(0, 11, "start", number(largest)),
    text(0, HEIGHT - 5, "start", dayShort(days[0].date)),
    text(width, HEIGHT - 5, "end", dayShort(days.at(-1).date)),
  );
}
