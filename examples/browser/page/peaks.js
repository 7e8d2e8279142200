// Runs beside the audio: tells the loudest sample of each 512, in both directions.

const SIZE = 512;

registerProcessor("peaks", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.clear();
  }

  clear() {
    this.low = this.high = this.count = 0;
  }

  process([[samples]]) {
    for (let at = 0; at < 128; at += 1) {
      const sample = samples ? samples[at] : 0;
      this.low = Math.min(this.low, sample);
      this.high = Math.max(this.high, sample);
    }
    this.count += 128;
    if (this.count >= SIZE) {
      this.port.postMessage([this.low, this.high]);
      this.clear();
    }
    return true;
  }
});
