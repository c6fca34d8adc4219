/** Use by key: which part of each day's calls came with which key. */

import { t } from "/site/words.js";

/** Keys that are shown by themselves; the rest are shown together. */
const KEYS_MAX = 3;

/**
 * Parts of the use, largest key first: `[{name, units}]`, `units` by date. Days of which the ledger does not say it (older
 * ones) are a part of their own. `keys` as the API lists them: they have names, and the use of today.
 */
export function partsOf({ entries, not_itemised: open }, keys, today = new Date().toISOString().slice(0, 10)) {
  const [ofKeys, without, unknown] = [new Map(), new Map(), new Map()];
  const add = (part, date, units) => units && part.set(date, (part.get(date) ?? 0) + units);
  const addKey = (id, date, units) => add(ofKeys.get(id) ?? ofKeys.set(id, new Map()).get(id), date, units);
  const addDay = (date, units, byKey) => {
    for (const [id, part] of Object.entries(byKey)) addKey(id, date, part);
    add(without, date, units - sum(Object.values(byKey)));
  };
  for (const entry of entries.filter((one) => one.type === "consumed")) {
    const date = entry.reference_type === "day" ? entry.reference_id : entry.booked_at.slice(0, 10);
    if (entry.by_key) addDay(date, -entry.units, entry.by_key);
    else add(unknown, date, -entry.units);
  }
  const knowsToday = open?.day === today && keys.some((key) => key.used_today !== undefined);
  if (open?.by_key) addDay(open.day, open.units, open.by_key);
  else if (knowsToday) addDay(open.day, open.units, Object.fromEntries(keys.map((key) => [key.key_id, key.used_today])));
  else if (open) add(unknown, open.day, open.units);
  return [...shown(ofKeys, keys), { name: t("use_without_key"), units: without }, { name: t("use_not_split"), units: unknown }].filter((part) => part.units.size);
}

function shown(ofKeys, keys) {
  const names = new Map(keys.map((key) => [key.key_id, key.name]));
  const largest = [...ofKeys].sort(([, one], [, other]) => sum(other.values()) - sum(one.values()));
  const rest = new Map();
  for (const [, units] of largest.slice(KEYS_MAX)) for (const [date, n] of units) rest.set(date, (rest.get(date) ?? 0) + n);
  const parts = largest.slice(0, KEYS_MAX).map(([id, units]) => ({ name: names.get(id) ?? t("key_gone", { id }), units }));
  return [...parts, { name: t("use_other_keys"), units: rest }];
}

const sum = (numbers) => [...numbers].reduce((total, one) => total + one, 0);
