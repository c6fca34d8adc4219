/**
 * Signing in: OpenID Connect's authorization-code flow with PKCE, by redirect (RFC 6749, RFC 7636, RFC 9700).
 *
 * Tokens live in this module's memory only. What must survive the redirect (state, verifier, the way back) is in
 * sessionStorage and is deleted at the return. After a reload the issuer is asked again without a word (`prompt=none`).
 */

const PENDING = "topup.signing_in";
const HINT = "topup.was_signed_in";
const EARLY_MS = 30_000;
const FRESH_MS = 60_000;

let config = null;
let tokens = null;
let isSigningOut = false;

/** There is no token, and none to be had without the person. */
export class SignInNeeded extends Error {}

/** Read where to sign in, which the page itself says. Answers whether signing in is possible at the moment. */
export function configure() {
  config = JSON.parse(document.querySelector('meta[name="sign-in"]').content);
  return Boolean(config.authorization_endpoint);
}

/** Whether it is worth asking the issuer without a word: this tab was signed in before. */
export const wasSignedIn = () => sessionStorage.getItem(HINT) !== null;

/** Leave for the issuer. `silent`: come back at once, signed in or not. `errand`: what to go on with afterwards. */
export async function leave({ silent = false, errand = null } = {}) {
  if (silent && isSigningOut) return goingAway(); // what was still asked finds no token: to fetch one would undo the signing out
  const [state, verifier, nonce] = [random(), random(), random()];
  const back = `${cleaned(location.search)}${location.hash}`;
  sessionStorage.setItem(PENDING, JSON.stringify({ state, verifier, nonce, back, errand }));
  const url = new URL(config.authorization_endpoint);
  const wanted = {
    response_type: "code",
    client_id: config.client_id,
    redirect_uri: wayBack(),
    scope: config.scope,
    state,
    nonce,
    code_challenge: await challenge(verifier),
    code_challenge_method: "S256",
    ...(config.audience && { audience: config.audience }),
    ...(silent && { prompt: "none" }),
  };
  for (const [name, value] of Object.entries(wanted)) url.searchParams.set(name, value);
  location.assign(url);
  return goingAway();
}

/** Never: the page is left. */
const goingAway = () => new Promise(() => {});

// Whoever comes back to this page by the browser's way back finds it as it was, and may be signed in again.
addEventListener("pageshow", () => (isSigningOut = false));

/** Back from the issuer? Answers null if not, else `{ok, asked, errand}`: `asked` is false when a silent try was refused. */
export async function comeBack() {
  const query = new URLSearchParams(location.search);
  if (!query.has("state") || !(query.has("code") || query.has("error"))) return null;
  const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? "null");
  sessionStorage.removeItem(PENDING);
  history.replaceState(null, "", `/${pending?.back ?? ""}`);
  const ours = pending?.state === query.get("state") && (query.get("iss") ?? config.issuer) === config.issuer;
  if (!ours || query.has("error")) {
    sessionStorage.removeItem(HINT);
    return { ok: false, asked: !/^(login|interaction|consent|account_selection)_required$/.test(query.get("error") ?? "") };
  }
  const ok = await exchange(
    { grant_type: "authorization_code", code: query.get("code"), redirect_uri: wayBack(), code_verifier: pending.verifier },
    pending.nonce,
  );
  return { ok, asked: true, errand: ok ? pending.errand : null };
}

/** The access token, renewed when it is about to end. Throws SignInNeeded. */
export async function accessToken() {
  if (tokens && Date.now() > tokens.ends - EARLY_MS) await renew();
  if (!tokens) throw new SignInNeeded();
  return tokens.access;
}

/** The API refused the token: is there hope in another one? Not if this one is brand new. */
export async function refused() {
  if (!tokens || Date.now() < tokens.got + FRESH_MS) return false;
  await renew();
  return true;
}

let renewing = null;

/** One renewal at a time; without a refresh token, or when it is refused, there is no token afterwards. */
function renew() {
  renewing ??= (async () => {
    const refresh = tokens.refresh;
    if (!refresh || !(await exchange({ grant_type: "refresh_token", refresh_token: refresh }))) tokens = null;
  })().finally(() => (renewing = null));
  return renewing;
}

/** Who is signed in, for showing only; the API decides by the token. Null for nobody. */
export function person() {
  if (!tokens) return null;
  const claims = tokens.claims;
  return claims.name || claims.preferred_username || claims.email || claims.sub || "";
}

/** Forget the tokens and all that this tab kept, and leave the issuer's session too where it can be left. */
export function signOut() {
  const idToken = tokens?.id;
  tokens = null;
  isSigningOut = true;
  sessionStorage.clear();
  if (!config.end_session_endpoint) return location.assign("/");
  const url = new URL(config.end_session_endpoint);
  url.searchParams.set("client_id", config.client_id);
  url.searchParams.set("post_logout_redirect_uri", wayBack());
  url.searchParams.set("logout_uri", wayBack()); // Cognito's own name for it
  if (idToken) url.searchParams.set("id_token_hint", idToken);
  return location.assign(url);
}

async function exchange(form, nonce) {
  const body = new URLSearchParams({ client_id: config.client_id, ...form });
  const answer = await fetch(config.token_endpoint, { method: "POST", body, credentials: "omit", signal: AbortSignal.timeout(15_000) }).catch(() => null);
  if (!answer?.ok) return false;
  const got = await answer.json();
  const claims = got.id_token ? readClaims(got.id_token) : (tokens?.claims ?? {});
  if (!got.access_token || !isOurs(claims, nonce)) return false;
  tokens = {
    access: got.access_token,
    id: got.id_token ?? tokens?.id,
    refresh: got.refresh_token ?? tokens?.refresh,
    got: Date.now(),
    ends: Date.now() + (got.expires_in ?? 300) * 1000,
    claims,
  };
  sessionStorage.setItem(HINT, "1");
  return true;
}

/**
 * Whether an id token is our issuer's, for this page, and the answer to this sign-in (`nonce`) or, at a renewal, the same
 * person's as before (OpenID Connect Core 3.1.3.7 and 12.2). Without one nobody is signed in.
 */
function isOurs(claims, nonce) {
  const isAnswer = nonce ? claims.nonce === nonce : claims.sub === tokens?.claims.sub;
  return claims.iss === config.issuer && [claims.aud].flat().includes(config.client_id) && isAnswer;
}

/** Received straight from the issuer over TLS, so its signature need not be checked (OpenID Connect Core 3.1.3.7, point 6). */
function readClaims(token) {
  const bytes = Uint8Array.from(atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

/** Where the issuer sends people back to: this page, or an address that leads to it. */
const wayBack = () => config.redirect_uri || `${location.origin}/`;
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
const base64url = (bytes) => btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function challenge(verifier) {
  return base64url(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function cleaned(search) {
  const query = new URLSearchParams(search);
  for (const name of ["code", "state", "error", "error_description", "iss", "session_state"]) query.delete(name);
  return query.size ? `?${query}` : "";
}
