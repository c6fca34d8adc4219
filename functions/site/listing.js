/** A list that comes a page at a time, newest first. */

import { call, trouble } from "/site/api.js";
import { button, el, put, skeleton } from "/site/dom.js";
import { t } from "/site/words.js";

/** The API's largest page. */
const LIMIT_MAX = 100;

/**
 * Fill `rest` with the list at `path`, `size` lines at first. `rows` takes the lines and stands in `frame`; `lines` makes them
 * of an answer; `none` is shown where there are none. Answers what loads it anew, as long as it was.
 */
export function listing({ rest, path, size, rows, frame, lines, none }) {
  const more = el("p", { class: "actions" });
  const load = async (cursor = "") => {
    const limit = cursor ? size : Math.min(LIMIT_MAX, Math.max(size, rows.childElementCount));
    try {
      const got = await call("GET", `${path}?limit=${limit}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      const made = lines(got, !cursor);
      if (cursor) rows.append(...made);
      else put(rows, made);
      if (!frame.parentNode) put(rest, frame, more);
      if (!rows.childElementCount) put(rest, none());
      if (cursor) read(made[0]);
      put(more, got.next_cursor ? button(t("load_more"), () => load(got.next_cursor)) : null);
    } catch (error) {
      put(rows.childElementCount ? more : rest, trouble(error, button(t("try_again"), () => load(cursor))));
    }
  };
  rest.replaceChildren(skeleton(t("loading"), 5));
  load();
  return () => load();
}

/** Go on reading where the new lines begin. */
function read(line) {
  line?.setAttribute("tabindex", "-1");
  line?.focus();
}
