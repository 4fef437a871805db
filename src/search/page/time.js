// Times as people read them, in the zone of the browser or in UTC.

const formats = new Map();

function format(zone, options) {
  const key = `${zone} ${JSON.stringify(options)}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("sv-SE", { timeZone: zone, hourCycle: "h23", ...options }));
  return formats.get(key);
}

export const LOCAL = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
const DATE = { year: "numeric", month: "2-digit", day: "2-digit" };

export const clock = (time, zone) => format(zone, { ...CLOCK, fractionalSecondDigits: 3 }).format(time).replace(",", ".");
export const date = (time, zone) => format(zone, DATE).format(time);
export const full = (time, zone) => `${date(time, zone)} ${format(zone, CLOCK).format(time)}`;

/** A moment as one would type it in the zone; other texts as they are. */
export function typed(text, zone) {
  if (!/^\d{4}-\d\d-\d\dT.*Z$/.test(text)) return text;
  const time = new Date(text);
  return time % 1000 ? `${date(time, zone)} ${clock(time, zone)}` : full(time, zone);
}

export function day(time, zone) {
  const long = { weekday: "long", day: "numeric", month: "long", year: "numeric", timeZone: zone };
  return new Intl.DateTimeFormat("en-GB", long).format(time);
}

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND, MINUTE, 2 * MINUTE,
  5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY];

/** At most `count` round times of the zone from `start` to `end`, with labels. */
export function ticks(start, end, count, zone) {
  const step = STEPS.find((step) => (end - start) / step <= count) ?? (end - start) / count;
  // Round in the zone's own time: its distance from UTC at the start stands for the whole range.
  const offset = offsetAt(start, zone);
  const marks = [];
  let lastDay = "";
  for (let time = Math.ceil((start + offset) / step) * step - offset; time < end; time += step) {
    const today = date(time, zone);
    marks.push({ time, label: label(time, step, zone, today !== lastDay) });
    lastDay = today;
  }
  return marks;
}

function label(time, step, zone, newDay) {
  if (step >= 28 * DAY) return date(time, zone);
  if (step >= DAY) return date(time, zone).slice(5);
  const clockText = step < SECOND ? clock(time, zone) : format(zone, step < MINUTE ? CLOCK : { hour: "2-digit", minute: "2-digit" }).format(time);
  return newDay && step >= MINUTE ? `${date(time, zone).slice(5)} ${clockText}` : clockText;
}

function offsetAt(time, zone) {
  const whole = Math.floor(time / SECOND) * SECOND;
  return Date.parse(`${full(whole, zone).replace(" ", "T")}Z`) - whole;
}

/** How wide a bucket is, in words. */
export function span(ms) {
  for (const [unit, size] of [["d", DAY], ["h", HOUR], ["min", MINUTE], ["s", SECOND]]) if (ms >= size) return `${+(ms / size).toFixed(1)} ${unit}`;
  return `${ms} ms`;
}
