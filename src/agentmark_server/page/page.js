// Shows what GET /v1/sessions and GET /v1/sessions/{id} say. Text only ever enters the page as text nodes.

const PAGE = 50;
const REFRESH_MS = 5000;
const main = document.getElementById("main");

/** An element with children: strings become text. */
function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const numbers = new Intl.NumberFormat();
const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

function time(text) {
  return text === null ? "–" : times.format(new Date(text));
}

function duration(ms) {
  if (ms === null) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A cost, or "unknown": never $0 for a price that is not known. */
function cost(thing) {
  if (thing.total_cost === null) return thing.call_count ? "unknown" : "–";
  const small = thing.total_cost > 0 && thing.total_cost < 0.0001; // four digits would say that it was nothing
  const amount = small ? "<$0.0001" : `$${thing.total_cost.toFixed(thing.total_cost < 1 ? 4 : 2)}`;
  return thing.unpriced_calls ? `${amount} +?` : amount;
}

function errors(thing) {
  return element("span", { class: thing.error_count ? "error" : "dim" }, numbers.format(thing.error_count));
}

function status(session) {
  return element("span", { class: session.status === "active" ? "active" : "dim" }, session.status);
}

function table(columns, things) {
  const kind = (column) => ({ class: column.kind ?? "" });
  const head = columns.map((column) => element("th", { ...kind(column), scope: "col" }, column.title));
  const rows = things.map((thing) =>
    element("tr", {}, ...columns.map((column) => element("td", kind(column), column.cell(thing)))));
  return element("div", { class: "scroll" },
    element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
}

function title(session) {
  return session.name ?? session.input_preview ?? session.id;
}

const COMMON = [
  { title: "Duration", kind: "number", cell: (thing) => duration(thing.duration_ms) },
  { title: "Tokens", kind: "number", cell: (thing) => numbers.format(thing.total_tokens) },
  { title: "Cost", kind: "number", cell: cost },
  { title: "Errors", kind: "number", cell: errors },
];

const SESSIONS = [
  { title: "Session", kind: "text", cell: (session) => element("div", {},
    element("a", { href: `/sessions/${encodeURIComponent(session.id)}` }, title(session)),
    element("div", { class: "id" }, session.id)) },
  { title: "User", cell: (session) => session.user_id ?? "–" },
  { title: "Status", cell: status },
  { title: "Last activity", cell: (session) => time(session.end) },
  { title: "Traces", kind: "number", cell: (session) => numbers.format(session.trace_count) },
  ...COMMON,
];

const TRACES = [
  { title: "Trace", kind: "text", cell: (trace) => element("div", {}, trace.name,
    element("div", { class: "dim" }, trace.input_preview ?? ""),
    element("div", { class: "id" }, trace.id)) },
  { title: "Started", cell: (trace) => time(trace.start) },
  { title: "Spans", kind: "number", cell: (trace) => numbers.format(trace.span_count) },
  ...COMMON,
];

function pages({ total, limit, offset }, count) {
  if (total <= limit && !offset) return null;
  const link = (to, text) => (to < 0 || to >= total ? null : element("a", { href: `?offset=${to}` }, text));
  return element("div", { class: "pages" }, link(offset ? Math.max(0, offset - limit) : -1, "← Newer"),
    element("span", { class: "dim" }, `${numbers.format(offset + 1)} to ${numbers.format(offset + count)} of ${numbers.format(total)}`),
    link(offset + limit, "Older →"));
}

const EXAMPLE = `from agentmark_sdk import trace

with trace(name="hello", session_id="my-first-session", user_id="me"):
    ...`;

function showSessions({ data, pagination }) {
  document.title = "Sessions · AgentMark";
  if (!pagination.total) {
    return [element("h1", {}, "No sessions yet"),
      element("p", {}, "Record a first one, or run ", element("code", {}, "agentmark demo"), " to see some:"),
      element("pre", {}, EXAMPLE)];
  }
  return [element("h1", {}, "Sessions"), table(SESSIONS, data), pages(pagination, data.length)];
}

function showSession({ data, pagination }) {
  document.title = `${title(data)} · AgentMark`;
  const facts = [["Session", data.id], ["User", data.user_ids.join(", ") || "–"], ["Status", status(data)],
    ["Started", time(data.start)], ["Duration", duration(data.duration_ms)], ["Tokens", numbers.format(data.total_tokens)],
    ["Cost", cost(data)], ["Errors", errors(data)], ["Models", data.models.join(", ") || "–"], ["Tags", data.tags.join(", ") || "–"]];
  return [element("h1", {}, title(data)),
    element("dl", {}, ...facts.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value)))),
    table(TRACES, data.traces), pages(pagination, data.traces.length)];
}

/** What the page shows for its address: where to ask, and how to show the answer. */
function view() {
  const asked = Number.parseInt(new URLSearchParams(location.search).get("offset"), 10);
  const query = `?limit=${PAGE}&offset=${asked > 0 ? asked : 0}`;
  const [, , id] = location.pathname.split("/");
  return id ? { url: `/v1/sessions/${id}${query}`, show: showSession } : { url: `/v1/sessions${query}`, show: showSessions };
}

let shown = "";

async function refresh() {
  const { url, show } = view();
  try {
    const reply = await fetch(url);
    const text = await reply.text();
    const body = JSON.parse(text);
    if (!reply.ok) throw new Error(body.error.message);
    if (text !== shown) main.replaceChildren(...show(body).filter((child) => child !== null));
    shown = text;
  } catch (error) {
    shown = "";
    main.replaceChildren(element("p", { class: "error" }, `The server does not answer as it should: ${error.message}`),
      element("p", { class: "dim" }, "This page asks again by itself."));
  }
  main.setAttribute("aria-busy", "false");
  setTimeout(refresh, REFRESH_MS);
}

refresh();
