// The view that asks who one is, and the line at the head of the page that says who is signed in, and for which tenant.

import { loginMethods, logIn, logOut, Refused, whoami } from "./api.js";
import { door, enter, leave } from "./credential.js";
import { element, setText } from "./dom.js";
import { secretField, textField } from "./fields.js";
import { say } from "./notice.js";

const ASK_AGAIN_MS = 2_000;
// The other pages of this browser have the same cookie: what happens here happens to them.
const others = new BroadcastChannel("argosy-login");
// Why an issuer's sign-in led back here without a login, by the code in the address.
const REASONS = {
  access_denied: "It was not allowed at the provider.",
  tenant_required: "The account is for several tenants: name one.",
  tenant_unknown: "The account is of a tenant that does not exist here.",
  insufficient_scope: "The account has no right to anything here.",
};

/** Like the other views: {node, title, close()}. It ends by itself, once somebody is signed in. */
export function openSignIn() {
  const token = secretField("Token", { hint: "It is handed to the gateway once, and kept nowhere." });
  const tenant = textField("Tenant", { isOptional: true, hint: "For those who may act for several: the one to act for." });
  const problem = element("p", { class: "problem", role: "alert", hidden: true });
  const button = element("button", { type: "submit", class: "primary" }, "Sign in");
  const provider = element("button", { type: "button", hidden: true, click: goToProvider }, "");
  const without = element("button", { type: "button", class: "quiet", hidden: true, click: goOn }, "Go on without");
  const form = element("form", { class: "card", novalidate: true, submit },
    token.node, tenant.node, problem, element("div", { class: "row end" }, without, provider, button));
  tell(failureOf(location));
  loginMethods().then(offer, (error) => tell(error.message));

  function offer({ issuer, is_required: isRequired }) {
    if (issuer) setText(provider, `Sign in with ${issuer}`);
    provider.hidden = !issuer;
    without.hidden = isRequired;
  }

  function tell(text) {
    problem.textContent = text;
    problem.hidden = !text;
  }

  function goToProvider() {
    const query = new URLSearchParams({ return: location.hash || "#/", ...(tenant.value() ? { tenant: tenant.value() } : {}) });
    location.assign(`/v1/login/oidc?${query}`);
  }

  /** Nobody has to sign in here: what is in the way is a login that is over. */
  async function goOn() {
    await logOut().then(recognize, (error) => tell(error.message));
  }

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    tell("");
    try {
      enter(await logIn(token.value(), tenant.value()));
      others.postMessage("");
    } catch (error) {
      tell(error.message);
    } finally {
      token.control.value = "";
      button.disabled = false;
    }
  }

  const node = element("section", { class: "narrow" },
    element("header", { class: "head" }, element("h1", { tabindex: "-1" }, "Sign in")),
    element("p", {}, "This gateway asks for a token. "), form);
  return { node, title: "Sign in", close() {} };
}

/** What an address says that an issuer's sign-in came to, in words; it says it once. */
function failureOf({ search, hash }) {
  const code = new URLSearchParams(search).get("login");
  if (!code) return "";
  history.replaceState(null, "", `/${hash}`);
  return `Signing in did not work. ${REASONS[code] ?? `(${code.slice(0, 40)})`}`;
}

/** Asks the gateway who one is, until it answers. */
export async function recognize() {
  try {
    enter(await whoami());
  } catch (error) {
    if (!(error instanceof Refused) || error.status >= 500) return void setTimeout(recognize, ASK_AGAIN_MS);
    leave();
    if (error.status !== 401) say(error.message);
  }
}

/** Who somebody is, in a few words: the tenant, and what they may do. */
export function inWords({ kind, tenant, role, scopes }) {
  return `${tenant ?? "no tenant"} · ${kind === "local" ? "local" : (role ?? `${scopes.length} scopes`)}`;
}

async function signOut() {
  try {
    await logOut();
    leave();
    others.postMessage("");
  } catch (error) {
    say(error.message);
  }
}

/** Shows, from now on, who is signed in, and the way out. */
export function showWho() {
  const out = document.getElementById("out");
  const who = document.getElementById("who");
  out.addEventListener("click", signOut);
  others.addEventListener("message", recognize);
  door.addEventListener("change", () => {
    out.hidden = door.who.kind !== "login";
    setText(who, door.isShut ? "" : inWords(door.who));
    who.title = door.isShut ? "" : `${door.who.id}, until ${door.who.expires_at ?? "it ends"}`;
  });
}
