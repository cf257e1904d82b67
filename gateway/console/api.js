// The gateway's API: one function a request. Raises Refused (the gateway said no) and Away (nobody answered).

import { current, door, refused } from "./credential.js";
import { parse } from "./json.js";
import { isTouched } from "./presence.js";

const TIMEOUT_MS = 15_000;

/** A problem that the gateway answered. code is stable, message is for people. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ? `${problem.title}: ${problem.detail}` : (problem.title ?? `The gateway answered ${status}`));
    this.status = status;
    this.code = problem.code ?? "";
  }
}

/** No answer came. */
export class Away extends Error {
  constructor() {
    super("The gateway does not answer");
  }
}

/** Tells `change` when the gateway stops or begins to answer. */
export const reach = Object.assign(new EventTarget(), { isAway: false, skewMs: 0 });

function reached(isAway, answer) {
  const date = Date.parse(answer?.headers.get("date") ?? "");
  // The header has whole seconds: a clock that is less than two off is not corrected.
  if (!Number.isNaN(date)) reach.skewMs = Math.abs(date - Date.now()) > 2_000 ? date - Date.now() : 0;
  if (reach.isAway === isAway) return;
  reach.isAway = isAway;
  reach.dispatchEvent(new Event("change"));
}

/** The gateway's time, as well as it is known. */
export function now() {
  return Date.now() + reach.skewMs;
}

/**
 * Any request; its Response, whatever the status. isOpen: it is answered whoever asks. Raises Away, and Refused while it is
 * known that nobody is signed in.
 */
export async function request(method, path, { headers = {}, body, signal, isOpen = false } = {}) {
  const asked = current();
  if (door.isShut && !isOpen) throw new Refused(401, { title: "Nobody is signed in" });
  const sent = new Headers(headers);
  // The gateway takes what writes from its own scripts alone, which can set this, and asks it of nobody who only reads.
  if (method !== "GET" || isTouched()) sent.set("x-argosy-console", "1");
  const options = { method, headers: sent, body, signal, mode: "same-origin", cache: "no-store", redirect: "error" };
  try {
    const answer = await fetch(path, options);
    reached(false, answer);
    if (answer.status === 401 && !isOpen) refused(asked);
    return answer;
  } catch (error) {
    if (signal?.aborted && signal.reason?.name !== "TimeoutError") throw error;
    reached(true);
    throw new Away();
  }
}

async function call(method, path, options = {}) {
  const answer = await request(method, path, { signal: AbortSignal.timeout(TIMEOUT_MS), ...options });
  const content = await contentOf(answer);
  if (!answer.ok) throw new Refused(answer.status, content);
  return content;
}

async function contentOf(answer) {
  try {
    return parse(await answer.text());
  } catch (error) {
    if (answer.ok) throw error instanceof SyntaxError ? error : new Away();
    return {};
  }
}

const segment = encodeURIComponent;
const page = (cursor) => (cursor ? `?cursor=${segment(cursor)}` : "");
const json = (body, key) => ({
  body,
  headers: { "content-type": "application/json", ...(key ? { "idempotency-key": key } : {}) },
});

/** Who the gateway takes this browser for. */
export const whoami = () => call("GET", "/v1/whoami", { isOpen: true });
/** How people sign in. */
export const loginMethods = () => call("GET", "/v1/login", { isOpen: true });
/** Hands a token in, for a cookie; who one is then. tenant: to act for, or empty. */
export const logIn = (token, tenant) =>
  call("POST", "/v1/login", { isOpen: true, ...json(JSON.stringify({ token, ...(tenant ? { tenant } : {}) })) });
export const logOut = () => request("POST", "/v1/logout", { isOpen: true }).then(async (answer) => {
  if (!answer.ok) throw new Refused(answer.status, await contentOf(answer));
});

export const listSessions = (cursor) => call("GET", `/v1/sessions${page(cursor)}`);
export const getSession = (session) => call("GET", `/v1/sessions/${segment(session)}`);
export const listTurns = (session, cursor) => call("GET", `/v1/sessions/${segment(session)}/turns${page(cursor)}`);
export const listShards = () => call("GET", "/v1/fleet/shards");
export const listMoves = (limit) => call("GET", `/v1/fleet/moves?limit=${limit}`);
export const listWorkflows = (cursor) => call("GET", `/v1/workflows${page(cursor)}`);
export const readOpenApi = () => call("GET", "/openapi.json");
export const getTurn = (turnId) => call("GET", `/v1/turns/${segment(turnId)}`);
export const explain = (turnId) => call("GET", `/v1/turns/${segment(turnId)}/explain`);

/** What can be followed (stream.js): the path of its stream, list(seq): the durable events after one, and whether it ends. */
export function eventsOfTurn(turnId) {
  const path = `/v1/turns/${segment(turnId)}/events`;
  return { path, list: (after) => call("GET", `${path}?after=${after}`), ends: true };
}

/** The same of a session, from its first turn that has not ended. There is no list of its events. */
export function eventsOfSession(session) {
  return { path: `/v1/sessions/${segment(session)}/events?from=now`, list: () => ({ events: [] }), ends: false };
}

/** input: JSON as it was written; it is sent as it is. */
export function postTurn(session, workflow, input, key) {
  const body = `{"workflow":${JSON.stringify(workflow)},"input":${input}}`;
  return call("POST", `/v1/sessions/${segment(session)}/turns`, json(body, key));
}

/** payload: JSON as it was written. */
export const signal = (turnId, name, payload, key) =>
  call("POST", `/v1/turns/${segment(turnId)}/signals/${segment(name)}`, json(payload, key));
export const cancel = (turnId) => call("POST", `/v1/turns/${segment(turnId)}/cancel`);
export const resume = (turnId, key) =>
  call("POST", `/v1/turns/${segment(turnId)}/resume`, { headers: { "idempotency-key": key } });

const ofGraph = (graph, rest = "") => `/v1/graphs/${segment(graph)}${rest}`;
export const getGraph = (graph) => call("GET", ofGraph(graph));
export const listNodes = (graph, cursor) => call("GET", ofGraph(graph, `/nodes${page(cursor)}`));
export const searchGraph = (graph, text) =>
  call("POST", ofGraph(graph, "/search"), json(JSON.stringify({ text, limit: 50 })));
/** A node, what is one edge away, and those edges. */
export const neighborsOf = (graph, id) =>
  call("POST", ofGraph(graph, "/neighbors"), json(JSON.stringify({ ids: [id], limit: 50 })));

/** An idempotency key. (randomUUID is there on loopback and https only.) */
export function freshKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
