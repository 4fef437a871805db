// The lines that were found: dense rows that open to all their fields.

import { appendText, byId, copy, copyIcon, el, number, placeBeside } from "./dom.js";
import { LEVELS } from "./histogram.js";
import { clock, day, full } from "./time.js";

/** A field by its dotted name, flat or nested. */
export function field(source, name) {
  if (name in source) return source[name];
  for (let dot = name.indexOf("."); dot > 0; dot = name.indexOf(".", dot + 1)) {
    const inner = source[name.slice(0, dot)];
    if (inner && typeof inner === "object") return field(inner, name.slice(dot + 1));
  }
  return undefined;
}

const base = (path) => String(path ?? "").split("/").pop();

/** The list of rows; `act` has `narrow(name, value, without)`, `whole(hit)` and `link(hit)`. */
export class Hits {
  constructor(list, act) {
    this.list = list;
    this.act = act;
    list.addEventListener("click", (event) => this.click(event));
  }

  clear() {
    this.list.replaceChildren();
    this.lastDay = "";
    this.widths = {};
  }

  append(hits, zone) {
    this.zone = zone;
    const rows = document.createDocumentFragment();
    for (const hit of hits) {
      const today = day(new Date(hit.time), zone);
      if (today !== this.lastDay) rows.append(el("li", { class: "day" }, (this.lastDay = today)));
      rows.append(this.row(hit));
    }
    this.fit("--host", hits.map((hit) => field(hit.source, "host.name")));
    this.fit("--file", hits.map((hit) => base(field(hit.source, "log.file.path"))));
    this.list.append(rows);
  }

  /** Makes a column as wide as its longest text, within limits; it never gets narrower under the eye. */
  fit(column, texts) {
    const longest = Math.max(0, ...texts.map((text) => String(text ?? "").length));
    this.widths[column] = Math.max(this.widths[column] ?? 4, Math.min(longest, 22));
    this.list.style.setProperty(column, `${this.widths[column]}ch`);
  }

  row(hit) {
    const text = (name) => String(field(hit.source, name) ?? "");
    const level = text("log.level").toLowerCase();
    const path = text("log.file.path");
    const value = (kind, name, shown, full) =>
      shown ? el("button", { type: "button", class: kind, title: full, "data-name": name, "data-value": full }, shown) : el("span", { class: kind });
    const time = new Date(hit.time);
    const item = el("li", { class: "hit", tabindex: "-1", "data-level": LEVELS.includes(level) ? level : "" },
      el("div", { class: "row" },
        el("button", { type: "button", class: "time", "aria-expanded": "false", title: `${full(time, this.zone)} (${hit.time})` }, clock(time, this.zone)),
        value("level", "log.level", level, text("log.level")),
        value("host", "host.name", text("host.name"), text("host.name")),
        value("file", "log.file.path", base(path), path),
        this.message(hit)));
    item.hit = hit;
    return item;
  }

  message(hit) {
    const text = String(field(hit.source, "message") ?? JSON.stringify(hit.source));
    const box = el("div", { class: "message" });
    let at = 0;
    for (const [start, end] of hit.highlights) {
      appendText(box, text.slice(at, start));
      box.append(appendText(el("mark"), text.slice(start, end)));
      at = end;
    }
    appendText(box, text.slice(at));
    if (hit.cut?.message) box.append(el("span", { class: "cut" }, ` … ${number(hit.cut.message)} bytes; open the line to load all`));
    return box;
  }

  click(event) {
    const item = event.target.closest(".hit");
    if (!item) return;
    const value = event.target.closest("[data-name]");
    if (value) this.menu(value, value.dataset.name, value.dataset.value);
    else if (event.target.closest(".time")) this.toggle(item);
    // Selecting text is not a click, and what is open is for reading.
    else if (!event.target.closest(".details") && getSelection().isCollapsed) this.toggle(item);
  }

  async toggle(item) {
    const open = item.classList.toggle("open");
    item.querySelector(".time").setAttribute("aria-expanded", String(open));
    item.querySelector(".details")?.remove();
    if (!open) return;
    item.append(this.details(item.hit));
    if (!item.hit.cut) return;
    const whole = await this.act.whole(item.hit).catch(() => null);
    if (!whole || !item.classList.contains("open")) return;
    item.hit = whole;
    item.querySelector(".message").replaceWith(this.message(whole));
    item.querySelector(".details").replaceWith(this.details(whole));
  }

  details(hit) {
    const rows = flat(hit.source).map(([name, value]) => {
      const shown = typeof value === "string" ? value : JSON.stringify(value);
      const button = (sign, label, run) => el("button", { type: "button", title: label, "aria-label": `${label}: ${name}`, click: run }, sign);
      const acts = [
        button("+", "only with this value", () => this.act.narrow(name, value, false)),
        button("−", "without this value", () => this.act.narrow(name, value, true)),
        button(copyIcon(), "copy the value", () => copy(shown)),
      ];
      const filterable = value !== null && typeof value !== "object" && shown.length <= 500 && name !== "@timestamp";
      return el("tr", {},
        el("td", { class: "acts" }, ...(filterable ? acts : acts.slice(2))),
        el("td", { class: "name" }, name),
        appendText(el("td", { class: "value" }), shown));
    });
    const bar = el("div", { class: "bar" },
      el("button", { type: "button", click: () => copy(String(field(hit.source, "message") ?? "")) }, "Copy line"),
      el("button", { type: "button", click: () => copy(JSON.stringify({ _id: hit.id, ...hit.source }, null, 2)) }, "Copy JSON"),
      el("button", { type: "button", click: () => copy(this.act.link(hit)) }, "Copy link"));
    return el("div", { class: "details" }, bar, el("table", {}, el("tbody", {}, ...rows)));
  }

  menu(anchor, name, value) {
    const menu = byId("menu");
    const item = (label, run) =>
      el("button", { type: "button", role: "menuitem", click: () => { menu.hidePopover(); run(); anchor.focus(); } }, label);
    menu.replaceChildren(
      el("p", {}, `${name}: ${value}`),
      item("+ Only with this", () => this.act.narrow(name, value, false)),
      item("− Without this", () => this.act.narrow(name, value, true)),
      item("Copy", () => copy(value)));
    menu.showPopover();
    placeBeside(menu, anchor);
    menu.querySelector("button").focus();
  }

  /** Moves the focus by rows. */
  move(by) {
    const rows = [...this.list.querySelectorAll(".hit")];
    const at = rows.indexOf(this.current());
    const next = rows[at < 0 ? 0 : Math.min(Math.max(at + by, 0), rows.length - 1)];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: "nearest" });
    return at + by >= rows.length;
  }

  current() {
    return document.activeElement?.closest?.(".hit") ?? null;
  }
}

/** All fields by their dotted names; the message is shown above already. */
function flat(source, prefix = "") {
  return Object.entries(source).flatMap(([name, value]) => {
    const path = prefix + name;
    if (value && typeof value === "object" && !Array.isArray(value) && Object.keys(value).length) return flat(value, `${path}.`);
    return path === "message" ? [] : [[path, value]];
  });
}
