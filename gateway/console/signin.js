// The view that asks for a token, and the line at the head of the page that says who is signed in.

import { whoami } from "./api.js";
import { credential, door, enter, leave } from "./credential.js";
import { element, setText } from "./dom.js";
import { secretField, textField } from "./fields.js";

/** Like the other views: {node, title, close()}. It ends by itself, once a token was good. */
export function openSignIn() {
  const token = secretField("Token", { hint: "It is kept by this page alone, until that is closed or loaded again." });
  const tenant = textField("Tenant", { isOptional: true, hint: "For administrators: the tenant to act for." });
  const problem = element("p", { class: "problem", role: "alert", hidden: true });
  const button = element("button", { type: "submit", class: "primary" }, "Sign in");
  const form = element("form", { class: "card", novalidate: true, submit },
    token.node, tenant.node, problem, element("div", { class: "row end" }, button));

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    problem.hidden = true;
    try {
      const found = credential(token.value(), tenant.value());
      show(await whoami(found));
      enter(found);
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
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

function show(principal) {
  setText(document.getElementById("who"), inWords(principal));
}

/** Who somebody is, in a few words: the tenant, and what they may do. */
export function inWords({ tenant, role, scopes = [] }) {
  return `${tenant ?? "no tenant"} · ${role ?? `${scopes.length} scopes`}`;
}

/** Shows, from now on, the way out while somebody is signed in. */
export function offerSignOut() {
  const out = document.getElementById("out");
  out.addEventListener("click", leave);
  door.addEventListener("change", () => {
    out.hidden = door.isShut;
    if (door.isShut) setText(document.getElementById("who"), "");
  });
}
