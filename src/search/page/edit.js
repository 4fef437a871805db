// Every click edits the question that one sees.

// Short names that people read more easily, and those that a field of the very name can't be asked by.
const SHORT = { "log.level": "level", "host.name": "host", "log.file.path": "file", "logdrive.task": "task" };
const TAKEN = ["level", "severity", "host", "hostname", "file", "msg", "task", "trace", "pod", "ns", "container", "since", "until"];

/** `name:value` as text of the language. */
export function term(name, value) {
  const plain = /^[A-Za-z_@](?:[A-Za-z0-9_@.-]*[A-Za-z0-9_])?$/.test(name) && !TAKEN.includes(name);
  return `${SHORT[name] ?? (plain ? name : `\`${name}\``)}:${literal(name, String(value))}`;
}

function literal(name, value) {
  if (name === "message") return quote(value);
  const plain = /^(?:[A-Za-z0-9_]|\/(?!\/))[\w.\/-]*$/.test(value) && !value.includes("..") && !/^[1-9][0-9x]x$/.test(value);
  return plain ? value : quote(value);
}

const quote = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;

/** The question with one more term, which takes the place of its opposite. */
export function narrowed(query, term, without = false) {
  const [wanted, opposite] = without ? [`-${term}`, term] : [term, `-${term}`];
  const kept = split(query).filter((piece) => piece !== opposite && piece !== wanted);
  const either = kept.includes("OR");
  const text = kept.join(" ");
  return (text && either ? `(${text}) ${wanted}` : `${text} ${wanted}`).trim();
}

/** The question without its window. */
export function withoutWindow(query) {
  return split(query).filter((piece) => !/^(?:since|until):./.test(piece)).join(" ");
}

/** Pieces between spaces; what is in quotes stays in one piece. */
function split(query) {
  return query.match(/(?:"(?:[^"\\]|\\.)*"|\S)+/g) ?? [];
}
