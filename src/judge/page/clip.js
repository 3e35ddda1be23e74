// clip.js - one clip on the page: its sound, its waveform and its controls.
//
// Sounds come as whole files and stay in memory while they may be heard, so a clip starts at once, loops, and goes on
// without a connection.

import { insist } from "./outbox.js";

const BAR = 4; // px of a bar of the waveform with its gap
const ENOUGH = 1; // seconds of a clip that count as having heard it

// A clip is a few megabytes, and its link may be slow.
const sound = { read: async (reply) => URL.createObjectURL(await reply.blob()), seconds: 120 };

// The clips that are loaded or being loaded.
export class Shelf {
  #clips = new Map();

  // {url, seconds, peaks}, once all is here; the same promise for the same id.
  take(id) {
    if (!this.#clips.has(id)) {
      const clip = `api/clip/${encodeURIComponent(id)}`;
      const quietly = () => {};
      const parts = [insist(clip, undefined, quietly, sound), insist(`${clip}/waveform`, undefined, quietly)];
      const loaded = Promise.all(parts).then(([url, wave]) => {
        const highest = Math.max(0.05, ...wave.peaks); // a quiet clip fills its card too
        return { url, seconds: wave.seconds, peaks: wave.peaks.map((peak) => peak / highest) };
      });
      loaded.catch(() => this.#clips.delete(id));
      this.#clips.set(id, loaded);
    }
    return this.#clips.get(id);
  }

  // Forgets all clips but these.
  keep(ids) {
    for (const [id, loaded] of this.#clips) {
      if (ids.has(id)) continue;
      this.#clips.delete(id);
      loaded.then(({ url }) => URL.revokeObjectURL(url), () => {});
    }
  }
}

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export class Clip {
  #card;
  #audio;
  #canvas;
  #slider;
  #button;
  #time;
  #mark;
  #peaks = [];
  #seconds = 0;
  #id = null;
  #number;
  #smooth = matchMedia("(prefers-reduced-motion: no-preference)");

  starts = 0; // how often it was started
  heard = false;

  // `events`: play(clip), asked for by a click; heard(clip); trouble(clip, text).
  constructor(card, number, events) {
    this.#card = card;
    this.#number = number;
    this.#audio = card.querySelector("audio");
    this.#canvas = card.querySelector("canvas");
    this.#slider = card.querySelector("input");
    this.#button = card.querySelector(".play");
    this.#time = card.querySelector(".time");
    this.#mark = card.querySelector(".heard");
    card.classList.add(`c${number}`);
    card.querySelector(".number").textContent = number;
    this.#button.setAttribute("aria-keyshortcuts", number);
    this.#slider.setAttribute("aria-label", `Position in clip ${number}`);
    this.#label();

    this.#button.addEventListener("click", () => events.play(this));
    this.#slider.addEventListener("input", () => this.seek(Number(this.#slider.value)));
    // While it plays the slider stands still, or a screen reader would read every step; it catches up when it is used.
    for (const type of ["pointerdown", "focus", "keydown"]) {
      this.#slider.addEventListener(type, () => this.#place(), { capture: true });
    }
    this.#audio.addEventListener("play", () => {
      this.#label();
      this.#follow();
    });
    this.#audio.addEventListener("pause", () => this.#rest());
    this.#audio.addEventListener("seeked", () => this.#draw());
    this.#audio.addEventListener("timeupdate", () => {
      this.#draw();
      this.#listen(events);
    });
    this.#audio.addEventListener("error", () => {
      if (this.#audio.getAttribute("src")) events.trouble(this, `Clip ${number} cannot be played.`);
    });
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  get number() {
    return this.#number;
  }

  get id() {
    return this.#id;
  }

  get playing() {
    return !this.#audio.paused;
  }

  get position() {
    return this.#audio.currentTime;
  }

  get focused() {
    return this.#card.contains(document.activeElement);
  }

  set loop(on) {
    this.#audio.loop = on;
  }

  // Empties the card until show().
  clear() {
    this.#audio.pause();
    this.#audio.removeAttribute("src");
    this.#audio.load(); // which takes back the event that would have told of the pause
    this.#label();
    Object.assign(this, { starts: 0, heard: false });
    this.#id = null;
    this.#peaks = [];
    this.#seconds = 0;
    this.#mark.textContent = "";
    this.#time.textContent = "";
    this.#button.disabled = this.#slider.disabled = true;
    this.#card.classList.remove("missed");
    this.#card.setAttribute("aria-busy", "true");
    this.#draw();
  }

  // Shows the clip of this id from the shelf. Throws Refused if the server does not have it.
  async show(id, shelf) {
    this.clear();
    this.#id = id;
    this.#time.textContent = "loading";
    try {
      const { url, seconds, peaks } = await shelf.take(id);
      if (this.#id !== id) return;
      this.#peaks = peaks;
      this.#seconds = seconds;
      this.#audio.src = url;
      this.#button.disabled = this.#slider.disabled = false;
      this.#slider.max = seconds;
      this.#place();
    } catch (problem) {
      if (this.#id !== id) return;
      this.#time.textContent = "missing";
      throw problem;
    } finally {
      if (this.#id === id) {
        this.#card.removeAttribute("aria-busy");
        this.#draw();
      }
    }
  }

  // Starts it, at `position` if that is given; false if it is not loaded yet.
  play(position) {
    if (this.#button.disabled) return false;
    if (position !== undefined) this.#audio.currentTime = position % this.#seconds;
    this.starts += 1;
    this.#audio.play().catch(() => this.#rest()); // its error event says why
    this.#label(); // at once: the event that tells of it comes later
    return true;
  }

  pause() {
    this.#audio.pause();
    this.#label();
  }

  seek(position) {
    if (this.#button.disabled) return;
    const last = Math.max(0, this.#seconds - 0.05);
    this.#audio.currentTime = Math.min(Math.max(position, 0), last);
    this.#place();
    this.#draw();
  }

  // Marks it as one that should be heard first.
  miss() {
    this.#card.classList.toggle("missed", !this.heard);
  }

  #listen(events) {
    if (this.heard) return;
    const ranges = this.#audio.played;
    let sum = 0;
    for (let i = 0; i < ranges.length; i++) sum += ranges.end(i) - ranges.start(i);
    if (sum < Math.min(ENOUGH, this.#seconds / 2)) return;
    this.heard = true;
    this.#mark.textContent = "heard";
    this.#card.classList.remove("missed");
    events.heard(this);
  }

  #follow() {
    if (!this.playing || !this.#smooth.matches) return; // timeupdate alone moves it four times a second
    this.#draw();
    requestAnimationFrame(() => this.#follow());
  }

  #rest() {
    this.#label();
    if (this.#id !== null) this.#place();
    this.#draw();
  }

  #label() {
    this.#card.classList.toggle("playing", this.playing);
    this.#button.setAttribute("aria-label", `${this.playing ? "Pause" : "Play"} clip ${this.#number}`);
  }

  #place() {
    this.#slider.value = this.position;
    this.#slider.setAttribute("aria-valuetext", `${Math.floor(this.position)} of ${Math.round(this.#seconds)} seconds`);
  }

  #draw() {
    const ratio = devicePixelRatio || 1;
    const width = this.#canvas.clientWidth;
    const height = this.#canvas.clientHeight;
    if (this.#canvas.width !== Math.round(width * ratio) || this.#canvas.height !== Math.round(height * ratio)) {
      this.#canvas.width = Math.round(width * ratio);
      this.#canvas.height = Math.round(height * ratio);
    }
    const context = this.#canvas.getContext("2d");
    const style = getComputedStyle(this.#card);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const at = this.#seconds > 0 ? width * this.position / this.#seconds : 0;
    const bars = Math.max(1, Math.floor(width / BAR));
    for (let i = 0; i < bars; i++) {
      const from = Math.floor(i * this.#peaks.length / bars);
      const to = Math.max(from + 1, Math.floor((i + 1) * this.#peaks.length / bars));
      const peak = this.#peaks.length > 0 ? Math.max(...this.#peaks.slice(from, to)) : 0;
      const tall = Math.max(2, Math.min(1, peak) * (height - 4));
      context.fillStyle = style.getPropertyValue((i + 0.5) * BAR <= at ? "--clip" : "--wave");
      context.beginPath();
      context.roundRect(i * BAR, (height - tall) / 2, BAR - 1.5, tall, 1);
      context.fill();
    }
    if (this.position > 0) {
      context.fillStyle = style.getPropertyValue("--ink");
      context.fillRect(Math.min(at, width - 1.5), 0, 1.5, height);
    }
    if (this.#peaks.length > 0) this.#time.textContent = `${clock(this.position)} / ${clock(this.#seconds)}`;
  }
}
