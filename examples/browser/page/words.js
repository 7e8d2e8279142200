// The reply as text. Its words light up as they are heard.

const LOOKAHEAD = 6;

export class Words {
  constructor(paragraph) {
    this.paragraph = paragraph;
    this.clear();
  }

  clear() {
    this.paragraph.replaceChildren();
    this.words = [];
    this.position = 0;
    this.ended = false;
    this.#fit();
  }

  // A text was sent: it will be heard. What was lost with a connection is sent again, and shown once.
  // Each unit is a word as it is written, and as it was sent: nginx, engine x.
  expect(units) {
    this.ended = false;
    const words = units.flatMap(([written, spoken]) =>
      split(written).map((word, index, all) => ({ word, spoken: all.length === 1 && written !== spoken ? spoken : "" })));
    const last = this.words.slice(-words.length).map((span) => span.textContent);
    if (words.map(({ word }) => word).join(" ") === last.join(" ")) return;
    for (const { word, spoken } of words) this.#insert(word, this.words.length, spoken);
    this.#fit();
  }

  hear(word) {
    this.#spell(word);
    const ahead = this.words.slice(this.position, this.position + LOOKAHEAD);
    let skipped = ahead.findIndex((span) => same(span.textContent, word));
    // What was sent as several words is written as one: C++ 11, C++11.
    const joined = ahead.findIndex((_, count) => same(texts(ahead.slice(0, count + 1)).join(""), word));
    if (joined > 0) skipped = joined;
    if (skipped < 0) { // It was sent otherwise than it is written.
      if (!this.words[this.position]) this.#insert(word, this.position);
      skipped = 0;
    }
    this.#remove(this.position, skipped);
    this.words[this.position - 1]?.classList.remove("now");
    const span = this.words[this.position];
    span.textContent = word;
    span.classList.remove("unheard"); // The word of the cut is told behind it.
    span.classList.add("heard");
    if (!this.ended) span.classList.add("now");
    this.position += 1;
    this.#follow(span);
  }

  // The reply has ended: as a whole, or what wasn't heard won't be.
  end(whole) {
    this.ended = true;
    this.words[this.position - 1]?.classList.remove("now");
    if (!whole) for (const span of this.words.slice(this.position)) span.classList.add("unheard");
    else if (this.position) this.#remove(this.position, this.words.length); // It was never written.
    this.#fit();
  }

  // Whoever has written "engine x" hears these words, not the one that stands for them.
  #spell(word) {
    const span = this.words[this.position];
    const spoken = split(span?.dataset.spoken ?? "");
    if (!spoken.length || same(span.textContent, word) || !same(spoken[0], word)) return;
    this.#remove(this.position, 1);
    spoken.forEach((each, index) => this.#insert(each, this.position + index));
  }

  #insert(word, index, spoken = "") {
    const span = document.createElement("span");
    span.textContent = word;
    if (spoken) span.dataset.spoken = spoken;
    const next = this.words[index] ?? null;
    this.paragraph.insertBefore(span, next);
    this.paragraph.insertBefore(document.createTextNode(" "), next);
    this.words.splice(index, 0, span);
  }

  #remove(index, count) {
    for (const span of this.words.splice(index, count)) {
      span.nextSibling.remove(); // Its space.
      span.remove();
    }
  }

  // Keep the word in sight, with a line above it.
  #follow(span) {
    const { paragraph } = this;
    const top = span.offsetTop - paragraph.offsetTop;
    const height = span.offsetHeight;
    if (top < paragraph.scrollTop || top + 2 * height > paragraph.scrollTop + paragraph.clientHeight) {
      paragraph.scrollTop = top - height;
    }
  }

  // What scrolls must be reached by keyboard.
  #fit() {
    const { paragraph } = this;
    paragraph.toggleAttribute("tabindex", paragraph.scrollHeight > paragraph.clientHeight);
    if (paragraph.hasAttribute("tabindex")) paragraph.tabIndex = 0;
  }
}

function split(text) {
  return text.split(/\s+/).filter(Boolean);
}

function texts(spans) {
  return spans.map((span) => span.textContent);
}

function same(one, other) {
  return bare(one) === bare(other);
}

function bare(word) {
  return word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "") || word;
}
