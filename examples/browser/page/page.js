import { answers, Call } from "./call.js";
import { Face } from "./face.js";
import { Log } from "./log.js";
import { Turns } from "./turns.js";
import { Waves } from "./waves.js";
import { Words } from "./words.js";

const $ = (id) => document.getElementById(id);
const face = new Face($("face"));
const words = new Words($("words"));
const turns = new Turns($("turns"));
const log = new Log($("events"), $("filter"));
const waves = new Waves($("wave"));

const STATES = {
  starting: "The agent is coming.",
  idle: "The agent waits for you.",
  listening: "The agent listens.",
  thinking: "The agent thinks.",
  speaking: "The agent speaks. Talk over it.",
  failed: "The agent couldn't speak. Ask again.",
  lost: "Connection lost. It may come back within some seconds.",
  closing: "The agent is leaving.",
};

let call = null;
let microphone = null;
let languages = {};
let serviceUp = true;
let agentState = "away";
let cutAt = 0;
let pending = []; // Events that are not heard yet.
let timer = 0;

// Events of what is heard come as early as the audio leaves the agent: they wait for it, in their order.
const HEARD = new Set(["word", "mouth", "sound", "cut", "silent", "played"]);

function onEvent(event) {
  if (!call) return;
  if (!HEARD.has(event.type)) return show(event);
  pending.push({ event, due: performance.now() + 1000 * call.delay });
  if (pending.length === 1) showDue();
}

function showDue() {
  while (pending.length && pending[0].due <= performance.now()) show(pending.shift().event);
  if (pending.length) timer = setTimeout(showDue, pending[0].due - performance.now());
}

function show(event) {
  log.add(event);
  HANDLERS[event.type]?.(event);
  if (event.turn && event.type !== "turn") turns.note(event);
}

const HANDLERS = {
  hello(event) {
    ({ languages } = event);
    showService(event.up, event.local);
    $("parts").textContent = [
      event.local ? "Its voice: the local server." : "Its voice: Lokutor.",
      event.thinks ? "It thinks with OpenAI." : "It answers from a script.",
      event.hears ? "It recognizes your words." : "It hears that you speak, not what: type or pick a question.",
    ].join(" ");
    fill("voice", event.voices.map((voice) => [voice, voice]));
    fill("language", Object.entries(languages).map(([code, { name }]) => [code, name]));
    offerQuestions();
  },
  agent({ state }) {
    agentState = state;
    showState(state);
  },
  turn(event) {
    turns.begin(event);
  },
  sent({ units, turn }) {
    if (words.turn !== turn) words.clear();
    words.turn = turn;
    words.expect(units);
  },
  sound() {
    if ($("problem").dataset.ends === "sound") $("problem").hidden = true;
  },
  word({ word, turn }) {
    if (turn === words.turn) words.hear(word);
  },
  mouth({ shape }) {
    face.show(shape);
  },
  cut({ turn, at }) {
    cutAt = at;
    waves.mark("cut");
    face.show("closed");
    if (turn === words.turn) words.end(false);
  },
  silent({ at, after }) {
    waves.mark("silent", at - cutAt - after); // The rest of the fading was too low to be heard.
  },
  played({ turn, whole }) {
    face.show("closed");
    if (turn === words.turn) words.end(whole);
  },
  memory({ items }) {
    $("memory").replaceChildren(...items.map(({ role, text, interrupted }) => {
      const item = document.createElement("li");
      item.classList.toggle("user", role === "user");
      item.classList.toggle("interrupted", interrupted);
      const who = document.createElement("b");
      who.textContent = role === "user" ? "You" : "Agent";
      const what = document.createElement("span");
      what.textContent = text;
      item.append(who, what);
      return item;
    }));
    $("memory").scrollTop = $("memory").scrollHeight;
  },
  changed({ settings }) {
    $("changed").textContent = `Changed: ${Object.keys(settings).join(", ")}.`;
  },
  service({ up }) {
    showService(up, true);
  },
  refused({ message }) {
    complain("That can't be done.", message);
    $("problem").dataset.ends = "sound"; // Over as soon as the agent speaks again.
  },
  error({ message, advice }) {
    complain(message, advice);
    $("problem").dataset.ends = "sound";
    // The framework's own state stays so until the next turn, whatever speaks.
    if (!["speaking", "listening", "idle"].includes(document.body.dataset.state)) HANDLERS.agent({ state: "failed" });
  },
  taken() {
    call.end("Another tab or window has taken the call.");
  },
};

function showState(state) {
  document.body.dataset.state = state;
  $("state").textContent = STATES[state] ?? state;
}

function complain(message, advice) {
  $("problem-message").textContent = message;
  $("problem-advice").textContent = advice;
  $("problem").dataset.ends = "click";
  $("problem").hidden = false;
}

function showService(up, local) {
  serviceUp = up;
  $("service").hidden = !local;
  $("outage").textContent = up ? "Stop the local server" : "Start the local server";
}

function fill(name, options) {
  const select = $("settings").elements[name];
  const chosen = select.value;
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  if (options.some(([value]) => value === chosen)) select.value = chosen;
}

function offerQuestions() {
  const language = $("settings").elements.language.value;
  $("words").lang = language;
  $("questions").lang = language;
  $("questions").replaceChildren(...(languages[language]?.questions ?? []).map((question) => {
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = question;
    button.addEventListener("click", ({ detail }) => {
      if (detail < 2) call?.send({ do: "ask", text: question }); // A double click asks once.
    });
    item.append(button);
    return item;
  }));
}

// Settings

function readSettings() {
  const { voice, language, speed, steps, pronunciations, pacing } = $("settings").elements;
  const pairs = pronunciations.value.split("\n").map((line) => line.split("=").map((part) => part.trim()));
  return {
    ...(voice.value && { voice: voice.value }),
    ...(language.value && { language: language.value }),
    speed: Number(speed.value),
    steps: Number(steps.value),
    pronunciations: Object.fromEntries(pairs.filter(([written, spoken]) => written && spoken)),
    pacing: pacing.checked,
  };
}

$("settings").addEventListener("submit", (event) => event.preventDefault());
$("settings").addEventListener("input", ({ target }) => {
  const value = $(`${target.name}-value`);
  if (value) value.textContent = target.name === "speed" ? Number(target.value).toFixed(2) : target.value;
});
$("settings").addEventListener("change", ({ target: { name } }) => {
  call?.send({ do: "change", settings: { [name]: readSettings()[name] } });
  if (name === "language") offerQuestions();
});
$("outage").addEventListener("click", () => call?.send({ do: "service", run: !serviceUp }));

// The call

async function join() {
  $("join").disabled = true;
  $("problem").hidden = true;
  for (const part of [words, turns, log]) part.clear();
  $("memory").replaceChildren();
  const joining = new Call({
    event: (event) => call === joining && onEvent(event),
    stream: (stream) => call === joining && onStream(stream),
    lost: (lost) => call === joining && onLost(lost),
    end: (reason) => call === joining && onEnd(reason),
  });
  call = joining;
  try {
    await waves.open();
    if (!joining.ended) await joining.join();
  } catch (error) {
    if (!joining.ended) joining.end(`The call can't begin: ${(await answers()) ? error.message : "the example doesn't answer."}`);
    return;
  }
  if (joining.ended) return; // The caller has left meanwhile.
  $("joining").hidden = true;
  $("talking").hidden = false;
  call.send({ do: "join", settings: readSettings() });
  $("text").focus({ preventScroll: true });
}

function onStream(stream) {
  $("audio").srcObject = stream;
  waves.listen("agent", stream);
}

function onLost(lost) {
  const state = lost ? "lost" : agentState;
  if (lost || document.body.dataset.state === "lost") showState(state);
}

async function onEnd(reason) {
  clearTimeout(timer);
  pending = [];
  call = null;
  await useMicrophone(null);
  $("audio").srcObject = null;
  await waves.close();
  face.show("closed");
  document.body.dataset.state = "away";
  $("state").textContent = "The call is over.";
  $("talking").hidden = true;
  $("joining").hidden = false;
  $("join").disabled = false;
  $("join").focus();
  if (reason) complain(reason, "Start the call again. If that fails: python examples/browser_agent.py");
}

async function useMicrophone(stream) {
  for (const track of microphone?.getTracks() ?? []) track.stop();
  microphone = stream;
  $("microphone").setAttribute("aria-pressed", String(Boolean(stream)));
  $("microphone").textContent = stream ? "Turn off the microphone" : "Use the microphone";
  if (call) {
    await call.use(stream?.getAudioTracks()[0] ?? null);
    waves.listen("caller", stream);
  }
}

async function toggleMicrophone() {
  if (microphone) return useMicrophone(null);
  try {
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    return await useMicrophone(await navigator.mediaDevices.getUserMedia({ audio }));
  } catch (error) {
    return complain(`There is no microphone: ${error.message}`, "Allow it in the browser, or type, and interrupt with Esc.");
  }
}

function send(what) {
  const text = $("text").value.trim();
  if (!text || !call) return;
  call.send({ do: what, text });
  $("text").value = "";
}

$("join").addEventListener("click", join);
$("leave").addEventListener("click", () => call?.end(""));
$("microphone").addEventListener("click", toggleMicrophone);
$("interrupt").addEventListener("click", () => call?.send({ do: "interrupt" }));
$("say").addEventListener("click", () => send("say"));
$("problem-close").addEventListener("click", () => ($("problem").hidden = true));
$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  send("ask");
});
document.addEventListener("keydown", ({ key }) => {
  if (key === "Escape") call?.send({ do: "interrupt" });
});
window.addEventListener("pagehide", () => call?.end(""));
