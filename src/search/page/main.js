// The page: its state is its address; each change of it asks anew.

import { ask } from "./api.js";
import { byId, copy, el, number, placeBeside } from "./dom.js";
import { narrowed, term, withoutWindow } from "./edit.js";
import { Histogram, LEVELS } from "./histogram.js";
import { field, Hits } from "./hits.js";
import { LOCAL, full, typed } from "./time.js";

const PAGE = 100;
/** Longer values are shown cut until their line is opened, so that no document can stop the page. */
const CUT = 8192;
const PRESETS = ["15m", "1h", "6h", "24h", "2d", "7d", "30d", ""];

const state = { q: "", since: "", until: "", tz: "", nowrap: "" };
let running = new AbortController();
let next = null;
let loading = false;
let question = null;

const histogram = new Histogram(byId("histogram"), (since, until) => {
  const window = since == null ? { since: "", until: "" } : { since: new Date(since).toISOString(), until: new Date(until).toISOString() };
  go({ q: withoutWindow(state.q), ...window });
});
const hits = new Hits(byId("hits"), { narrow, whole, link });

const zone = () => state.tz || LOCAL;

/** Changes the state, puts it into the address, and asks. */
function go(change) {
  Object.assign(state, change);
  const given = Object.entries(state).filter(([, value]) => value);
  const address = given.length ? `?${new URLSearchParams(given)}` : location.pathname;
  if (address !== location.search) history.pushState(null, "", address);
  run();
}

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const name of Object.keys(state)) state[name] = given.get(name) ?? "";
}

/** The parameters of the question as it stands. */
const parameters = () => ({ q: state.q, since: state.since, until: state.until, tz: zone() });

async function run() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  show();
  const lists = byId("hits");
  lists.classList.add("old");
  byId("status").textContent = "Searching…";
  loading = true;
  drawHistogram(signal);
  try {
    const page = await ask("search", { ...parameters(), limit: PAGE, cut: CUT }, signal);
    hits.clear();
    showPage(page);
    hint(page.question.hints);
    byId("empty").hidden = page.hits.length > 0;
    if (!page.hits.length) explainEmpty(page.question, signal);
    scrollTo({ top: 0 });
  } catch (error) {
    if (error.name === "AbortError") return;
    hits.clear();
    complain(error);
  } finally {
    if (!signal.aborted) {
      loading = false;
      lists.classList.remove("old");
    }
  }
}

function stop() {
  running.abort();
  loading = false;
  byId("hits").classList.remove("old");
  byId("status").textContent = "Stopped";
}

/** What the state alone says. */
function show() {
  byId("query").value = state.q;
  document.title = state.q ? `${state.q} · logdrive` : "logdrive";
  byId("problem").hidden = byId("hints").hidden = byId("empty").hidden = byId("more").hidden = true;
  byId("query").removeAttribute("aria-invalid");
  byId("zone").textContent = zone();
  byId("zone").hidden = LOCAL === "UTC";
  byId("hits").classList.toggle("wrap", !state.nowrap);
  byId("wrap").setAttribute("aria-pressed", String(!state.nowrap));
  byId("range-label").textContent = rangeLabel(state.since, state.until);
  byId("range").classList.toggle("set", Boolean(state.since || state.until));
}

function rangeLabel(since, until) {
  const time = (text) => typed(text, zone());
  if (!since && !until) return "All time";
  if (!until) return /^\d+[a-z]+$/.test(since) ? `Last ${since}` : `Since ${time(since)}`;
  if (!since) return `Until ${time(until)}`;
  const [from, to] = [time(since), time(until)];
  return `${from} – ${from.slice(0, 11) === to.slice(0, 11) ? to.slice(11) || to : to}`;
}

function showPage(page) {
  question = page.question;
  hits.append(page.hits, zone());
  next = page.next;
  byId("more").hidden = !next;
  const shown = byId("hits").querySelectorAll(".hit").length;
  const total = Math.max(page.total.count, shown);
  const count = `${number(total)}${page.total.exact ? "" : "+"}`;
  byId("status").replaceChildren(
    el("b", {}, count), total === 1 ? " hit" : " hits",
    ` · ${page.took_ms < 10 ? page.took_ms.toFixed(1) : Math.round(page.took_ms)} ms`,
    page.partial ? el("span", { class: "partial" }, ` · incomplete: ${page.partial}`) : null ?? "");
  if (page.question.window_in_text) {
    byId("range-label").textContent = rangeLabel(page.question.since ?? "", page.question.until ?? "");
    byId("range").classList.add("set");
  }
}

async function older() {
  if (!next || loading) return;
  loading = true;
  const { signal } = running;
  try {
    // The window that was understood, so that `1h` doesn't move between two pages.
    const fixed = { q: question.query, since: question.since, until: question.until };
    const page = await ask("search", { ...fixed, limit: PAGE, cut: CUT, cursor: next }, signal);
    showPage(page);
  } catch (error) {
    if (error.name !== "AbortError") complain(error);
  } finally {
    loading = false;
  }
}

async function drawHistogram(signal) {
  try {
    const buckets = Math.max(20, Math.min(Math.floor(byId("overview").clientWidth / 7), 240));
    const data = await ask("histogram", { ...parameters(), buckets }, signal);
    if (data.buckets.length) histogram.show(data, zone());
    else histogram.say("");
    drawLegend(data.buckets);
  } catch (error) {
    if (error.name === "AbortError") return;
    histogram.say(error.code === "bad_query" ? "" : `no histogram: ${error.message}`);
    drawLegend([]);
  }
}

function drawLegend(buckets) {
  const sums = new Map();
  for (const { levels } of buckets) for (const [level, count] of Object.entries(levels)) sums.set(level, (sums.get(level) ?? 0) + count);
  const known = LEVELS.filter((level) => sums.has(level));
  byId("legend").replaceChildren(...known.map((level) => el("li", {},
    el("button", { type: "button", "data-level": level, title: `only ${level}`, click: () => narrow("log.level", level, false) },
      el("i"), `${level} ${number(sums.get(level))}`))));
}

function complain(problem) {
  const box = byId("problem");
  box.replaceChildren(el("p", {}, problem.message));
  byId("status").textContent = "";
  next = null;
  if (problem.span) {
    byId("query").setAttribute("aria-invalid", "true");
    const [before, wrong, after] = cutBytes(state.q, problem.span);
    box.append(el("pre", {}, before, wrong ? el("mark", {}, wrong) : el("span", { class: "caret" }, "▲"), after));
  }
  const again = { label: "try again", query: state.q };
  box.append(fixes(problem.fixes?.length ? problem.fixes : problem.span ? [] : [again]));
  box.hidden = false;
}

/** The text before, in and after a span that counts bytes of UTF-8. */
function cutBytes(text, { start, end }) {
  const bytes = new TextEncoder().encode(text);
  const part = (from, to) => new TextDecoder().decode(bytes.slice(from, to));
  return [part(0, start), part(start, end), part(end)];
}

function fixes(list) {
  const button = ({ label, query }) => {
    const same = label === query;
    return el("button", { type: "button", class: "fix", title: query, click: () => go({ q: query }) }, same ? el("code", {}, query || "everything") : label);
  };
  return el("div", { class: "fixes" }, ...list.map(button));
}

function hint(hints) {
  const box = byId("hints");
  box.replaceChildren(...hints.slice(0, 3).map((hint) => el("p", {}, hint.message, fixes(hint.fixes))));
  box.hidden = !hints.length;
}

/** Why nothing was found, and what to do about it. */
async function explainEmpty(asked, signal) {
  const box = byId("empty");
  const windowed = Boolean(asked.since || asked.until);
  if (!asked.query && !windowed) {
    box.replaceChildren(el("h2", {}, "No log lines yet"), el("p", {}, "Lines appear here a moment after they are written to a file that is collected."));
    return;
  }
  box.replaceChildren(el("h2", {}, windowed ? "Nothing in this window" : "Nothing found"), el("p", {}, "No line matches all that is asked for."));
  const offers = asked.as_text.slice(0, 3);
  if (windowed) {
    const outside = await ask("count", { q: asked.query }, signal).catch(() => null);
    if (signal.aborted) return;
    if (outside && !outside.count) {
      box.querySelector("h2").textContent = "Nothing found";
      box.querySelector("p").textContent = "No line matches all that is asked for, in this window or outside of it.";
    } else if (outside) {
      box.querySelector("p").textContent = `${number(outside.count)}${outside.exact ? "" : "+"} ${outside.count === 1 ? "line matches" : "lines match"} outside of it.`;
      const all = el("button", { type: "button", class: "primary fix", click: () => go({ q: withoutWindow(state.q), since: "", until: "" }) }, "Search all time");
      box.append(el("div", { class: "fixes" }, all));
    }
  }
  if (offers.length) box.append(fixes(offers));
}

function narrow(name, value, without) {
  go({ q: narrowed(state.q, term(name, value), without) });
}

/** The one line of a hit: its file, its offset, and its moment. */
function only(hit) {
  const path = field(hit.source, "log.file.path");
  const offset = field(hit.source, "log.offset");
  const ms = Date.parse(hit.time);
  const window = { since: new Date(ms).toISOString(), until: new Date(ms + 1).toISOString() };
  const q = path == null ? "" : `${term("log.file.path", path)} log.offset:${offset}`;
  return { q, ...window };
}

async function whole(hit) {
  const page = await ask("search", { ...only(hit), limit: 10 });
  return page.hits.find((found) => found.id === hit.id) ?? null;
}

function link(hit) {
  return new URL(`?${new URLSearchParams(only(hit))}`, location.href).href;
}

/** Back (-1) or forward (1) by half of what is shown. */
function shift(direction) {
  if (!histogram.range) return;
  const [from, to] = histogram.range;
  const by = (direction * (to - from)) / 2;
  const time = (ms) => new Date(ms).toISOString();
  go({ q: withoutWindow(state.q), since: time(from + by), until: time(to + by) });
}

function toggleWrap() {
  state.nowrap = state.nowrap ? "" : "1";
  const given = Object.entries(state).filter(([, value]) => value);
  history.replaceState(null, "", given.length ? `?${new URLSearchParams(given)}` : location.pathname);
  byId("hits").classList.toggle("wrap", !state.nowrap);
  byId("wrap").setAttribute("aria-pressed", String(!state.nowrap));
}

function toggleZone() {
  go({ tz: state.tz === "UTC" ? "" : "UTC" });
}

const KEYS = {
  "/": () => byId("query").select(),
  j: () => hits.move(1) && older(),
  k: () => hits.move(-1),
  o: () => hits.current() && hits.toggle(hits.current()),
  w: toggleWrap,
  y: () => copy(location.href),
  "[": () => shift(-1),
  "]": () => shift(1),
  "?": () => byId("help").showModal(),
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (event.key === "Escape") {
    if (loading) stop();
    document.activeElement?.blur();
    return;
  }
  if (event.target.closest("input, textarea, select, [popover]")) return;
  if (event.key === "Enter" && event.target.matches(".hit")) hits.toggle(event.target);
  else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

function setUp() {
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    go({ q: byId("query").value.trim() });
  });
  byId("show-help").addEventListener("click", KEYS["?"]);
  byId("wrap").addEventListener("click", toggleWrap);
  byId("zone").addEventListener("click", toggleZone);
  byId("more").addEventListener("click", older);
  new IntersectionObserver((seen) => seen.some((entry) => entry.isIntersecting) && older(), { rootMargin: "600px" }).observe(byId("more"));
  const form = byId("window");
  const choose = (since, until) => {
    byId("ranges").hidePopover();
    go({ q: withoutWindow(byId("query").value.trim()), since, until });
  };
  form.querySelector(".presets").append(...PRESETS.map((preset) =>
    el("button", { type: "button", "data-since": preset, click: () => choose(preset, "") }, preset || "all")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    choose(form.since.value.trim(), form.until.value.trim());
  });
  byId("ranges").addEventListener("beforetoggle", (event) => {
    if (event.newState !== "open") return;
    [form.since.value, form.until.value] = [typed(state.since, zone()), typed(state.until, zone())];
    for (const button of form.querySelectorAll("[data-since]")) {
      button.setAttribute("aria-pressed", String(button.dataset.since === state.since && !state.until));
    }
  });
  byId("ranges").addEventListener("toggle", (event) => event.newState === "open" && placeBeside(byId("ranges"), byId("range")));
  addEventListener("popstate", () => {
    readAddress();
    run();
  });
}

setUp();
readAddress();
run();
