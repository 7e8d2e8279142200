// The events, newest first, by kind.

const KEPT = 200;
const KINDS = {
  turns: ["turn", "sound", "cut", "silent", "played", "dropped"],
  states: ["agent", "caller"],
  texts: ["sent", "metrics"],
  words: ["word"],
  visemes: ["mouth"],
  other: ["hello", "changed", "service", "memory", "refused", "error", "taken"],
};
const HIDDEN_AT_FIRST = new Set(["words", "visemes"]);

export class Log {
  constructor(list, filter) {
    this.list = list;
    this.hidden = new Set(HIDDEN_AT_FIRST);
    for (const kind of Object.keys(KINDS)) {
      const label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.name = kind;
      box.checked = !this.hidden.has(kind);
      box.addEventListener("change", () => this.#choose(kind, box.checked));
      label.append(box, kind);
      filter.append(label);
    }
  }

  add({ type, at, ...details }) {
    const kind = Object.keys(KINDS).find((name) => KINDS[name].includes(type)) ?? "other";
    const item = document.createElement("li");
    item.className = type;
    item.dataset.kind = kind;
    item.dataset.at = at;
    item.hidden = this.hidden.has(kind);
    const time = document.createElement("time");
    time.textContent = `${at.toFixed(3)} s`;
    const name = document.createElement("b");
    name.textContent = type;
    const text = document.createElement("span");
    text.textContent = describe(type, details);
    item.append(time, name, text);
    // What is heard is shown when it is heard, later than what was told after it.
    let next = this.list.firstElementChild;
    while (next && Number(next.dataset.at) > at) next = next.nextElementSibling;
    this.list.insertBefore(item, next);
    while (this.list.childElementCount > KEPT) this.list.lastElementChild.remove();
  }

  clear() {
    this.list.replaceChildren();
  }

  #choose(kind, shown) {
    this.hidden[shown ? "delete" : "add"](kind);
    for (const item of this.list.children) if (item.dataset.kind === kind) item.hidden = !shown;
  }
}

function describe(type, details) {
  if (type === "hello") return details.local ? "the local server speaks" : "Lokutor speaks";
  if (type === "memory") return `${details.items.length} messages`;
  delete details.units; // Its text says it.
  return Object.entries(details)
    .filter(([, value]) => value !== null && value !== "")
    .map(([name, value]) => `${name}: ${format(value)}`)
    .join(", ");
}

function format(value) {
  if (typeof value === "number" && !Number.isInteger(value)) return value.toFixed(3);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
