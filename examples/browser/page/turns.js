// One list item for each turn: what was asked, a bar of its times, and the figures.

const KEPT = 10;

export class Turns {
  constructor(list) {
    this.list = list;
    this.turns = new Map();
  }

  clear() {
    this.turns.clear();
    this.list.replaceChildren();
  }

  begin({ turn, at, text, origin }) {
    const item = document.createElement("li");
    item.dataset.turn = turn;
    item.dataset.state = "begun";
    const title = document.createElement("h3");
    title.title = text;
    title.textContent = { greeting: "Greeting", said: `Spoken: ${text}`, asked: text }[origin];
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.setAttribute("aria-hidden", "true");
    item.append(title, bar, document.createElement("dl"));
    this.list.prepend(item);
    this.turns.set(turn, { item, bar, at, origin, words: 0 });
    if (this.turns.size > KEPT) {
      const [oldest] = this.turns.keys();
      this.turns.get(oldest).item.remove();
      this.turns.delete(oldest);
    }
  }

  // Takes an event that belongs to a turn.
  note(event) {
    const turn = this.turns.get(event.turn);
    if (!turn) return;
    const { type, at } = event;
    if (type === "sent") turn.sent ??= at;
    if (type === "sound") turn.sound ??= at;
    if (type === "word") turn.words = event.count;
    if (type === "cut") [turn.cut, turn.unheard] = [at, event.unheard];
    if (type === "silent") turn.after = event.after;
    if (type === "word" || type === "sound") turn.heard = at;
    if (type === "played") [turn.played, turn.whole] = [at, event.whole];
    if (type === "dropped") turn.dropped = true;
    if (type === "metrics") turn.metrics = event;
    turn.item.dataset.state = stateOf(turn) ?? type;
    this.#draw(turn);
  }

  #draw(turn) {
    const { at, origin, sent, sound, heard, cut, played, whole, dropped, after, metrics, words, unheard } = turn;
    const count = `${words} ${words === 1 ? "word" : "words"}`;
    const parts = [
      ["thinking", at, sent],
      ["waiting", sent, sound],
      ["speaking", sound, cut ?? played ?? heard],
      ["fading", cut, cut + after],
    ].filter(([, from, to]) => to > from);
    const all = Math.max(3, parts.reduce((sum, [, from, to]) => sum + to - from, 0));
    turn.bar.replaceChildren(...parts.map(([name, from, to]) => {
      const part = document.createElement("i");
      part.className = name;
      part.style.width = `${(100 * (to - from)) / all}%`;
      return part;
    }));
    const figures = [
      [origin === "asked" ? "Question to text" : "Start to text", sent && milliseconds(sent - at)],
      ["Text to sound", sound && milliseconds(sound - sent)],
      ["Cut after", cut && count],
      ["Lost after", played && !whole && count],
      ["Cut", dropped && "before it sounded"],
      ["Cut to silence", after !== undefined && `${after.toFixed(2)} s`],
      ["Connection", metrics && (metrics.standby ? "standby" : "new")],
      ["Characters sent", metrics && characters(metrics, unheard)],
    ];
    const list = turn.item.querySelector("dl");
    list.replaceChildren(...figures.filter(([, value]) => value).map(([name, value]) => {
      const pair = document.createElement("div");
      const term = document.createElement("dt");
      const figure = document.createElement("dd");
      pair.dataset.figure = name;
      term.textContent = name;
      figure.textContent = value;
      pair.append(term, figure);
      return pair;
    }));
  }
}

function stateOf({ after, cut, played, whole, dropped }) {
  if (after !== undefined) return "silent";
  if (cut) return "cut";
  if (played) return whole ? "played" : "lost";
  return dropped ? "dropped" : undefined;
}

// Metrics come with the last audio: a turn that is cut off later was not interrupted for them.
function characters({ characters, unheard, interrupted }, unheardAtCut) {
  const inVain = interrupted ? unheard : unheardAtCut;
  return inVain === undefined ? `${characters}` : `${characters}, ${Math.min(inVain, characters)} in vain`;
}

function milliseconds(seconds) {
  return `${Math.round(1000 * seconds)} ms`;
}
