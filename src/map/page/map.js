// The map's page: decodes its data, draws points with WebGL (or by hand where there is none, or with #canvas behind
// the page's name), and answers pointer, keyboard and search. No network: everything is in this file.
"use strict";
const $ = (id) => document.getElementById(id);
const about = JSON.parse($("about").textContent);
const n = about.tracks, K = about.neighbours;
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

// ---- data: what page.c writes, in its order ----

const bytes = (() => {
  const text = atob($("data").textContent), out = new Uint8Array(text.length);
  for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
  $("data").textContent = "";
  return out;
})();
let offset = 0;
const take = (count) => {
  const values = new Uint16Array(bytes.buffer, offset, count);
  offset += 2 * count;
  return values;
};
const position = take(2 * n);
const colourings = about.colourings.map((c) => ({ ...c, number: take(n) }));
const cosine = take(n * K);
const nearest = bytes.subarray(offset, (offset += 3 * n * K));
const neighbour = (i, k) => {
  const at = 3 * (i * K + k);
  return nearest[at] | (nearest[at + 1] << 8) | (nearest[at + 2] << 16);
};

// Names are front-coded: bytes shared with the one before, length of the rest, the rest. Names are raw bytes,
// of which a URL must not lose any; every 64th one is remembered whole.
const names = new Array(n), restarts = [];
const decodeNames = (from, at, shared, each) => {
  let buffer = new Uint8Array(1024 + shared.length), length = shared.length;
  buffer.set(shared);
  const number = () => {
    let value = 0, shift = 0, byte;
    do {
      byte = bytes[at++];
      value += (byte & 127) * 2 ** shift;
      shift += 7;
    } while (byte & 128);
    return value;
  };
  for (let i = from; i < n; i++) {
    const start = at, common = number(), rest = number();
    if (common + rest > buffer.length) {
      const larger = new Uint8Array(2 * (common + rest));
      larger.set(buffer);
      buffer = larger;
    }
    const before = buffer.slice(0, i % 64 === 0 ? length : 0);
    buffer.set(bytes.subarray(at, at + rest), common);
    at += rest;
    length = common + rest;
    if (each(i, buffer.subarray(0, length), start, before)) return;
  }
};
{
  const decoder = new TextDecoder();
  decodeNames(0, offset, new Uint8Array(0), (i, raw, start, before) => {
    if (i % 64 === 0) restarts.push([start, before]);
    names[i] = decoder.decode(raw);
  });
}
const cut = (i) => names[i].lastIndexOf("/") + 1;
const fileOf = (i) => names[i].slice(cut(i)) || names[i] || "(no name)";
const folderOf = (i) => names[i].slice(0, Math.max(0, cut(i) - 1));
const putName = (element, i, more) => { // the file's name, and its folder below
  element.textContent = fileOf(i);
  for (const text of [folderOf(i), more]) {
    if (!text) continue;
    const small = document.createElement("small");
    small.textContent = text;
    element.append(small);
  }
};
const rawName = (wanted) => {
  let found;
  const [start, before] = restarts[wanted >> 6];
  decodeNames(wanted & ~63, start, new Uint8Array(before), (i, raw) => {
    if (i === wanted) found = raw.slice();
    return i === wanted;
  });
  return found;
};

// ---- colours ----

const palette = ["#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#2fa7a0", "#d4b02a", "#ff8fa3", "#9c755f",
  "#6f8fe0", "#c2508f", "#8cd17d", "#357f7b", "#c79100", "#7fb6dd", "#ffab66", "#a56fc4", "#8a8d2b", "#e07fb4", "#b5651d"];
const grey = "#8d949c";
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
let by = 0, entries = []; // legend entries: {title, size, colour, shown}; entryOf maps a category to its entry
let entryOf = [];

const chooseColouring = (index) => {
  by = index;
  const c = colourings[by];
  entries = [];
  entryOf = new Uint16Array(c.titles.length);
  let colour = 0;
  const unknown = (title) => title === "not known" || title === "no folder";
  let others = null; // what there is no colour left for
  c.titles.forEach((title, i) => {
    if (unknown(title) || colour < palette.length) {
      entryOf[i] = entries.length;
      entries.push({ title, size: c.sizes[i], colour: unknown(title) ? grey : palette[colour++], shown: true });
    } else {
      if (!others) {
        others = { title: "", size: 0, colour: grey, shown: true, count: 0, at: entries.length };
        entries.push(others);
      }
      others.size += c.sizes[i];
      others.title = `${++others.count} others`;
      entryOf[i] = others.at;
    }
  });
  showLegend();
  paint();
};
const entry = (i) => entries[entryOf[colourings[by].number[i]]];
const shown = (i) => entry(i).shown;

// ---- view: a point p of the map (0 to 1 both ways) is at (p - centre) * scale + middle of the stage ----

const stage = $("stage"), marks = $("marks");
const view = { x: 0.5, y: 0.5, scale: 1 };
let width = 1, height = 1, ratio = 1, whole = 1;
const px = (i) => position[2 * i] / 65535, py = (i) => 1 - position[2 * i + 1] / 65535;
const screenX = (i) => (px(i) - view.x) * view.scale + width / 2;
const screenY = (i) => (py(i) - view.y) * view.scale + height / 2;
const radius = () => {
  const base = Math.min(3.2, Math.max(1.1, 60 / Math.sqrt(n)));
  return Math.min(9, base * Math.pow(view.scale / whole, 0.45));
};
const clampView = () => {
  view.scale = Math.min(whole * 4000, Math.max(whole * 0.5, view.scale));
  view.x = Math.min(1.1, Math.max(-0.1, view.x));
  view.y = Math.min(1.1, Math.max(-0.1, view.y));
};

// ---- painters: each has paint(), which takes colours, and draw(), which takes the view ----

// Points in an order without system, so that no folder lies on top of all others.
const order = (() => {
  const out = new Uint32Array(n);
  let step = Math.max(1, Math.floor(n * 0.6180339887));
  const gcd = (a, b) => (b ? gcd(b, a % b) : a);
  while (gcd(step, n) !== 1) step++;
  for (let i = 0, at = 0; i < n; i++, at = (at + step) % n) out[i] = at;
  return out;
})();

const glPainter = (canvas) => {
  // Where WebGL itself is software, drawing by hand is quicker.
  const gl = canvas.getContext("webgl", { antialias: false, failIfMajorPerformanceCaveat: location.hash !== "#webgl" });
  if (!gl) return null;
  const shader = (type, source) => {
    const s = gl.createShader(type);
    gl.shaderSource(s, source);
    gl.compileShader(s);
    return s;
  };
  const program = gl.createProgram();
  gl.attachShader(program, shader(gl.VERTEX_SHADER, `
    attribute vec2 place; attribute vec4 colour; uniform vec2 middle, size; uniform float scale; uniform mediump float diameter;
    varying vec4 paint;
    void main() {
      vec2 p = (vec2(place.x, 1.0 - place.y) - middle) * scale / size * 2.0;
      gl_Position = colour.a > 0.0 ? vec4(p.x, -p.y, 0, 1) : vec4(2, 2, 2, 1);
      gl_PointSize = diameter + 1.0;
      paint = colour;
    }`));
  gl.attachShader(program, shader(gl.FRAGMENT_SHADER, `
    precision mediump float; varying vec4 paint; uniform mediump float diameter;
    void main() {
      float edge = (diameter - length(gl_PointCoord - 0.5) * 2.0 * (diameter + 1.0)) * 0.5 + 0.5;
      float a = clamp(edge, 0.0, 1.0) * paint.a;
      if (a <= 0.0) discard;
      gl_FragColor = vec4(paint.rgb * a, a);
    }`));
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const uniform = (name) => gl.getUniformLocation(program, name);
  const middle = uniform("middle"), size = uniform("size"), scale = uniform("scale"), diameter = uniform("diameter");
  const places = new Uint16Array(2 * n);
  order.forEach((i, at) => {
    places[2 * at] = position[2 * i];
    places[2 * at + 1] = position[2 * i + 1];
  });
  const attribute = (name, buffer, count, type) => {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    const at = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, count, type, true, 0, 0);
  };
  const placed = gl.createBuffer(), coloured = gl.createBuffer();
  attribute("place", placed, 2, gl.UNSIGNED_SHORT);
  gl.bufferData(gl.ARRAY_BUFFER, places, gl.STATIC_DRAW);
  attribute("colour", coloured, 4, gl.UNSIGNED_BYTE);
  return {
    kind: "webgl",
    paint(colours) {
      gl.bindBuffer(gl.ARRAY_BUFFER, coloured);
      gl.bufferData(gl.ARRAY_BUFFER, colours, gl.DYNAMIC_DRAW);
    },
    draw() {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.clearColor(0, 0, 0, 0);
      gl.clear(gl.COLOR_BUFFER_BIT);
      gl.uniform2f(middle, view.x, view.y);
      gl.uniform2f(size, width, height);
      gl.uniform1f(scale, view.scale);
      gl.uniform1f(diameter, 2 * radius() * ratio);
      gl.drawArrays(gl.POINTS, 0, n);
    },
  };
};

// Without WebGL: discs row by row, straight into the picture's memory.
const canvasPainter = (canvas) => {
  const context = canvas.getContext("2d");
  let colours = new Uint8Array(4 * n), image = null, pixels = null;
  return {
    kind: "canvas",
    paint(c) {
      colours = c;
    },
    draw() {
      const w = canvas.width, h = canvas.height, side = Math.max(1, Math.round(1.8 * radius() * ratio));
      if (!image || image.width !== w || image.height !== h) {
        image = context.createImageData(w, h);
        pixels = new Uint32Array(image.data.buffer);
      }
      pixels.fill(0);
      const s = (view.scale * ratio) / 65535, left = w / 2 - view.x * view.scale * ratio - side / 2;
      const top = h / 2 + (1 - view.y) * view.scale * ratio - side / 2;
      const packed = new Uint32Array(colours.buffer, colours.byteOffset, n);
      const inset = Array.from({ length: side }, (_, row) => {
        const y = (2 * row + 1 - side) / side;
        return side < 3 ? 0 : Math.round((side * (1 - Math.sqrt(1 - y * y))) / 2);
      });
      for (let at = 0; at < n; at++) {
        const i = order[at], x = Math.round(left + position[2 * i] * s), y = Math.round(top - position[2 * i + 1] * s);
        if (colours[4 * at + 3] === 0 || x < 0 || y < 0 || x + side > w || y + side > h) continue;
        for (let row = 0, from = y * w + x; row < side; row++, from += w) {
          pixels.fill(packed[at], from + inset[row], from + side - inset[row]);
        }
      }
      context.putImageData(image, 0, 0);
    },
  };
};

let painter = null;
const startPainter = () => {
  const old = $("points"), canvas = old.cloneNode(false);
  old.replaceWith(canvas);
  painter = location.hash === "#canvas" ? null : glPainter(canvas);
  if (painter) {
    canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      painter = null;
    });
    canvas.addEventListener("webglcontextrestored", startPainter);
  } else {
    painter = canvasPainter(canvas.isConnected ? freshCanvas(canvas) : canvas);
  }
  resize();
  paint();
};
const freshCanvas = (canvas) => { // one that was asked for WebGL gives no other context
  const fresh = canvas.cloneNode(false);
  canvas.replaceWith(fresh);
  return fresh;
};

const paint = () => {
  if (!painter || !entries.length) return;
  const colours = new Uint8Array(4 * n), values = entries.map((e) => [...rgb(e.colour), e.shown ? 1 : 0]);
  const alpha = n > 20000 ? 200 : 235, number = colourings[by].number;
  for (let at = 0; at < n; at++) {
    const [r, g, b, visible] = values[entryOf[number[order[at]]]];
    colours[4 * at] = r;
    colours[4 * at + 1] = g;
    colours[4 * at + 2] = b;
    colours[4 * at + 3] = visible ? alpha : 0;
  }
  painter.paint(colours);
  redraw();
};

// ---- what lies above the points: the track picked, its neighbours, what the pointer is over ----

let picked = -1, over = -1, playing = -1;
const drawMarks = () => {
  const c = marks.getContext("2d"), style = getComputedStyle(document.documentElement);
  const text = style.getPropertyValue("--text"), ground = style.getPropertyValue("--ground");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  c.clearRect(0, 0, width, height);
  const ring = (i, r, lineWidth) => {
    c.beginPath();
    c.arc(screenX(i), screenY(i), r, 0, 2 * Math.PI);
    c.fillStyle = entry(i).colour;
    c.fill();
    c.lineWidth = lineWidth + 2;
    c.strokeStyle = ground;
    c.stroke();
    c.lineWidth = lineWidth;
    c.strokeStyle = text;
    c.stroke();
  };
  const r = radius();
  if (picked >= 0) {
    c.lineWidth = 1.2;
    c.strokeStyle = text;
    c.globalAlpha = 0.55;
    for (let k = 0; k < K; k++) {
      c.beginPath();
      c.moveTo(screenX(picked), screenY(picked));
      c.lineTo(screenX(neighbour(picked, k)), screenY(neighbour(picked, k)));
      c.stroke();
    }
    c.globalAlpha = 1;
    for (let k = 0; k < K; k++) ring(neighbour(picked, k), Math.max(4, r + 1), 1.2);
    ring(picked, Math.max(6, r + 3), 2);
  }
  if (playing >= 0) ring(playing, Math.max(7, r + 4), 2.5);
  if (over >= 0 && over !== picked) ring(over, Math.max(5, r + 2), 1.5);
};

let waiting = false;
const redraw = () => {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (painter) painter.draw();
    drawMarks();
  });
};

const resize = () => {
  const box = stage.getBoundingClientRect(), relative = view.scale / whole;
  width = Math.max(1, box.width);
  height = Math.max(1, box.height);
  ratio = Math.min(3, window.devicePixelRatio || 1);
  for (const canvas of [$("points"), marks]) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  whole = Math.max(50, Math.min(width, height) - 40);
  view.scale = whole * relative;
  redraw();
};

// ---- finding points: a grid of cells ----

const CELLS = 256;
const cellStart = new Uint32Array(CELLS * CELLS + 1), cellItems = new Uint32Array(n);
{
  const cellOf = (i) => (position[2 * i + 1] >> 8) * CELLS + (position[2 * i] >> 8);
  for (let i = 0; i < n; i++) cellStart[cellOf(i) + 1]++;
  for (let c = 0; c < CELLS * CELLS; c++) cellStart[c + 1] += cellStart[c];
  const next = cellStart.slice();
  for (let i = 0; i < n; i++) cellItems[next[cellOf(i)]++] = i;
}
const pointAt = (x, y, reach) => {
  const mx = (x - width / 2) / view.scale + view.x, my = 1 - ((y - height / 2) / view.scale + view.y);
  const cell = (v) => Math.min(CELLS - 1, Math.max(0, Math.floor((v * 65535) / 256))), far = reach / view.scale;
  let best = -1, least = reach * reach;
  for (let cy = cell(my - far); cy <= cell(my + far); cy++) {
    for (let at = cellStart[cy * CELLS + cell(mx - far)], end = cellStart[cy * CELLS + cell(mx + far) + 1]; at < end; at++) {
      const i = cellItems[at], dx = screenX(i) - x, dy = screenY(i) - y, d = dx * dx + dy * dy;
      if (d < least && shown(i)) {
        least = d;
        best = i;
      }
    }
  }
  return best;
};

// ---- moving ----

let flight = 0;
const fly = (x, y, scale) => {
  const from = { ...view }, start = performance.now(), id = ++flight, time = still ? 0 : 350;
  const step = (now) => {
    if (id !== flight) return;
    const t = time ? Math.min(1, (now - start) / time) : 1, e = t * t * (3 - 2 * t);
    view.x = from.x + (x - from.x) * e;
    view.y = from.y + (y - from.y) * e;
    view.scale = from.scale * Math.pow(scale / from.scale, e);
    clampView();
    redraw();
    if (t < 1) requestAnimationFrame(step);
  };
  step(start);
};
const zoomAt = (x, y, factor) => {
  flight++;
  const mx = (x - width / 2) / view.scale + view.x, my = (y - height / 2) / view.scale + view.y;
  view.scale *= factor;
  clampView();
  view.x = mx - (x - width / 2) / view.scale;
  view.y = my - (y - height / 2) / view.scale;
  clampView();
  redraw();
};
const pan = (dx, dy) => {
  flight++;
  view.x -= dx / view.scale;
  view.y -= dy / view.scale;
  clampView();
  redraw();
};
const showWhole = () => fly(0.5, 0.5, whole);

const pointers = new Map();
let travelled = 0;
const inStage = (event) => {
  const box = marks.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
marks.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  marks.setPointerCapture(event.pointerId);
  if (!pointers.size) travelled = 0;
  pointers.set(event.pointerId, inStage(event));
});
marks.addEventListener("pointermove", (event) => {
  const now = inStage(event), before = pointers.get(event.pointerId);
  if (!before) {
    hover(now);
    return;
  }
  const others = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
  travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
  if (others.length) { // two fingers
    const [other] = others, distance = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
    pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
    zoomAt((now[0] + other[0]) / 2, (now[1] + other[1]) / 2, distance(now) / distance(before));
  } else if (travelled > 4) {
    marks.classList.add("moving");
    hover(null);
    pan(now[0] - before[0], now[1] - before[1]);
  }
  pointers.set(event.pointerId, now);
});
const letGo = (event) => {
  if (!pointers.delete(event.pointerId)) return;
  marks.classList.remove("moving");
  if (event.type === "pointerup" && !pointers.size && travelled <= 4) {
    const at = inStage(event), i = pointAt(at[0], at[1], reachOf(event));
    if (i >= 0) pick(i, true);
  }
};
const reachOf = (event) => radius() + (event.pointerType === "touch" ? 18 : 7);
marks.addEventListener("pointerup", letGo);
marks.addEventListener("pointercancel", letGo);
marks.addEventListener("pointerleave", () => hover(null));
marks.addEventListener("wheel", (event) => {
  event.preventDefault();
  const at = inStage(event), lines = event.deltaMode === 1 ? 33 : 1;
  zoomAt(at[0], at[1], Math.exp(-Math.max(-200, Math.min(200, event.deltaY * lines)) * 0.0022));
}, { passive: false });
marks.addEventListener("dblclick", (event) => {
  if (pointAt(...inStage(event), reachOf(event)) < 0) zoomAt(...inStage(event), 2);
});

const tip = $("tip");
const hover = (at) => {
  const i = at ? pointAt(at[0], at[1], radius() + 7) : -1;
  if (i !== over) {
    over = i;
    marks.classList.toggle("over", i >= 0);
    redraw();
  }
  tip.hidden = i < 0;
  if (i < 0) return;
  putName(tip, i, titleOf(by, i));
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(at[0] + 14, width - box.width - 4))}px`;
  tip.style.top = `${at[1] + 18 + box.height > height ? Math.max(4, at[1] - box.height - 10) : at[1] + 18}px`;
};
const titleOf = (index, i) => colourings[index].titles[colourings[index].number[i]];

marks.addEventListener("keydown", (event) => {
  const step = 60;
  const keys = {
    ArrowLeft: () => pan(step, 0), ArrowRight: () => pan(-step, 0), ArrowUp: () => pan(0, step),
    ArrowDown: () => pan(0, -step), "+": () => zoomAt(width / 2, height / 2, 1.4),
    "=": () => zoomAt(width / 2, height / 2, 1.4), "-": () => zoomAt(width / 2, height / 2, 1 / 1.4),
    0: showWhole, Enter: () => {
      const i = pointAt(width / 2, height / 2, Math.max(width, height));
      if (i >= 0) pick(i, true);
    },
  };
  if (keys[event.key] && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    keys[event.key]();
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && picked >= 0 && document.activeElement !== $("search")) letPickedGo();
});
$("in").addEventListener("click", () => fly(view.x, view.y, view.scale * 1.8));
$("out").addEventListener("click", () => fly(view.x, view.y, view.scale / 1.8));
$("whole").addEventListener("click", showWhole);

// ---- sound ----

const audio = $("audio");
let sources = [];
const encode = (raw) => {
  let out = "";
  for (const b of raw) {
    const c = String.fromCharCode(b);
    out += /[A-Za-z0-9\/._~-]/.test(c) ? c : `%${b.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
};
const play = (i, now) => {
  const raw = rawName(i), path = encode(raw), absolute = raw[0] === 47;
  sources = absolute ? [`file://${path}`] : [about.relative, about.file].filter((base) => base).map((base) => base + path);
  playing = i;
  $("note").textContent = "";
  nextSource(now);
  for (const item of $("neighbours").children) item.classList.toggle("playing", Number(item.dataset.track) === i);
  redraw();
};
const nextSource = (now) => {
  const source = sources.shift();
  if (!source) {
    silence();
    $("note").textContent = `This page cannot reach ${fileOf(playing)}.`;
    playing = -1;
    redraw();
    return;
  }
  audio.src = source;
  audio.dataset.now = now ? "1" : "";
  if (now) audio.play().catch(() => {}); // what cannot be loaded is an error event, too
};
const silence = () => {
  audio.pause();
  audio.removeAttribute("src");
  for (const item of $("neighbours").children) item.classList.remove("playing");
};
audio.addEventListener("error", () => {
  if (audio.getAttribute("src")) nextSource(audio.dataset.now === "1");
});
audio.addEventListener("ended", () => {
  if (!$("follow").checked || picked < 0) return;
  const list = [picked, ...Array.from({ length: K }, (_, k) => neighbour(picked, k))];
  const next = list[list.indexOf(playing) + 1];
  if (next !== undefined) play(next, true);
});

// ---- the track picked ----

const pick = (i, sound) => {
  picked = i;
  $("detail").hidden = false;
  putName($("name"), i);
  $("labels").textContent = colourings.map((c, index) => [c.name, titleOf(index, i)])
    .map(([name, title]) => (title.split(" ").includes(name) ? title : `${name}: ${title}`))
    .filter((text) => !text.endsWith("not known")).join(" \u00b7 ");
  const list = $("neighbours");
  list.textContent = "";
  for (let k = 0; k < K; k++) {
    const other = neighbour(i, k), item = document.createElement("li");
    const playIt = document.createElement("button"), to = document.createElement("button");
    const near = document.createElement("span");
    item.dataset.track = other;
    playIt.type = to.type = "button";
    playIt.className = "play";
    playIt.textContent = "\u25b6";
    playIt.setAttribute("aria-label", `Play ${fileOf(other)}`);
    playIt.addEventListener("click", () => play(other, true));
    to.className = "to";
    putName(to, other);
    to.addEventListener("click", () => {
      pick(other, true);
      $("neighbours").querySelector(".to")?.focus();
    });
    near.className = "cosine";
    near.textContent = ((cosine[i * K + k] / 65535) * 2 - 1).toFixed(3);
    near.title = "cosine";
    item.append(playIt, to, near);
    list.append(item);
  }
  $("near").textContent = K ? `${K} nearest tracks` : "No other track";
  $("said").textContent = `${fileOf(i)}. ${K} nearest tracks listed.`;
  play(i, sound && $("follow").checked);
  hover(null);
  requestAnimationFrame(() => { // the panel has taken its room from the map
    resize();
    reveal(i);
  });
};
const reveal = (i) => { // moves the map only where the point would not be seen
  const x = screenX(i), y = screenY(i), edge = 40;
  if (x < edge || y < edge || x > width - edge || y > height - edge) fly(px(i), py(i), view.scale);
};
const letPickedGo = () => {
  picked = playing = -1;
  silence();
  $("detail").hidden = true;
  requestAnimationFrame(resize);
  marks.focus({ preventScroll: true });
};
$("close").addEventListener("click", letPickedGo);

// ---- search ----

const search = $("search"), found = $("found");
let lower = null, hits = [], active = -1;
const MOST = 30;
const find = (text) => {
  lower ||= names.map((name) => name.toLowerCase());
  const words = text.toLowerCase().split(/\s+/).filter((word) => word);
  hits = [];
  let count = 0;
  for (let i = 0; i < n && words.length; i++) {
    if (words.every((word) => lower[i].includes(word))) {
      count++;
      if (hits.length < MOST) hits.push(i);
    }
  }
  return count;
};
const choose = (index) => {
  active = index;
  [...found.querySelectorAll("[role=option]")].forEach((item, i) => {
    item.setAttribute("aria-selected", String(i === active));
    if (i === active) item.scrollIntoView({ block: "nearest" });
  });
  if (active >= 0) search.setAttribute("aria-activedescendant", `hit${active}`);
  else search.removeAttribute("aria-activedescendant");
};
const closeFound = () => {
  found.hidden = true;
  search.setAttribute("aria-expanded", "false");
  choose(-1);
};
const showFound = () => {
  const count = find(search.value);
  found.textContent = "";
  hits.forEach((i, index) => {
    const item = document.createElement("li");
    item.id = `hit${index}`;
    item.setAttribute("role", "option");
    putName(item, i);
    item.addEventListener("pointerdown", (event) => event.preventDefault());
    item.addEventListener("click", () => jump(i));
    found.append(item);
  });
  if (count > hits.length || (!count && search.value.trim())) {
    const more = document.createElement("li");
    more.className = "more";
    more.textContent = count ? `and ${(count - hits.length).toLocaleString("en")} more` : "no track";
    found.append(more);
  }
  found.hidden = !found.children.length;
  search.setAttribute("aria-expanded", String(!found.hidden));
  $("said").textContent = search.value.trim() ? `${count} tracks found` : "";
  choose(-1);
};
// The scale at which a track in the middle is seen together with most of its neighbours.
const scaleAround = (i) => {
  const fits = Array.from({ length: K }, (_, k) => neighbour(i, k)).map((other) => Math.min(
    (width / 2 - 30) / Math.abs(px(other) - px(i)), (height / 2 - 30) / Math.abs(py(other) - py(i)))).sort((a, b) => a - b);
  return Math.max(whole, Math.min(fits[Math.floor(K * 0.3)] ?? Infinity, Math.max(view.scale, whole * 6)));
};
const jump = (i) => {
  closeFound();
  pick(i, false);
  entry(i).shown = true;
  showLegend();
  paint();
  requestAnimationFrame(() => requestAnimationFrame(() => fly(px(i), py(i), scaleAround(i))));
};
search.addEventListener("input", showFound);
search.addEventListener("blur", closeFound);
search.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" && hits.length) choose((active + 1) % hits.length);
  else if (event.key === "ArrowUp" && hits.length) choose((active + hits.length - 1) % hits.length);
  else if (event.key === "Enter" && hits.length && !found.hidden) jump(hits[Math.max(0, active)]);
  else if (event.key === "Escape") closeFound();
  else return;
  event.preventDefault();
});

// ---- legend ----

const showLegend = () => {
  const legend = $("legend");
  legend.textContent = "";
  for (const e of entries) {
    const item = document.createElement("li"), label = document.createElement("label");
    const box = document.createElement("input"), swatch = document.createElement("span");
    const what = document.createElement("span"), count = document.createElement("span"), only = document.createElement("button");
    box.type = "checkbox";
    box.checked = e.shown;
    box.addEventListener("change", () => {
      e.shown = box.checked;
      paint();
    });
    swatch.className = "swatch";
    swatch.style.background = e.colour;
    what.className = "what";
    what.textContent = e.title;
    count.className = "count";
    count.textContent = e.size.toLocaleString("en");
    only.type = "button";
    only.textContent = "only";
    only.setAttribute("aria-label", `Show only ${e.title}`);
    only.addEventListener("click", () => showEntries((other) => other === e));
    label.append(box, swatch, what, count);
    item.append(label, only);
    legend.append(item);
  }
};
const showEntries = (which) => {
  for (const e of entries) e.shown = which(e);
  [...$("legend").querySelectorAll("input")].forEach((box, i) => (box.checked = entries[i].shown));
  paint();
};
$("all").addEventListener("click", () => showEntries(() => true));
$("none").addEventListener("click", () => showEntries(() => false));

// ---- start ----

$("title").textContent = about.title;
$("summary").textContent = `${n.toLocaleString("en")} ${n === 1 ? "track" : "tracks"}` +
  (about.leftOut ? `, ${about.leftOut.toLocaleString("en")} without a vector left out` : "") + `. ${about.layout}.`;
marks.setAttribute("aria-label", `Map of ${n} tracks; near ones sound alike`);
colourings.forEach((c, i) => {
  const option = document.createElement("option");
  option.value = i;
  option.textContent = `${c.name} (${c.titles.length.toLocaleString("en")})`;
  $("by").append(option);
});
$("by").value = about.by;
$("by").addEventListener("change", () => chooseColouring(Number($("by").value)));

const setTheme = (dark) => {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  redraw();
};
const darkWanted = matchMedia("(prefers-color-scheme: dark)");
setTheme(darkWanted.matches);
darkWanted.addEventListener("change", () => setTheme(darkWanted.matches));
$("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme !== "dark"));

new ResizeObserver(resize).observe(stage);
startPainter();
view.scale = whole;
chooseColouring(about.by);
document.documentElement.dataset.ready = painter.kind;
