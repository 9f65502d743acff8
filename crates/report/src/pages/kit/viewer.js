// A viewer of slices: windows, zoom, magnifier, millimetres, marks; by mouse and by keyboard. Needs `dom.js`, `window.js`,
// `inflate.js` and `viewer.css`. Positions are continuous pixel edges of the series: [0, width] × [0, height].
const MARK_STYLES = {
  model: { colour: "#e69f00", dash: [] },
  second: { colour: "#cc79a7", dash: [] },
  reference: { colour: "#56b4e9", dash: [7, 5] },
  region: { colour: "#f0e442", dash: [2, 4] },
  reader: { colour: "#2fd6a5", dash: [10, 4] },
};
// Tools with their key: what dragging, and Enter on the crosshair, does.
const TOOLS = {
  window: ["v", "Window"], pan: ["p", "Pan"], measure: ["m", "Measure"], box: ["b", "Box"], point: ["t", "Point"],
};
const VIEWER_KEYS = [
  ["↑ ↓", "slices"], ["+ −", "zoom"], ["0", "fit"], ["Shift + arrows", "pan"], ["w", "next window"], ["j l", "narrower, wider"], ["i k", "brighter, darker"],
  ["g", "magnifier"], ["h", "marks"], ["m", "measure"], ["arrows, Enter", "set points of a tool"], ["Esc", "back to windowing"],
];

// `host` is an empty element. Options: `label`, `presets` (windows in Hounsfield units), `tools` (names of TOOLS offered), `marks`,
// `slice(n)` (what slice n is called), `onmark(place)` with `{ slice, box }` or `{ slice, point }` when the reader sets one, `onpick(id)` when a mark is clicked,
// `onview(viewer)` after each change of view.
class Viewer {
  constructor(host, series, options = {}) {
    this.options = { label: "Image", presets: [], tools: ["window", "pan", "measure"], ...options };
    this.presets = () => [["as given", this.given()], ...(this.series.hounsfield ? this.options.presets.map((p) => [p.name, { centre: p.centre, width: p.width, function: "linear" }]) : []), ["full range", this.full()]];
    this.linked = [];
    this.bitmap = document.createElement("canvas");
    this.canvas = el("canvas", { "aria-hidden": "true" });
    const place = (name) => el("span", { class: "viewer-words " + name });
    this.letters = { left: place("left"), right: place("right"), up: place("up"), down: place("down") };
    this.words = { slice: place("top-left"), window: place("top-right"), note: place("bottom-left"), said: place("bottom-right") };
    this.stage = el("div", { class: "viewer-stage", tabindex: "0", role: "img", "aria-label": this.options.label },
      this.canvas, ...Object.values(this.letters), ...Object.values(this.words));
    this.slider = el("input", { type: "range", class: "viewer-slider", min: "0", step: "1", "aria-label": "Slice", oninput: () => this.go(Number(this.slider.value)) });
    this.bar = el("div", { class: "viewer-bar", role: "toolbar", "aria-label": this.options.label + ": tools" });
    host.replaceChildren(el("div", { class: "viewer" }, this.bar, this.stage, this.slider));
    this.listen();
    this.show(series, this.options.marks ?? []);
    this.sized = new ResizeObserver(() => { if (this.fitted) this.fit(); else this.draw(); });
    this.sized.observe(this.stage);
  }

  // Another series in the same place.
  show(series, marks = []) {
    Object.assign(this, { series, marked: marks, at: 0, unpacked: new Map(), measures: [], visible: true, magnified: false, picked: null, hand: null, cross: null, pending: null, fitted: true, whole: 1, zoomed: 1 });
    this.tool = this.rest;
    // Height of a pixel over its width, so that circles are round.
    this.aspect = series.spacing ? series.spacing[1] / series.spacing[0] : 1;
    Object.assign(this.bitmap, { width: series.width, height: series.height });
    this.centre = [series.width / 2, series.height / 2];
    this.shown = this.given() ?? { centre: 127.5, width: 255, function: "linear_exact" };
    for (const side of Object.keys(this.letters)) this.letters[side].textContent = series.letters?.[side] ?? "";
    this.slider.max = String(series.slices.length - 1);
    this.slider.hidden = series.slices.length < 2;
    this.toolbar();
    this.go(series.first ?? 0);
    this.fit();
  }

  get slices() { return this.series.slices.length; }
  given() { return this.series.window; }
  full() { const [low, high] = this.series.range; return { centre: (low + high) / 2, width: Math.max(high - low, Number.MIN_VALUE), function: "linear_exact" }; }
  get grey() { return this.series.channels === 1; }
  // What dragging does when no tool is chosen.
  get rest() { return this.grey && this.series.window ? "window" : "pan"; }

  toolbar() {
    const press = (name, key, on, act) => el("button", { type: "button", "aria-pressed": String(on), title: `${name} (${key})`, onclick: () => { act(); this.stage.focus(); } }, name);
    const windows = !this.grey || !this.series.window ? null : el("select", { "aria-label": "Window", onchange: (e) => { this.window(this.presets()[e.target.value][1]); this.stage.focus(); } },
      ...this.presets().map(([name], n) => el("option", { value: n }, name.replaceAll("-", " "))), el("option", { value: "", disabled: true, hidden: true }, "own window"));
    this.choice = windows;
    this.bar.replaceChildren(...[windows,
      ...this.options.tools.filter((t) => t !== "window" || windows).map((t) => press(TOOLS[t][1], TOOLS[t][0], this.tool === t, () => this.use(t))),
      press("Magnifier", "g", this.magnified, () => this.magnify()),
      this.marked.length ? press("Marks", "h", this.visible, () => this.reveal(!this.visible)) : null,
      el("button", { type: "button", title: "Fit (0)", onclick: () => { this.fit(); this.stage.focus(); } }, "Fit")].filter(Boolean));
  }

  // Numbers of the slice at hand; the last ones stay unpacked.
  numbers() {
    let numbers = this.unpacked.get(this.at);
    if (!numbers) {
      numbers = unpacked(this.series, this.at);
      this.unpacked.set(this.at, numbers);
      if (this.unpacked.size > 24) this.unpacked.delete(this.unpacked.keys().next().value);
    }
    return numbers;
  }

  // The value under a position, in the series' units; nothing outside or in colour.
  value([x, y]) {
    const { width, height, offset, scale } = this.series;
    const [column, row] = [Math.floor(x), Math.floor(y)];
    if (!this.grey || column < 0 || row < 0 || column >= width || row >= height) return null;
    return offset + scale * this.numbers()[row * width + column];
  }

  paint() {
    const { width, height, offset, scale, inverted, bytes, channels } = this.series;
    const numbers = this.numbers(), size = width * height;
    const context = this.bitmap.getContext("2d");
    const image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
    if (channels === 3) for (let i = 0; i < size; i++) pixels[i] = 0xff000000 | numbers[i + 2 * size] << 16 | numbers[i + size] << 8 | numbers[i];
    else {
      const levels = new Uint32Array(bytes === 2 ? 65536 : 256), { centre, width: span, function: f } = this.shown;
      const most = Math.min(levels.length - 1, Math.ceil((this.series.range[1] - offset) / scale));
      for (let n = 0; n <= most; n++) {
        let level = nearest(255 * share(f, offset + scale * n, centre, span));
        if (inverted) level = 255 - level;
        levels[n] = 0xff000000 | level << 16 | level << 8 | level;
      }
      for (let i = 0; i < size; i++) pixels[i] = levels[numbers[i]];
    }
    context.putImageData(image, 0, 0);
    this.draw();
  }

  // `led` says that a linked viewer moves this one.
  go(n, led = false) {
    const to = Math.max(0, Math.min(this.slices - 1, Math.round(n)));
    const moved = to - this.at;
    if (!led) this.due = undefined;
    this.at = to;
    this.slider.value = String(to);
    this.paint();
    if (moved && !led) for (const other of this.linked) other.follow(moved * (this.series.step_mm && other.series.step_mm ? this.series.step_mm / other.series.step_mm : 1));
  }

  // Fractions are kept, so that series with other distances between slices stay together.
  follow(slices) {
    this.due = (this.due ?? this.at) + slices;
    this.go(this.due, true);
  }

  // Viewers that scroll, zoom and pan together.
  static link(viewers) { for (const viewer of viewers) viewer.linked = viewers.filter((other) => other !== viewer); }

  window(window, spread = true) {
    if (!this.grey || !this.series.window) return;
    const least = window.function === "linear" ? 1 : Number.MIN_VALUE;
    this.shown = { ...window, width: Math.max(window.width, least) };
    this.paint();
    if (spread) for (const other of this.linked) if (other.series.hounsfield === this.series.hounsfield) other.window(window, false);
  }

  // Screen pixels that a column takes, and where it is.
  fit() {
    const { width, height } = this.stage.getBoundingClientRect();
    this.whole = Math.max(1e-3, Math.min(width / this.series.width, height / (this.series.height * this.aspect)));
    this.zoomed = this.whole;
    this.centre = [this.series.width / 2, this.series.height / 2];
    this.fitted = true;
    this.draw();
    this.spread();
  }

  zoom(factor, about = this.centre) {
    const before = this.zoomed;
    this.zoomed = Math.max(this.whole / 4, Math.min(40, before * factor));
    const share = 1 - before / this.zoomed;
    this.centre = [0, 1].map((n) => this.centre[n] + (about[n] - this.centre[n]) * share);
    this.fitted = false;
    this.draw();
    this.spread();
  }

  pan(x, y) {
    this.centre = [this.centre[0] + x / this.zoomed, this.centre[1] + y / (this.zoomed * this.aspect)];
    this.fitted = false;
    this.draw();
    this.spread();
  }

  // A region as large as it goes, with a rim.
  focus([x0, y0, x1, y1], rim = 0.15) {
    const { width, height } = this.stage.getBoundingClientRect();
    const [w, h] = [Math.max(1, x1 - x0) * (1 + 2 * rim), Math.max(1, y1 - y0) * (1 + 2 * rim) * this.aspect];
    this.zoomed = Math.max(this.whole / 4, Math.min(40, width / w, height / h));
    this.centre = [(x0 + x1) / 2, (y0 + y1) / 2];
    this.fitted = false;
    this.draw();
  }

  spread() {
    for (const other of this.linked) {
      other.zoomed = other.whole * this.zoomed / this.whole;
      other.centre = [this.centre[0] / this.series.width * other.series.width, this.centre[1] / this.series.height * other.series.height];
      other.fitted = this.fitted;
      other.draw();
    }
  }

  toScreen([x, y]) {
    const { width, height } = this.size ?? this.stage.getBoundingClientRect();
    return [width / 2 + (x - this.centre[0]) * this.zoomed, height / 2 + (y - this.centre[1]) * this.zoomed * this.aspect];
  }
  toImage([x, y]) {
    const { width, height } = this.stage.getBoundingClientRect();
    return [this.centre[0] + (x - width / 2) / this.zoomed, this.centre[1] + (y - height / 2) / (this.zoomed * this.aspect)];
  }
  within([x, y]) { return [Math.max(0, Math.min(this.series.width, x)), Math.max(0, Math.min(this.series.height, y))]; }

  // Millimetres between two positions where pixels have a size, else pixels.
  length([x0, y0], [x1, y1]) {
    const [w, h] = this.series.spacing ?? [1, 1];
    const length = Math.hypot((x1 - x0) * w, (y1 - y0) * h);
    return this.series.spacing ? `${length.toFixed(1)} mm${this.series.spacing_note ? " *" : ""}` : `${length.toFixed(1)} px`;
  }

  use(tool) {
    this.tool = tool === "window" || !this.options.tools.includes(tool) ? this.rest : tool;
    [this.pending, this.hand] = [null, null];
    const aimed = ["measure", "box", "point"].includes(this.tool);
    this.cross = aimed ? [...this.within(this.centre)] : null;
    this.stage.dataset.tool = this.tool;
    this.toolbar();
    this.draw();
  }
  magnify(on = !this.magnified) { this.magnified = on; if (on && !this.pointer) this.pointer = this.toScreen(this.centre); this.toolbar(); this.draw(); }
  reveal(on) { this.visible = on; this.toolbar(); this.draw(); }
  mark(marks) { this.marked = marks; this.toolbar(); this.draw(); }
  pick(id) {
    this.picked = id;
    const mark = this.marked.find((m) => m.id === id);
    if (mark && (mark.slice ?? 0) !== this.at) this.go(mark.slice ?? 0); else this.draw();
  }

  draw() {
    const box = this.stage.getBoundingClientRect();
    if (!box.width || !box.height) return;
    this.size = box;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, box.width, box.height);
    this.image(context, this.zoomed, this.toScreen([0, 0]));
    if (this.visible) for (const mark of this.marked) if ((mark.slice ?? 0) === this.at) this.outline(context, mark);
    for (const { slice, from, to } of this.measures) if (slice === this.at) this.ruler(context, from, to);
    if (this.pending) this.unfinished(context);
    if (this.cross) this.crosshair(context);
    this.scale(context, box);
    if (this.magnified && this.pointer) this.glass(context, ratio);
    this.say();
    this.options.onview?.(this);
  }

  image(context, zoom, [x, y]) {
    context.imageSmoothingEnabled = zoom < 6;
    context.imageSmoothingQuality = "high";
    context.drawImage(this.bitmap, x, y, this.series.width * zoom, this.series.height * zoom * this.aspect);
  }

  // A line with a dark halo, visible on black and on white.
  stroke(context, path, colour, dash = [], width = 2) {
    context.lineJoin = "round";
    context.setLineDash([]);
    context.strokeStyle = "rgba(0,0,0,.65)"; context.lineWidth = width + 2; context.stroke(path);
    context.setLineDash(dash);
    context.strokeStyle = colour; context.lineWidth = width; context.stroke(path);
    context.setLineDash([]);
  }
  tag(context, text, [x, y], colour) {
    context.font = "600 13px system-ui, sans-serif";
    context.lineWidth = 3; context.strokeStyle = "rgba(0,0,0,.75)"; context.fillStyle = colour;
    context.lineJoin = "round";
    context.strokeText(text, x, y); context.fillText(text, x, y);
  }

  outline(context, mark) {
    const { colour, dash } = MARK_STYLES[mark.kind] ?? MARK_STYLES.model;
    const path = new Path2D();
    const width = mark.id !== undefined && mark.id === this.picked ? 4 : 2;
    context.globalAlpha = mark.faint ? .4 : 1;
    let at;
    if (mark.box) {
      const [[x0, y0], [x1, y1]] = [this.toScreen(mark.box.slice(0, 2)), this.toScreen(mark.box.slice(2))];
      path.rect(x0, y0, x1 - x0, y1 - y0);
      at = [x0, y0 > 18 ? y0 - 5 : y1 + 15];
    } else if (mark.point) {
      const [x, y] = this.toScreen(mark.point);
      path.arc(x, y, 7, 0, 2 * Math.PI);
      path.moveTo(x - 11, y); path.lineTo(x - 3, y); path.moveTo(x + 3, y); path.lineTo(x + 11, y);
      at = [x + 12, y - 8];
    } else {
      at = [Infinity, Infinity];
      for (const line of mark.outlines ?? []) {
        line.forEach((p, n) => { const s = this.toScreen(p); if (s[1] < at[1]) at = s; if (n) path.lineTo(...s); else path.moveTo(...s); });
        path.closePath();
      }
      context.fillStyle = colour;
      context.globalAlpha *= .22; context.fill(path, "evenodd"); context.globalAlpha = mark.faint ? .4 : 1;
      at = [at[0], at[1] - 5];
    }
    this.stroke(context, path, colour, dash, width);
    if (mark.label && Number.isFinite(at[0])) this.tag(context, mark.label, at, colour);
    context.globalAlpha = 1;
  }

  ruler(context, from, to) {
    const [a, b] = [this.toScreen(from), this.toScreen(to)];
    const path = new Path2D();
    path.moveTo(...a); path.lineTo(...b);
    const [dx, dy] = [b[0] - a[0], b[1] - a[1]], far = Math.hypot(dx, dy) || 1;
    for (const [x, y] of [a, b]) { path.moveTo(x - dy / far * 6, y + dx / far * 6); path.lineTo(x + dy / far * 6, y - dx / far * 6); }
    this.stroke(context, path, "#f7f3e3", [], 1.5);
    this.tag(context, this.length(from, to), [Math.max(a[0], b[0]) + 8, (a[1] + b[1]) / 2], "#f7f3e3");
  }

  unfinished(context) {
    const [from, to] = [this.pending, this.aim ?? this.cross ?? this.pending];
    if (this.tool === "measure") this.ruler(context, from, to);
    else this.outline(context, { kind: "reader", box: [Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.max(from[0], to[0]), Math.max(from[1], to[1])] });
  }

  crosshair(context) {
    const [x, y] = this.toScreen(this.cross);
    const path = new Path2D();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { path.moveTo(x + 4 * dx, y + 4 * dy); path.lineTo(x + 14 * dx, y + 14 * dy); }
    this.stroke(context, path, "#fff", [], 1.5);
  }

  // The longest bar of 1, 2 or 5 times a power of ten millimetres that takes a quarter of the width.
  scale(context, box) {
    const mm = this.series.spacing?.[0];
    if (!mm) return;
    const most = box.width / 4 / this.zoomed * mm, power = 10 ** Math.floor(Math.log10(most));
    const length = [5, 2, 1].map((n) => n * power).find((n) => n <= most) ?? power;
    const long = length / mm * this.zoomed, [x, y] = [box.width / 2 - long / 2, box.height - 14];
    const path = new Path2D();
    path.moveTo(x, y - 5); path.lineTo(x, y); path.lineTo(x + long, y); path.lineTo(x + long, y - 5);
    this.stroke(context, path, "#dfe6ee", [], 1.5);
    context.textAlign = "center";
    this.tag(context, `${Number(length.toPrecision(1))} mm${this.series.spacing_note ? " *" : ""}`, [box.width / 2, y - 8], "#dfe6ee");
    context.textAlign = "start";
  }

  // A round magnifier at three times the zoom.
  glass(context) {
    const [x, y] = this.pointer, radius = 90, zoom = this.zoomed * 3;
    const [px, py] = this.toImage(this.pointer);
    context.save();
    context.beginPath(); context.arc(x, y, radius, 0, 2 * Math.PI); context.clip();
    context.fillStyle = "#000"; context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
    this.image(context, zoom, [x - px * zoom, y - py * zoom * this.aspect]);
    context.restore();
    const ring = new Path2D();
    ring.arc(x, y, radius, 0, 2 * Math.PI);
    this.stroke(context, ring, "#cfd8e3", [], 1.5);
  }

  say() {
    const short = (v) => Math.abs(v) >= 10 || v === 0 ? v.toFixed(0) : v.toPrecision(3);
    const { series, shown } = this;
    const slice = this.options.slice?.(this.at) ?? `${this.at + 1} / ${this.slices}`;
    this.words.slice.textContent = this.slices > 1 ? slice : "";
    this.slider.setAttribute("aria-valuetext", slice);
    this.words.window.textContent = this.grey && series.window ? `C ${short(shown.centre)}  W ${short(shown.width)}` : "";
    this.words.note.textContent = series.spacing_note ? `* ${series.spacing_note}` : "";
    const over = this.over && this.value(this.over);
    this.words.said.textContent = over === null || over === undefined || !series.window ? `${Math.round(this.zoomed / this.whole * 100)} %`
      : `${short(over)}${series.hounsfield ? " HU" : ""}`;
    if (this.choice) {
      const now = this.presets().findIndex(([, w]) => w.centre === shown.centre && w.width === shown.width && w.function === shown.function);
      this.choice.selectedIndex = now < 0 ? this.choice.options.length - 1 : now;
    }
    this.stage.setAttribute("aria-label", `${this.options.label}${this.slices > 1 ? `, slice ${this.at + 1} of ${this.slices}` : ""}`);
  }

  // A second position ends a measurement or a box; a point is set at once.
  set(position, ends) {
    const place = this.within(position);
    if (this.tool === "point") { this.options.onmark?.({ slice: this.at, point: place }); return; }
    if (!ends) { this.pending = place; this.draw(); return; }
    const from = this.pending;
    [this.pending, this.aim] = [null, null];
    const [w, h] = [Math.abs(place[0] - from[0]), Math.abs(place[1] - from[1])];
    if (this.tool === "measure" && (w || h)) this.measures.push({ slice: this.at, from, to: place });
    if (this.tool === "box" && w >= 1 && h >= 1) this.options.onmark?.({ slice: this.at, box: [Math.min(from[0], place[0]), Math.min(from[1], place[1]), Math.max(from[0], place[0]), Math.max(from[1], place[1])] });
    this.draw();
  }

  // The mark under a screen position: the smallest that holds it.
  under([x, y]) {
    const near = (m) => {
      if ((m.slice ?? 0) !== this.at) return null;
      const [x0, y0, x1, y1] = m.box ?? (m.point ? [...m.point, ...m.point] : m.outlines ? [Math.min(...m.outlines.flat().map((p) => p[0])), Math.min(...m.outlines.flat().map((p) => p[1])), Math.max(...m.outlines.flat().map((p) => p[0])), Math.max(...m.outlines.flat().map((p) => p[1]))] : []);
      const [[sx0, sy0], [sx1, sy1]] = [this.toScreen([x0, y0]), this.toScreen([x1, y1])];
      return x >= sx0 - 9 && x <= sx1 + 9 && y >= sy0 - 9 && y <= sy1 + 9 ? (sx1 - sx0 + 1) * (sy1 - sy0 + 1) : null;
    };
    const found = this.marked.filter((m) => m.id !== undefined).map((m) => [near(m), m.id]).filter(([area]) => area !== null);
    return found.sort((a, b) => a[0] - b[0])[0]?.[1];
  }

  listen() {
    const stage = this.stage;
    const place = (e) => { const box = stage.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
    stage.addEventListener("contextmenu", (e) => e.preventDefault());
    stage.addEventListener("pointerdown", (e) => {
      const at = place(e);
      stage.focus();
      stage.setPointerCapture(e.pointerId);
      const tool = e.button === 1 ? "pan" : e.button === 2 ? "zoom" : this.tool;
      this.hand = { tool, from: at, last: at, shown: { ...this.shown }, moved: false };
      if (["measure", "box", "point"].includes(tool)) { this.cross = null; this.set(this.toImage(at), false); }
      e.preventDefault();
    });
    stage.addEventListener("pointermove", (e) => {
      const at = place(e), hand = this.hand;
      this.pointer = at;
      this.over = this.toImage(at);
      if (hand) {
        const [dx, dy] = [at[0] - hand.last[0], at[1] - hand.last[1]];
        hand.moved ||= Math.hypot(at[0] - hand.from[0], at[1] - hand.from[1]) > 3;
        if (hand.tool === "pan") this.pan(-dx, -dy);
        else if (hand.tool === "zoom") this.zoom(Math.exp(-dy / 150), this.toImage(hand.from));
        else if (hand.tool === "window") this.drag(hand, at);
        else { this.aim = this.within(this.over); this.draw(); }
        hand.last = at;
      } else if (this.magnified) this.draw(); else this.say();
    });
    stage.addEventListener("pointerup", (e) => {
      const hand = this.hand, at = place(e);
      this.hand = null;
      if (hand && this.pending) this.set(this.toImage(at), true);
      else if (hand && !hand.moved && (hand.tool === "window" || hand.tool === "pan")) {
        const id = this.under(at);
        if (id !== undefined) { this.pick(id); this.options.onpick?.(id); }
      }
    });
    stage.addEventListener("pointercancel", () => { this.hand = null; this.pending = null; this.draw(); });
    stage.addEventListener("pointerleave", () => { this.over = null; if (!this.hand && this.magnified) { this.pointer = null; this.draw(); } else this.say(); });
    stage.addEventListener("dblclick", () => { if (this.tool === "window" || this.tool === "pan") { if (this.given()) this.window(this.given()); this.fit(); } });
    stage.addEventListener("wheel", (e) => {
      if (e.ctrlKey || this.slices === 1) this.zoom(Math.exp(-e.deltaY / 400), this.toImage(place(e)));
      else {
        this.wheeled = (this.wheeled ?? 0) + e.deltaY;
        const steps = Math.abs(e.deltaY) >= 50 ? Math.sign(e.deltaY) : Math.trunc(this.wheeled / 25);
        if (steps) { this.wheeled = 0; this.go(this.at + steps); }
      }
      e.preventDefault();
    }, { passive: false });
  }

  // To the side for the width, up and down for the centre; as fast as the window is wide, within the range of the data.
  drag(hand, [x, y]) {
    if (!this.grey || !this.series.window) return;
    const [low, high] = this.series.range, range = Math.max(high - low, Number.MIN_VALUE);
    const step = Math.min(range, Math.max(hand.shown.width, range / 100)) / 300;
    const f = hand.shown.function === "sigmoid" ? "linear" : hand.shown.function;
    this.window({ centre: hand.shown.centre + (y - hand.from[1]) * step, width: hand.shown.width + (x - hand.from[0]) * step, function: f });
  }

  // What a key does here; false when it means nothing to the viewer.
  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey) return false;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const arrow = arrows[e.key];
    if (arrow && this.tool !== "window" && this.tool !== "pan") {
      const far = e.shiftKey ? 1 : 10;
      this.cross = this.within([0, 1].map((n) => (this.cross ?? this.centre)[n] + arrow[n] * far / this.zoomed));
      this.aim = this.pending ? this.cross : null;
      this.draw();
      return true;
    }
    if (arrow && (e.shiftKey || (this.tool === "pan" && this.slices === 1))) { this.pan(arrow[0] * 40, arrow[1] * 40); return true; }
    const range = Math.max(this.series.range[1] - this.series.range[0], Number.MIN_VALUE);
    const step = Math.max(this.shown.width, range / 100) / 20, shift = (centre, width) => this.window({ ...this.shown, centre: this.shown.centre + centre, width: this.shown.width + width, function: this.shown.function === "sigmoid" ? "linear" : this.shown.function });
    const scroll = (n) => this.go(this.at + n);
    const act = {
      ArrowUp: () => scroll(-1), ArrowDown: () => scroll(1), PageUp: () => scroll(-10), PageDown: () => scroll(10), Home: () => scroll(-this.slices), End: () => scroll(this.slices),
      "+": () => this.zoom(1.25), "=": () => this.zoom(1.25), "-": () => this.zoom(0.8), 0: () => this.fit(),
      w: () => { const all = this.presets(); if (this.choice) this.window(all[(this.choice.selectedIndex + 1) % (all.length + 1) % all.length][1]); },
      j: () => shift(0, -step), l: () => shift(0, step), i: () => shift(-step, 0), k: () => shift(step, 0),
      g: () => this.magnify(), h: () => this.reveal(!this.visible),
      Escape: () => this.use("window"),
      Delete: () => { this.measures = this.measures.filter((m) => m.slice !== this.at); this.draw(); },
    }[e.key] ?? Object.entries(TOOLS).filter(([t, [key]]) => key === e.key && this.options.tools.includes(t)).map(([t]) => () => this.use(t))[0];
    if (e.key === "Enter" && this.cross) { this.set(this.cross, this.pending !== null); return true; }
    if (!act || (e.key === "Escape" && this.tool === this.rest)) return false;
    act();
    return true;
  }

  remove() { this.sized.disconnect(); }
}
