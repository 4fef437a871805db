// Hits over time, stacked by level; a drag chooses a window.

import { el, number, svg } from "./dom.js";
import { full, span, ticks } from "./time.js";

/** Most severe first: it stands at the bottom, where heights compare. */
export const LEVELS = ["fatal", "critical", "error", "warn", "notice", "info", "debug", "trace"];

const AXIS = 18, TOP = 10;

/** Draws into `box` and calls `zoom(sinceMs, untilMs)` after a drag and `zoom()` after a double-click. */
export class Histogram {
  constructor(box, zoom) {
    this.box = box;
    this.zoom = zoom;
    this.tip = el("div", { class: "tip", hidden: true });
    new ResizeObserver(() => this.draw()).observe(box);
    box.addEventListener("pointerdown", (event) => this.press(event));
    box.addEventListener("pointermove", (event) => this.move(event));
    box.addEventListener("pointerup", (event) => this.release(event));
    box.addEventListener("pointercancel", () => this.cancel());
    box.addEventListener("pointerleave", () => this.point(null));
    box.addEventListener("dblclick", () => this.zoom());
  }

  show(data, zone) {
    Object.assign(this, { data, zone, note: null });
    this.tip.hidden = true;
    this.draw();
  }

  say(note) {
    Object.assign(this, { data: null, note });
    this.draw();
  }

  /** The range that is shown, in milliseconds. */
  get range() {
    const { start_ms, width_ms, buckets } = this.data ?? { buckets: [] };
    return buckets.length ? [start_ms, start_ms + width_ms * buckets.length] : null;
  }

  draw() {
    this.box.hidden = !this.range && !this.note;
    const { clientWidth: width, clientHeight: height } = this.box;
    if (!this.range || !width) {
      this.box.replaceChildren(...(this.note ? [el("p", { class: "note" }, this.note)] : []));
      return;
    }
    const { buckets } = this.data;
    const [start, end] = this.range;
    const most = Math.max(1, ...buckets.map((bucket) => bucket.count));
    const floor = height - AXIS;
    const total = buckets.reduce((sum, bucket) => sum + bucket.count, 0);
    const words = `${total} hits from ${full(start, this.zone)} to ${full(end, this.zone)}, at most ${most} in ${span(this.data.width_ms)}`;
    this.step = width / buckets.length;
    const canvas = svg("svg", { role: "img", "aria-label": words, viewBox: `0 0 ${width} ${height}` });
    canvas.append(svg("line", { class: "axis", x1: 0, x2: width, y1: floor + 0.5, y2: floor + 0.5 }));
    for (const { time, label } of ticks(start, end, Math.max(2, Math.floor(width / 105)), this.zone)) {
      const x = ((time - start) / (end - start)) * width;
      canvas.append(svg("line", { class: "axis", x1: x, x2: x, y1: floor, y2: floor + 4 }));
      const anchor = x < 30 ? "start" : x > width - 34 ? "end" : "middle";
      canvas.append(svg("text", { x, y: height - 3, "text-anchor": anchor }, label));
    }
    const gap = this.step > 4 ? 1 : 0;
    buckets.forEach((bucket, index) => this.bar(canvas, bucket, index * this.step, this.step - gap, floor, (floor - TOP) / most));
    canvas.append(svg("text", { x: 0, y: 9 }, number(most)));
    this.shade = svg("rect", { y: 0, height: floor, width: 0 });
    canvas.append(this.shade);
    this.box.replaceChildren(canvas, this.tip);
  }

  bar(canvas, bucket, x, width, floor, scale) {
    let y = floor;
    for (const [level, count] of parts(bucket)) {
      const height = Math.max(count * scale, 1);
      y -= height;
      canvas.append(svg("rect", { x, y, width, height, "data-level": level }));
    }
  }

  index(event) {
    const x = event.clientX - this.box.getBoundingClientRect().left;
    return Math.min(Math.max(Math.floor(x / this.step), 0), this.data.buckets.length - 1);
  }

  press(event) {
    if (!this.range || event.button !== 0) return;
    this.from = this.index(event);
    this.pressedAt = event.clientX;
    this.box.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.range) return;
    const index = this.index(event);
    if (this.from == null) this.point(index);
    else this.mark("brush", Math.min(this.from, index), Math.max(this.from, index));
  }

  release(event) {
    if (this.from == null) return;
    const [from, to] = [this.from, this.index(event)].sort((a, b) => a - b);
    const dragged = Math.abs(event.clientX - this.pressedAt) > 4;
    this.cancel();
    const { start_ms, width_ms } = this.data;
    if (dragged) this.zoom(start_ms + from * width_ms, start_ms + (to + 1) * width_ms);
  }

  cancel() {
    this.from = null;
    this.mark("over", 0, -1);
  }

  mark(kind, from, to) {
    if (!this.shade) return;
    this.shade.setAttribute("class", kind);
    this.shade.setAttribute("x", from * this.step);
    this.shade.setAttribute("width", (to - from + 1) * this.step);
    const whole = from <= to && kind === "brush";
    if (whole) this.tell(from, to);
  }

  point(index) {
    if (!this.range || this.from != null) return;
    this.mark("over", index ?? 0, index ?? -1);
    if (index == null) this.tip.hidden = true;
    else this.tell(index, index);
  }

  tell(from, to) {
    const { start_ms, width_ms, buckets } = this.data;
    const sum = { count: 0, levels: {} };
    for (const bucket of buckets.slice(from, to + 1)) {
      sum.count += bucket.count;
      for (const [level, count] of Object.entries(bucket.levels)) sum.levels[level] = (sum.levels[level] ?? 0) + count;
    }
    const lines = parts(sum).map(([level, count]) => el("div", { "data-level": level }, el("i"), `${number(count)} ${level || "without level"}`));
    const begin = start_ms + from * width_ms;
    const head = `${full(begin, this.zone)} · ${span((to - from + 1) * width_ms)}`;
    this.tip.replaceChildren(el("b", {}, head), ...(lines.length ? lines : [el("div", {}, "no hits")]));
    this.tip.hidden = false;
    const middle = ((from + to + 1) / 2) * this.step;
    const left = middle < this.box.clientWidth / 2 ? middle + this.step + 6 : middle - this.step - 6 - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(left, this.box.clientWidth - this.tip.offsetWidth))}px`;
  }
}

/** A bucket's counts by level, most severe first, those without a known level last. */
function parts(bucket) {
  const known = LEVELS.filter((level) => bucket.levels[level]).map((level) => [level, bucket.levels[level]]);
  const rest = bucket.count - known.reduce((sum, [, count]) => sum + count, 0);
  return rest > 0 ? [...known, ["", rest]] : known;
}
