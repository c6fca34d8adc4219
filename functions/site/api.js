/** Calls to our API, and every way they can fail as one kind of error with a code that has words. */

import { accessToken, leave, refused, SignInNeeded } from "/site/signin.js";
import { has, t } from "/site/words.js";
import { notice } from "/site/dom.js";

/** API Gateway ends a request after 30 s; whoever waits longer learns nothing. */
const PATIENCE_MS = 31_000;
/** A question changes nothing, whatever became of it: only of an act is it said that nobody knows. */
const OPEN = ["outcome_unknown", "timeout"];
/** Whatever was asked for, the same again is refused again. */
const FINAL = ["stripe_refused", "invalid_plan", "invalid_request", "forbidden", "unauthorized", "too_many_keys", "no_saved_card"];
const CODE_OF_STATUS = { 401: "unauthorized", 403: "forbidden", 404: "not_found", 408: "timeout", 429: "too_many", 503: "outcome_unknown", 504: "timeout" };

/** `code` is the problem document's (RFC 9457), or offline or timeout; `reference` the request id. */
export class ApiError extends Error {
  constructor(code, reference = "") {
    super(code);
    this.code = code;
    this.reference = reference;
  }

  /** Whether asking again may help. */
  get passes() {
    return !FINAL.includes(this.code);
  }

  /** In the buyer's words. */
  get words() {
    return t(has(`error_${this.code}`) ? `error_${this.code}` : "error_internal_error");
  }
}

/** Call the API as the signed-in person. `key`: the Idempotency-Key. Throws ApiError; signs in again where needed. */
export async function call(method, path, { body, key, errand } = {}) {
  try {
    let answer = await send(method, path, body, { authorization: `Bearer ${await accessToken()}`, ...(key && { "idempotency-key": key }) });
    if (answer.status === 401 && (await refused())) {
      answer = await send(method, path, body, { authorization: `Bearer ${await accessToken()}`, ...(key && { "idempotency-key": key }) });
    }
    return await read(answer, method);
  } catch (error) {
    if (error instanceof SignInNeeded && navigator.onLine) await leave({ silent: true, errand });
    throw error instanceof SignInNeeded ? new ApiError("offline") : error;
  }
}

/** Call what everybody may call. */
export async function callPublic(path) {
  return read(await send("GET", path), "GET");
}

/** What went wrong, with a way to try again and a reference to quote. */
export function trouble(error, ...actions) {
  const known = error instanceof ApiError ? error : new ApiError("internal_error");
  if (known !== error) reportError(error);
  const text = [known.words, known.reference && t("error_reference", { id: known.reference })].filter(Boolean).join(" ");
  const shown = notice("bad", t("error"), text, ...actions);
  shown.setAttribute("role", "alert");
  return shown;
}

async function send(method, path, body, headers = {}) {
  const content = body === undefined ? {} : { "content-type": "application/json" };
  const options = { method, headers: { ...headers, ...content }, cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) };
  try {
    return await fetch(`/api/v1${path}`, { ...options, body: body && JSON.stringify(body) });
  } catch (error) {
    throw failure(method, error.name === "TimeoutError" ? "timeout" : "offline");
  }
}

function failure(method, code, reference) {
  return new ApiError(method === "GET" && OPEN.includes(code) ? "no_answer" : code, reference);
}

async function read(answer, method) {
  if (answer.status === 204) return null;
  const body = await answer.json().catch(() => null);
  if (answer.ok && body) return body;
  throw failure(method, body?.code ?? CODE_OF_STATUS[answer.status] ?? "internal_error", answer.headers.get("x-request-id") ?? "");
}
