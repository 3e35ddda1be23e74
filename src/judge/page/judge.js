// judge.js - what happens on the page: who listens, which three clips are shown, and what is answered.
//
// The next three are known and loaded while these are heard, and shown at once when these are answered. An answer counts
// as saved when the server says so. What is shown stays until it is answered, also where the server has changed its mind
// about what comes next.

import { Clip, Shelf } from "./clip.js";
import { ask, insist, Outbox } from "./outbox.js";

const PAIRS = [[0, 1], [0, 2], [1, 2]];
const AGAIN = 5000; // ms after which what could not be played is asked for again
const SETTLE = 300; // ms for which new clips take no answer: a key pressed twice was meant for the ones before

const $ = (id) => document.getElementById(id);
const shelf = new Shelf();
const clips = [1, 2, 3].map((number) => {
  const card = $("clip").content.firstElementChild.cloneNode(true);
  $("clips").append(card);
  return new Clip(card, number, { play: toggle, heard: enough, trouble: (_, text) => say(text) });
});

const state = {
  name: "",
  listener: null,
  outbox: null,
  task: null, // what is shown: {task, clips}
  then: null, // what probably comes next
  counts: { done: 0, left: 0, total: 0 },
  finished: false,
  lost: 0, // triplets that cannot be played now
  away: null, // the Refused that the server is waited for with
  asked: 0, // grows with every question for what comes next and every action; only the latest reply counts
  again: null, // the timer of a question asked again
  busy: false, // while an answer is taken back
  last: null, // the task answered or skipped last
  wanted: null, // the clip to play as soon as it is loaded
  armed: -1, // the pair chosen before all clips were heard
  shown: 0, // ms
  paces: [], // seconds of the latest answers
};
const watch = { total: 0, since: null }; // ms that these clips have been shown on a visible page
let current = clips[0]; // the clip played last

// ---- small things

function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(`attune.${key}`);
    localStorage.setItem(`attune.${key}`, value);
  } catch {
    // Without storage nothing is remembered, and all else works.
  }
  return null;
}

function say(text) {
  $("status").textContent = text;
}

const counted = (count, one) => `${count} ${one}${count === 1 ? "" : "s"}`;

function run() {
  const now = performance.now();
  if (watch.since !== null) watch.total += now - watch.since;
  watch.since = state.task && document.visibilityState === "visible" ? now : null;
}

// ---- what is seen

function view() {
  if (state.away?.status === 401) return "locked";
  if (state.listener === null) return "start";
  return state.finished ? "finished" : "task";
}

function render() {
  const seen = view();
  for (const name of ["start", "task", "finished", "locked"]) $(name).hidden = name !== seen;
  const inside = seen === "task" || seen === "finished";
  $("progress").hidden = $("foot").hidden = $("who").hidden = !inside;
  $("who").textContent = state.name;
  $("who").setAttribute("aria-label", `${state.name}: change the name`);

  const { done, left, total } = state.counts;
  $("count").textContent = `${done} of ${total}`;
  $("done").max = Math.max(1, total);
  $("done").value = done;
  $("pace").textContent = pace(left);
  $("undo").disabled = state.busy || (done === 0 && state.last === null);
  for (const button of $("pairs").children) button.disabled = state.task === null;
  $("skip").disabled = state.task === null;
  $("thanks").textContent = state.lost > 0 ? "No more can be played now." : "That was the last one. Thank you.";
  $("lost").hidden = state.lost === 0;
  $("lost").textContent = `The server cannot read the clips of ${counted(state.lost, "triplet")}. `
    + "Tell the one who runs this. They come here as soon as they can be played.";
  $("summary").textContent = `${counted(done, "answer")} from ${state.name}. All are saved.`;

  const kept = state.outbox?.size ?? 0;
  $("banner").hidden = !state.away || seen === "locked";
  if (!$("banner").hidden) {
    $("banner").textContent = `The server does not answer (${state.away.message}). ` + (kept > 0
      ? `${counted(kept, "answer")} not saved yet: kept in this browser and sent as soon as it does.`
      : "Trying again.");
  } else {
    $("banner").textContent = "";
  }
}

function pace(left) {
  const { paces } = state;
  if (left === 0) return "";
  if (paces.length < 2) return counted(left, "triplet") + " left";
  const mean = paces.reduce((sum, seconds) => sum + seconds, 0) / paces.length;
  return `${left} left, ${(60 / mean).toFixed(1)} a minute, about ${Math.max(1, Math.round(left * mean / 60))} min to go`;
}

function waiting(problem) {
  if (!state.away && state.outbox?.size > 0) say("Not saved yet.");
  state.away = problem;
  render();
}

function arrived() {
  state.away = null;
}

// ---- listeners

async function sign(name) {
  let reply;
  try {
    reply = await insist("api/listener", { name }, waiting);
  } catch (problem) {
    arrived();
    $("again").textContent = `That name is not taken: ${problem.message}`;
    $("name").value = name;
    render();
    return;
  }
  arrived();
  remember("name", reply.name);
  Object.assign(state, { name: reply.name, listener: reply.listener, task: null, then: null, last: null, paces: [] });
  // What another listener left in theirs still goes out, and changes nothing that is seen.
  const ours = (event) => (...what) => outbox === state.outbox && event(...what);
  const outbox = new Outbox(reply.study ?? "", reply.name, reply.listener,
    { saved: ours(saved), refused: ours(refused), waiting: ours(waiting) });
  state.outbox = outbox;
  clips.forEach((clip) => clip.clear());
  if (state.outbox.size > 0) say("Sending what was kept in this browser.");
  render();
  $("question").focus();
  await state.outbox.send();
  if (state.task === null) refresh(true);
}

// ---- what comes next

async function refresh(force) {
  const asked = ++state.asked;
  let reply;
  try {
    reply = await insist(`api/next?listener=${encodeURIComponent(state.listener)}`, undefined, waiting);
  } catch (problem) {
    if (problem.status === 404 && asked === state.asked) return sign(state.name); // the server was started anew
    say(problem.message);
    return undefined;
  }
  arrived();
  if (asked === state.asked) follow(reply, force);
  render();
  return undefined;
}

function follow(reply, force) {
  const already = state.finished && state.task === null;
  count(reply);
  state.finished = Boolean(reply.finished);
  state.lost = reply.finished ? reply.lost ?? 0 : 0;
  clearTimeout(state.again);
  if (state.lost > 0) state.again = setTimeout(() => state.finished && view() === "finished" && refresh(false), AGAIN);
  $("gain").textContent = gain(reply.expected_gain);
  if (reply.finished && already) {
    render();
  } else if (reply.finished) {
    show(null);
    render();
    $("thanks").focus();
  } else if (force || state.task === null) {
    show(reply);
    state.then = reply.then ?? null;
  } else {
    state.then = state.task.task === reply.task ? reply.then ?? null : reply;
  }
  prefetch();
}

function count({ done, left, total }) {
  if (done !== undefined) state.counts.done = done;
  state.counts.left = left ?? 0;
  state.counts.total = total ?? state.counts.done + state.counts.left;
}

function gain(expected) {
  return typeof expected === "number" ? `The next 50 answers are expected to tell ${Math.round(expected)} bits.` : "";
}

function show(task) {
  run();
  clips.forEach((clip) => clip.clear());
  state.task = task;
  state.armed = -1;
  state.wanted = null;
  state.shown = performance.now();
  Object.assign(watch, { total: 0, since: null });
  run();
  current = clips[0];
  if (task === null) return;
  task.clips.forEach((clip, i) => clips[i].show(clip.id, shelf).then(
    () => state.wanted === clips[i] && toggle(clips[i]),
    (problem) => say(`Clip ${i + 1} is missing (${problem.message}). Skip these, please.`)));
}

async function prefetch() {
  const wanted = [state.task, state.then].flatMap((task) => task?.clips ?? []).map((clip) => clip.id);
  shelf.keep(new Set(wanted));
  const { then } = state;
  await Promise.allSettled((state.task?.clips ?? []).map((clip) => shelf.take(clip.id)));
  if (then === state.then) then?.clips.forEach((clip) => shelf.take(clip.id).catch(() => {}));
}

// ---- answers

function act(path, details) {
  const { task } = state.task;
  state.asked += 1;
  state.last = task;
  const { then } = state;
  state.then = null;
  show(then);
  prefetch();
  say("Saving.");
  state.outbox.put(path, { task, ...details });
  render();
}

// The last clip that an early choice waited for has been heard.
function enough() {
  if (state.armed < 0 || clips.some((clip) => !clip.heard)) return;
  state.armed = -1;
  say("All are heard. Choose a pair.");
}

function choose(pair) {
  if (state.task === null || state.busy || performance.now() - state.shown < SETTLE) return;
  const unheard = clips.filter((clip) => !clip.heard);
  if (unheard.length > 0 && state.armed !== pair) {
    state.armed = pair;
    unheard.forEach((clip) => clip.miss());
    const numbers = unheard.map((clip) => clip.number).join(" and ");
    const [one, other] = PAIRS[pair].map((i) => i + 1);
    say(`Hear ${numbers} first, or choose ${one} and ${other} again.`);
    return;
  }
  run();
  const seconds = Math.round(watch.total / 100) / 10;
  state.paces = [...state.paces, Math.max(seconds, 0.1)].slice(-10);
  const ids = PAIRS[pair].map((i) => state.task.clips[i].id);
  act("api/answer", { pair: ids, seconds, replays: clips.map((clip) => clip.starts) });
}

function skip() {
  if (state.task !== null && !state.busy && performance.now() - state.shown >= SETTLE) act("api/skip", {});
}

function saved(item, reply) {
  arrived();
  count({ total: state.counts.total, ...reply });
  say(item.path === "api/skip" ? "Skipped." : "Saved.");
  render();
  if (state.outbox.size === 0) refresh(false);
}

function refused(item, problem) {
  arrived();
  say(`The server did not take ${item.path === "api/skip" ? "a skip" : "an answer"}: ${problem.message}`);
  render();
  if (state.outbox.size === 0) refresh(true);
}

async function undo() {
  if ($("undo").disabled) return;
  if (state.away) {
    say("Nothing can be taken back before the server answers again.");
    return;
  }
  state.busy = true;
  state.asked += 1;
  render();
  try {
    await state.outbox.send();
    const last = state.last === null ? {} : { task: state.last };
    await ask("api/undo", { listener: state.listener, ...last });
    state.last = null;
    state.paces.pop();
    say("Taken back. Listen again, and choose.");
    await refresh(true);
  } catch (problem) {
    say(problem.message);
    state.last = null;
    await refresh(false);
  } finally {
    state.busy = false;
    render();
  }
}

// ---- sound

function toggle(clip) {
  if (clip.playing) {
    clip.pause();
    return;
  }
  const position = $("together").checked && current !== clip && current.id !== null ? current.position : undefined;
  clips.forEach((other) => other !== clip && other.pause());
  state.wanted = clip.play(position) ? null : clip;
  if (state.wanted === null) current = clip;
}

// ---- keys

const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }; // seconds
const KEYS = {
  1: () => toggle(clips[0]),
  2: () => toggle(clips[1]),
  3: () => toggle(clips[2]),
  q: () => choose(0),
  w: () => choose(1),
  e: () => choose(2),
  s: skip,
  u: undo,
  l: () => $("loop").click(),
  p: () => $("together").click(),
};

// The key by what is written on it, or by its place on keyboards whose letters or digits are others.
function named(event) {
  if (/^[a-z1-3?]$/i.test(event.key)) return event.key.toLowerCase();
  return /^(?:Key([A-Z])|(?:Digit|Numpad)([1-3]))$/.exec(event.code)?.slice(1).join("").toLowerCase() ?? event.key;
}

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || $("help").open) return;
  const slider = event.target.matches("[type=range]");
  if (!slider && event.target.matches("input:not([type=checkbox])")) return;
  const clip = clips.find((one) => one.focused) ?? current;
  const key = named(event);
  if (slider && key in STEPS || $("single").checked && ["ArrowLeft", "ArrowRight"].includes(key)) {
    clip.seek(clip.position + STEPS[key]);
  } else if (event.repeat || !$("single").checked) {
    return;
  } else if (key === "?") {
    $("help").showModal();
  } else if (key === " " && !event.target.closest("button, a, [type=checkbox]")) {
    toggle(clip);
  } else if (Object.hasOwn(KEYS, key) && ["task", "finished"].includes(view())) {
    KEYS[key]();
  } else {
    return;
  }
  event.preventDefault();
}

// ---- start

function keep(id, apply) {
  const box = $(id);
  const kept = remember(id);
  if (kept !== null) box.checked = kept === "true";
  box.addEventListener("change", () => {
    remember(id, String(box.checked));
    apply();
  });
  apply();
}

keep("loop", () => clips.forEach((clip) => { clip.loop = $("loop").checked; }));
keep("together", () => {});
keep("single", () => document.body.classList.toggle("keyless", !$("single").checked));
[...$("pairs").children].forEach((button, i) => button.addEventListener("click", () => choose(i)));
$("skip").addEventListener("click", skip);
$("undo").addEventListener("click", undo);
$("ask").addEventListener("click", () => $("help").showModal());
$("sign").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (name !== "") sign(name);
  else $("again").textContent = "A name is needed, any that you like.";
});
$("who").addEventListener("click", () => {
  clips.forEach((clip) => clip.pause());
  Object.assign(state, { listener: null, task: null });
  $("name").value = state.name;
  render();
  $("name").select();
});
document.addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", run);
addEventListener("beforeunload", (event) => {
  if (state.outbox?.size > 0) event.preventDefault();
});

const known = remember("name");
if (known === null) {
  render();
  $("name").focus();
} else {
  sign(known);
}
