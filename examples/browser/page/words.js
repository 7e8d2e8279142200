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
  }

  // A text was sent: it will be heard. What was lost with a connection is sent again, and shown once.
  expect(text) {
    const words = text.split(/\s+/).filter(Boolean);
    const last = this.words.slice(-words.length).map((span) => span.textContent);
    if (words.join(" ") === last.join(" ")) return;
    for (const word of words) this.#insert(word, this.words.length);
  }

  hear(word) {
    const ahead = this.words.slice(this.position, this.position + LOOKAHEAD);
    let found = ahead.findIndex((span) => bare(span.textContent) === bare(word));
    if (found < 0) { // It was sent otherwise than it is written: a pronunciation.
      if (!this.words[this.position]) this.#insert(word, this.position);
      this.words[this.position].textContent = word;
      found = 0;
    }
    for (const skipped of this.words.splice(this.position, found)) {
      skipped.nextSibling.remove(); // Its space.
      skipped.remove();
    }
    this.words[this.position - 1]?.classList.remove("now");
    this.words[this.position].classList.remove("unheard"); // The word of the cut is told behind it.
    this.words[this.position].classList.add("heard", "now");
    this.position += 1;
  }

  // The reply has ended: as a whole, or what wasn't heard won't be.
  end(whole) {
    this.words[this.position - 1]?.classList.remove("now");
    if (!whole) for (const span of this.words.slice(this.position)) span.classList.add("unheard");
  }

  #insert(word, index) {
    const span = document.createElement("span");
    span.textContent = word;
    const next = this.words[index] ?? null;
    this.paragraph.insertBefore(span, next);
    this.paragraph.insertBefore(document.createTextNode(" "), next);
    this.words.splice(index, 0, span);
  }
}

function bare(word) {
  return word.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}
