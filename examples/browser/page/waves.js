// Draws the last seconds of both voices, and the moments that matter.

const SECONDS = 10;
const PEAK_SAMPLES = 512;
const FRAME = 50; // Milliseconds between two drawings: enough for a picture that moves slowly.
const GAIN = 2.5; // Speech seldom reaches half of what is possible.

export class Waves {
  constructor(canvas) {
    this.canvas = canvas;
    this.peaks = { agent: [], caller: [] };
    this.marks = []; // { kind, at }: at counts the agent's peaks.
    this.count = 0;
    this.context = null;
    this.sources = {};
    this.drawing = 0;
  }

  // Must be called from a click: a browser starts no sound by itself.
  async open() {
    const context = new AudioContext();
    this.context = context;
    await context.audioWorklet.addModule("peaks.js");
    if (this.context !== context) return; // Closed meanwhile.
    this.rate = context.sampleRate / PEAK_SAMPLES;
    this.listen("agent", null);
    this.listen("caller", null);
    await context.resume();
    if (this.context !== context) return;
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.drawing = setInterval(() => requestAnimationFrame(() => this.draw()), calm.matches ? 500 : FRAME);
  }

  listen(who, stream) {
    this.sources[who]?.source?.disconnect();
    const node = this.sources[who]?.node ?? this.#meter(who);
    const source = stream && this.context.createMediaStreamSource(stream);
    source?.connect(node);
    this.sources[who] = { node, source };
  }

  #meter(who) {
    const node = new AudioWorkletNode(this.context, "peaks", { numberOfInputs: 1, numberOfOutputs: 1 });
    const quiet = new GainNode(this.context, { gain: 0 }); // What nobody listens to isn't run.
    node.connect(quiet).connect(this.context.destination);
    node.port.onmessage = ({ data }) => this.#add(who, data);
    return node;
  }

  #add(who, peak) {
    const peaks = this.peaks[who];
    peaks.push(peak);
    if (peaks.length > this.rate * SECONDS) peaks.shift();
    if (who === "agent") {
      this.count += 1;
      this.marks = this.marks.filter((mark) => mark.at > this.count - this.rate * SECONDS);
    }
  }

  mark(kind, secondsAgo = 0) {
    this.marks.push({ kind, at: this.count - secondsAgo * this.rate });
  }

  async close() {
    clearInterval(this.drawing);
    for (const { node } of Object.values(this.sources)) node.port.onmessage = null;
    this.sources = {};
    const { context } = this;
    this.context = null;
    await context?.close();
  }

  draw() {
    if (!this.context) return; // Closed since it was due.
    const { canvas } = this;
    const scale = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = canvas;
    if (canvas.width !== Math.round(clientWidth * scale)) canvas.width = Math.round(clientWidth * scale);
    if (canvas.height !== Math.round(clientHeight * scale)) canvas.height = Math.round(clientHeight * scale);
    const paint = canvas.getContext("2d");
    const color = (name) => resolve(canvas, name);
    paint.setTransform(scale, 0, 0, scale, 0, 0);
    paint.clearRect(0, 0, clientWidth, clientHeight);
    const total = this.rate * SECONDS;
    const step = clientWidth / total;
    for (const [who, middle] of [["agent", clientHeight * 0.27], ["caller", clientHeight * 0.75]]) {
      const peaks = this.peaks[who];
      const reach = clientHeight * 0.23;
      paint.fillStyle = color(who);
      paint.globalAlpha = 0.35;
      paint.fillRect(0, middle - 0.5, clientWidth, 1);
      paint.globalAlpha = 1;
      peaks.forEach(([low, high], index) => {
        const x = clientWidth - (peaks.length - index) * step;
        const top = Math.min(1, GAIN * high) * reach;
        const bottom = Math.min(1, GAIN * -low) * reach;
        if (top + bottom > 0.3) paint.fillRect(x, middle - top, Math.max(1, step), top + bottom);
      });
    }
    for (const { kind, at } of this.marks) {
      const x = clientWidth - (this.count - at) * step;
      paint.fillStyle = color(kind);
      paint.fillRect(x - 1, 0, 2, clientHeight * 0.5);
    }
  }
}

// A canvas knows no custom properties, nor light-dark().
const resolved = new Map();
function resolve(canvas, name) {
  const scheme = matchMedia("(prefers-color-scheme: dark)").matches;
  const key = `${name} ${scheme}`;
  if (!resolved.has(key)) {
    canvas.style.color = `var(--${name})`;
    resolved.set(key, getComputedStyle(canvas).color);
    canvas.style.color = "";
  }
  return resolved.get(key);
}
