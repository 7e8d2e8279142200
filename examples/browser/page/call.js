// The call: one peer connection with the agent's audio, the microphone and a channel for messages.

const PATIENCE = 20_000;
const GATHERING = 3_000;
const SILENCE = 1_500;
const LOST = "The connection to the agent was lost.";
const UNREACHED =
  "Your browser doesn't reach the agent by WebRTC. Browsers need a network for it, even if nothing leaves this " +
  "machine. If you have one, start the example with --all-addresses.";

export class Call {
  // on.event(message), on.stream(stream), on.lost(whether), on.end(reason)
  constructor(on) {
    this.on = on;
    this.delay = 0.1;
    this.ended = false;
    this.lost = false;
    this.leaving = new AbortController();
  }

  async join() {
    this.peer = new RTCPeerConnection();
    this.audio = this.peer.addTransceiver("audio", { direction: "sendrecv" });
    this.channel = this.peer.createDataChannel("events");
    this.channel.onmessage = ({ data }) => this.on.event(JSON.parse(data));
    this.channel.onclose = () => this.end("The agent has hung up. Is the example still running?");
    this.peer.ontrack = ({ track }) => this.on.stream(new MediaStream([track]));
    this.peer.onconnectionstatechange = () => {
      const state = this.peer.connectionState;
      if (state === "failed") this.end(this.polling ? LOST : UNREACHED);
      else if (this.polling) this.#tellLost(state === "disconnected");
    };
    const open = new Promise((resolve, reject) => {
      this.channel.onopen = resolve;
      this.failed = reject;
    });
    const timer = setTimeout(() => this.end(UNREACHED), PATIENCE);
    open.finally(() => clearTimeout(timer)).catch(() => {}); // It is awaited below.
    await this.peer.setLocalDescription();
    await this.#gathered();
    if (this.ended) return;
    const { sdp } = this.peer.localDescription;
    const response = await fetch("call", {
      method: "POST",
      signal: this.leaving.signal,
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ sdp }),
    });
    if (!response.ok) throw new Error(await response.text());
    const answer = await response.json();
    if (this.ended) return;
    try {
      await this.peer.setRemoteDescription(answer);
    } catch {
      throw new Error("your browser doesn't understand the agent's answer.");
    }
    await open;
    this.heardAt = performance.now();
    this.polling = setInterval(() => this.#measure(), 1000);
  }

  send(message) {
    if (this.channel?.readyState === "open") this.channel.send(JSON.stringify(message));
  }

  // Replacing the track needs no new offer.
  async use(microphone) {
    await this.audio.sender.replaceTrack(microphone);
  }

  end(reason) {
    if (this.ended) return;
    this.ended = true;
    clearInterval(this.polling);
    this.failed?.(new Error(reason));
    this.leaving.abort();
    this.peer?.close(); // There is none before the call has joined.
    this.on.end(reason);
  }

  // It may come back, unless nobody serves the page any more: then the agent is gone as well.
  async #tellLost(lost) {
    if (this.ended || lost === this.lost) return;
    this.lost = lost;
    this.on.lost(lost);
    if (lost && !(await answers())) this.end(LOST);
  }

  #gathered() {
    return new Promise((resolve) => {
      const check = () => this.peer.iceGatheringState === "complete" && resolve();
      this.peer.onicegatheringstatechange = check;
      setTimeout(resolve, GATHERING); // Without a network, it never ends.
      check();
    });
  }

  // How long the audio waits here before it is heard: words and mouth wait as long. The agent sends silence, too:
  // where nothing comes, the connection is lost, seconds before the browser says so.
  async #measure() {
    const reports = await this.audio.receiver.getStats();
    for (const report of reports.values()) {
      if (report.type !== "inbound-rtp") continue;
      if (report.packetsReceived !== this.packets) this.heardAt = performance.now();
      this.packets = report.packetsReceived;
      this.#tellLost(this.peer.connectionState === "disconnected" || performance.now() - this.heardAt > SILENCE);
      if (!report.jitterBufferEmittedCount) continue;
      const count = report.jitterBufferEmittedCount - (this.count ?? 0);
      const waited = report.jitterBufferDelay - (this.waited ?? 0);
      if (count > 0) this.delay = Math.min(0.5, Math.max(0, waited / count));
      this.count = report.jitterBufferEmittedCount;
      this.waited = report.jitterBufferDelay;
    }
  }
}

// Whether the example still serves this page.
export async function answers() {
  try {
    return (await fetch("icon.svg", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}
