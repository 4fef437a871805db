// Making elements. Text only ever becomes text: nothing on this page parses log text as HTML.

/** An element with attributes (functions become listeners) and children (strings become text). */
export function el(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** A number with thin spaces between thousands. */
export const number = (count) => count.toLocaleString("en").replaceAll(",", "\u202f");

/** Two sheets: copy. */
export function copyIcon() {
  const sheet = (x, y) => svg("rect", { x, y, width: 7.5, height: 8.5, rx: 1.5 });
  return svg("svg", { class: "icon", viewBox: "0 0 14 14", "aria-hidden": "true" }, sheet(1.5, 1.5), sheet(5, 4));
}

export const byId = (id) => document.getElementById(id);

// Control characters, and marks that turn the direction of writing: shown, not obeyed.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Appends log text with everything made visible that could mislead. */
export function appendText(parent, text) {
  let at = 0;
  for (const match of text.matchAll(UNSAFE)) {
    if (match[0] === "\r" && (text[match.index + 1] === "\n" || match.index + 1 === text.length)) continue;
    parent.append(text.slice(at, match.index), el("span", { class: "control", title: name(match[0]) }, picture(match[0])));
    at = match.index + match[0].length;
  }
  parent.append(text.slice(at));
  return parent;
}

const name = (char) => `U+${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;

const NAMES = ("NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US").split(" ");

function picture(char) {
  const code = char.charCodeAt(0);
  return NAMES[code] ?? (code === 0x7f ? "DEL" : name(char));
}

/** Copies text; where the clipboard is refused (plain HTTP), by a selection. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = el("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}

/** Puts an open popover beside what was clicked, within the window. */
export function placeBeside(popover, anchor) {
  const place = anchor.getBoundingClientRect();
  const size = popover.getBoundingClientRect();
  const below = place.bottom + 4 + size.height <= innerHeight;
  popover.style.left = `${Math.max(8, Math.min(place.left, innerWidth - size.width - 8))}px`;
  popover.style.top = `${below ? place.bottom + 4 : Math.max(8, place.top - size.height - 4)}px`;
}
