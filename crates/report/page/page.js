"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = read("data");
  const images = read("images");
  const values = read("values");
  const ROW = 58;
  const COLOURS = { model: "#e69f00", reference: "#56b4e9", looked: "#f0e442", second: "#cc79a7" };
  const DASHES = { model: "", reference: "7 5", looked: "2 4", second: "" };
  // Centre and width in HU, as `loupe list windows` has them.
  const WINDOWS = [["lung", -600, 1500], ["soft tissue", 40, 400], ["bone", 400, 1800], ["brain", 40, 80]];
  const state = { shown: data.items.map((_, i) => i), at: 0, boxes: true, round: 0 };

  // Text is only ever set as text: replies and questions are untrusted.
  const el = (name, attributes = {}, ...children) => {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((c) => c !== null && c !== undefined));
    return node;
  };
  const svg = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text) node.textContent = text;
    return node;
  };
  const numeric = (text) => /^$|^[-+]?[\d.,]+\s*%?$|^n\/a$|^—$|^[\d.]+\s*[–-]\s*[\d.]+$/.test(text.trim());

  function head() {
    const facts = el("dl", {}, ...data.facts.flatMap((f) => [el("dt", {}, f.name), el("dd", {}, f.value)]));
    document.getElementById("head").append(
      el("h1", {}, data.title),
      el("p", { class: "lead" }, data.lead),
      data.pictures_note ? el("p", { class: "note" }, data.pictures_note) : "",
      el("details", { class: "facts" }, el("summary", {}, "What made these numbers"), facts),
    );
  }

  function summary() {
    const home = document.getElementById("summary");
    for (const table of data.tables) {
      const right = table.columns.map((_, c) => c > 0 && table.rows.every((row) => numeric(row[c] ?? "")));
      const cell = (name) => (text, c) => el(name, { class: right[c] ? "num" : null }, text);
      // Long tables open on request, so that the samples stay near the top.
      const long = table.rows.length > 8 && data.tables.length > 1;
      home.append(el(long ? "details" : "div", { class: "card" },
        el(long ? "summary" : "h2", {}, table.title),
        table.note ? el("p", { class: "note" }, table.note) : null,
        el("table", {},
          el("thead", {}, el("tr", {}, ...table.columns.map(cell("th")))),
          el("tbody", {}, ...table.rows.map((row) => el("tr", {}, ...row.map(cell("td"))))))));
    }
  }

  // What any profile of either run decided about the item.
  const decided = (item) => [...item.verdicts, ...(item.second?.verdicts ?? [])];
  const fields = () => {
    const found = { verdict: new Set(), right: new Set(), rule: new Set() };
    for (const item of data.items) {
      found.verdict.add(item.verdict);
      if (item.second) found.right.add(item.second.right);
      for (const v of decided(item)) if (v.rule) found.rule.add(v.rule);
      for (const [key, value] of Object.entries(item.tags)) (found[key] ??= new Set()).add(value);
    }
    return Object.entries(found).filter(([, values]) => values.size > 1 && values.size <= 60);
  };

  function filters() {
    const home = document.getElementById("filters");
    const search = el("input", { type: "search", placeholder: "Search question, answer, reply or id", "aria-label": "Search", oninput: apply });
    const selects = fields().map(([key, values]) => el("select", { "data-key": key, "aria-label": key, onchange: apply },
      el("option", { value: "" }, key.replaceAll("_", " ") + ": all"),
      ...[...values].sort().map((v) => el("option", { value: v }, v))));
    const toggle = el("button", { type: "button", id: "boxes", "aria-pressed": "true", onclick: flip }, "Boxes");
    home.append(search, ...selects, toggle, el("span", { class: "note", id: "count", style: "margin:0" }));
    home.addEventListener("submit", (e) => e.preventDefault());

    function apply() {
      const words = search.value.toLowerCase();
      const wanted = selects.filter((s) => s.value).map((s) => [s.dataset.key, s.value]);
      const fits = (item) => wanted.every(([key, value]) =>
        key === "verdict" ? item.verdict === value
          : key === "right" ? item.second?.right === value
            : key === "rule" ? decided(item).some((v) => v.rule === value)
              : item.tags[key] === value)
        && (!words || [item.id, item.question, item.gold, item.reply ?? "", item.second?.reply ?? ""].some((t) => t.toLowerCase().includes(words)));
      state.shown = data.items.map((_, i) => i).filter((i) => fits(data.items[i]));
      state.at = 0; state.round = 0;
      draw(true);
    }
  }

  function flip() {
    state.boxes = !state.boxes;
    document.getElementById("boxes").setAttribute("aria-pressed", String(state.boxes));
    detail();
  }

  const list = document.getElementById("list");
  const spacer = el("div", { class: "spacer" });
  function rows() {
    spacer.style.height = state.shown.length * ROW + "px";
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const last = Math.min(state.shown.length, first + Math.ceil(list.clientHeight / ROW) + 8);
    spacer.replaceChildren(...state.shown.slice(first, last).map((at, n) => {
      const item = data.items[at];
      const row = first + n;
      const badge = (verdict) => el("span", { class: "badge " + verdict }, verdict);
      return el("div", { class: "row", role: "option", style: `top:${row * ROW}px`, "aria-current": String(row === state.at), "aria-selected": String(row === state.at), onclick: () => go(row) },
        el("div", { class: "q" }, badge(item.verdict), item.second ? badge(item.second.verdict) : null, item.question),
        el("div", { class: "a" }, item.failure ?? `${item.reply ?? ""}  ·  reference: ${item.gold}`));
    }));
    document.getElementById("count").textContent = `${state.shown.length} of ${data.items.length} samples`;
  }

  // Shares of the grey range by DICOM PS3.3 C.11.2.1, then the nearest level, halves to even.
  const share = (f, v, centre, width) => f === "sigmoid" ? 1 / (1 + Math.exp(-4 * (v - centre) / width))
    : f === "linear_exact" ? Math.min(1, Math.max(0, (v - centre) / width + 0.5))
      : width <= 1 ? (v > centre - 0.5 ? 1 : 0)
        : Math.min(1, Math.max(0, (v - (centre - 0.5)) / (width - 1) + 0.5));
  const nearest = (x) => { const r = Math.round(x); return x - Math.floor(x) === 0.5 && r % 2 ? r - 1 : r; };

  // A canvas in place of the picture, and the controls that set its window.
  function windowed(source, img, frame) {
    const canvas = el("canvas", { tabindex: "0", "aria-label": img.alt });
    const own = { centre: source.centre, width: source.width, function: source.function };
    const now = { ...own };
    let numbers = null;
    const paint = () => {
      if (!numbers) return;
      const context = canvas.getContext("2d");
      const image = context.createImageData(canvas.width, canvas.height);
      const table = new Map();
      for (let i = 0; i < numbers.length; i++) {
        let level = table.get(numbers[i]);
        if (level === undefined) {
          level = nearest(255 * share(now.function, source.offset + source.scale * numbers[i], now.centre, now.width));
          if (source.inverted) level = 255 - level;
          table.set(numbers[i], level);
        }
        image.data.set([level, level, level, 255], 4 * i);
      }
      context.putImageData(image, 0, 0);
      says.textContent = `centre ${Math.round(now.centre * 10) / 10}  width ${Math.round(now.width * 10) / 10}`;
    };
    const set = (centre, width, how = "linear") => { Object.assign(now, { centre, width: Math.max(width, how === "linear" ? 1 : 1e-6), function: how }); paint(); };
    const reset = () => set(own.centre, own.width, own.function);
    const [low, high] = source.range;
    const choices = [["as given", reset], ...(source.hounsfield ? WINDOWS.map(([name, c, w]) => [name, () => set(c, w)]) : []),
      ["full range", () => set((low + high) / 2, Math.max(high - low, 1), "linear_exact")]];
    const says = el("span", { class: "note", style: "margin:0" });
    const unit = source.hounsfield ? " (HU)" : "";
    const bar = el("div", { class: "window", role: "group", "aria-label": "Window" + unit },
      ...choices.map(([name, act]) => el("button", { type: "button", onclick: act }, name)), says);
    // Dragging: to the side for the width, up and down for the centre, as viewers do.
    let from = null;
    canvas.addEventListener("pointerdown", (e) => { from = { x: e.clientX, y: e.clientY, ...now }; canvas.setPointerCapture(e.pointerId); });
    canvas.addEventListener("pointermove", (e) => {
      if (!from) return;
      const step = Math.max(high - low, 1) / 600;
      set(from.centre + (e.clientY - from.y) * step, from.width + (e.clientX - from.x) * step, from.function === "sigmoid" ? "linear" : from.function);
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
    canvas.addEventListener("dblclick", reset);
    let at = 0;
    canvas.addEventListener("keydown", (e) => {
      const step = Math.max(high - low, 1) / 100;
      const act = {
        w: () => { at = (at + 1) % choices.length; choices[at][1](); },
        ArrowUp: () => set(now.centre + step, now.width, now.function), ArrowDown: () => set(now.centre - step, now.width, now.function),
        ArrowRight: () => set(now.centre, now.width + step, now.function), ArrowLeft: () => set(now.centre, now.width - step, now.function),
      }[e.key];
      if (act) { act(); e.preventDefault(); e.stopPropagation(); }
    });
    const packed = new Image();
    packed.addEventListener("load", () => {
      const [w, h] = [packed.naturalWidth, packed.naturalHeight];
      Object.assign(canvas, { width: w, height: h });
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(packed, 0, 0);
      const { data: bytes } = context.getImageData(0, 0, w, h);
      numbers = new Uint16Array(w * h);
      for (let i = 0; i < numbers.length; i++) numbers[i] = 256 * bytes[4 * i] + bytes[4 * i + 1];
      paint();
      canvas.style.width = img.style.width;
      img.replaceWith(canvas);
      canvas.dataset.ready = "true";
    }, { once: true });
    packed.src = source.uri;
    frame.after(bar);
  }

  function picture(p) {
    if (p.image === null) return el("figure", {}, el("div", { class: "missing" }, p.caption));
    const frame = el("div", { class: "frame" });
    // A picture that was made smaller says the size that its boxes refer to.
    const image = images[p.image];
    const img = el("img", { src: image.uri || image, alt: p.caption });
    const figure = el("figure", {}, frame, el("figcaption", {}, p.caption + (image.uri ? " · re-compressed" : "")));
    img.addEventListener("load", () => {
      const [w, h] = image.uri ? [image.width, image.height] : [img.naturalWidth, img.naturalHeight];
      if (!figure.classList.contains("large")) img.style.width = Math.min(520, Math.max(w, 360)) + "px";
      const layer = svg("svg", { viewBox: `0 0 ${w} ${h}`, preserveAspectRatio: "none" });
      const unit = w / (img.clientWidth || w);
      for (const [n, b] of (state.boxes ? p.boxes : []).entries()) {
        const [x0, y0, x1, y1] = b.xyxy;
        const shape = { x: x0, y: y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0), fill: "none" };
        layer.append(
          svg("rect", { ...shape, stroke: "#000", "stroke-width": 4 * unit, "stroke-opacity": .6 }),
          svg("rect", { ...shape, stroke: COLOURS[b.kind], "stroke-width": 2 * unit, "stroke-dasharray": DASHES[b.kind].split(" ").filter(Boolean).map((d) => d * unit).join(" "), "data-kind": b.kind }),
          svg("text", { x: x0, y: b.kind === "reference" ? Math.min(h - 4 * unit, y1 + 13 * unit) : Math.max(13 * unit, y0 - 4 * unit), fill: COLOURS[b.kind], stroke: "#000", "stroke-width": 3 * unit, "paint-order": "stroke", "font-size": 13 * unit, "font-family": "system-ui,sans-serif" }, `${n + 1} ${b.label}`));
      }
      frame.append(layer);
      if (p.values !== undefined) windowed(values[p.values], img, frame);
    }, { once: true });
    frame.append(img);
    img.addEventListener("click", () => { figure.classList.toggle("large"); img.style.width = ""; });
    return figure;
  }

  const block = (title, node) => [el("h3", {}, title), node];

  // Which line is whose, of the boxes on these pictures.
  function legend(pictures) {
    const kinds = new Set(pictures.flatMap((p) => p.boxes.map((b) => b.kind)));
    const names = { model: data.runs?.[0] ?? "model", second: data.runs?.[1] ?? "second run", reference: "reference", looked: "looked at" };
    const entry = (kind) => {
      const line = svg("svg", { width: 26, height: 8, "aria-hidden": "true" });
      line.append(svg("line", { x1: 0, y1: 4, x2: 26, y2: 4, stroke: COLOURS[kind], "stroke-width": 3, "stroke-dasharray": DASHES[kind] }));
      return el("span", {}, line, " " + names[kind]);
    };
    return kinds.size ? el("p", { class: "note legend" }, ...[...kinds].map(entry)) : null;
  }

  function detail() {
    const home = document.getElementById("detail");
    const item = data.items[state.shown[state.at]];
    if (!item) { home.replaceChildren(el("p", { class: "note" }, "No sample fits the filters.")); return; }
    const several = data.runs && item.second;
    const line = (run) => (v) => el("tr", {},
      ...(several ? [el("td", {}, run)] : []),
      el("td", {}, v.profile), el("td", { class: v.verdict }, v.verdict),
      el("td", { class: "num" }, v.value === null ? "—" : String(Math.round(v.value * 1e4) / 1e4)),
      el("td", {}, v.rule), el("td", {}, v.span ?? "—"));
    const verdicts = el("table", {},
      el("thead", {}, el("tr", {}, ...[...(several ? ["run"] : []), "profile", "verdict", "value", "rule that fired", "taken from the reply"].map((t) => el("th", {}, t)))),
      el("tbody", {}, ...item.verdicts.map(line(data.runs?.[0])), ...(several ? item.second.verdicts.map(line(data.runs[1])) : [])));
    const said = (of) => of.failure ? "no reply: " + of.failure : of.reply || "(empty)";
    const rounds = (title, all) => all?.length ? block(title, el("div", { class: "rounds" }, ...all.map((r, n) =>
      el("div", { class: "round", "data-current": String(n === state.round) },
        el("h2", {}, `Round ${n + 1}`), el("div", { class: "stage" }, ...r.pictures.map(picture)),
        ...block("Asked", el("pre", {}, r.prompt)), ...block("Answered", el("pre", {}, r.reply)),
        r.action ? el("p", { class: "note" }, r.action) : null,
        r.error ? el("p", { class: "failed" }, r.error) : null)))) : [];
    const badge = (verdict) => el("span", { class: "badge " + verdict }, verdict);
    const key = (...names) => names.map((name) => el("kbd", {}, name));
    home.replaceChildren(
      el("h2", {}, badge(item.verdict), several ? badge(item.second.verdict) : null, item.question),
      item.choices.length ? el("p", { class: "note" }, item.choices.join("   ")) : el("p", { class: "note" }, item.id),
      el("div", { class: "stage" }, ...item.pictures.map(picture)),
      legend(item.pictures) ?? "",
      el("div", { class: "pair" },
        el("div", {}, ...block(several ? data.runs[0] : "Reply", el("pre", { id: "reply" }, said(item)))),
        several ? el("div", {}, ...block(data.runs[1], el("pre", { id: "second" }, said(item.second)))) : null,
        el("div", {}, ...block("Reference", el("pre", {}, item.gold)))),
      ...block("Verdicts", el("div", { class: "card" }, verdicts)),
      ...rounds(several ? `Rounds · ${data.runs[0]}` : "Rounds", item.rounds),
      ...rounds(several ? `Rounds · ${data.runs[1]}` : "", item.second?.rounds),
      ...block("Tags", el("div", { class: "tags" }, ...Object.entries(item.tags).map(([k, v]) => el("span", {}, `${k.replaceAll("_", " ")}: ${v}`)))),
      el("p", { class: "keys" }, ...key("j"), " next  ", ...key("k"), " previous  ", ...key("[", "]"), " rounds  ", ...key("b"), " boxes  ", ...key("w"), " windows  ", ...key("/"), " search"));
    const current = home.querySelector(".round[data-current=true]");
    if (current) current.parentElement.scrollLeft = current.offsetLeft - current.parentElement.offsetLeft;
  }

  function go(row) {
    state.at = Math.max(0, Math.min(state.shown.length - 1, row));
    state.round = 0;
    const top = state.at * ROW;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    draw(false);
  }

  function draw(fromTop) {
    if (fromTop) list.scrollTop = 0;
    rows();
    detail();
  }

  document.addEventListener("keydown", (e) => {
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      if (e.key === "Escape") document.activeElement.blur();
      return;
    }
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const rounds = data.items[state.shown[state.at]]?.rounds.length ?? 0;
    const act = {
      j: () => go(state.at + 1), ArrowDown: () => go(state.at + 1),
      k: () => go(state.at - 1), ArrowUp: () => go(state.at - 1),
      Home: () => go(0), End: () => go(state.shown.length - 1),
      b: flip,
      w: () => {
        const canvas = document.querySelector("#detail canvas");
        canvas?.focus();
        canvas?.dispatchEvent(new KeyboardEvent("keydown", { key: "w" }));
      },
      "/": () => document.querySelector("#filters input").focus(),
      "]": () => { state.round = Math.min(rounds - 1, state.round + 1); detail(); },
      "[": () => { state.round = Math.max(0, state.round - 1); detail(); },
    }[e.key];
    if (act) { act(); e.preventDefault(); }
  });

  list.append(spacer);
  list.addEventListener("scroll", rows);
  window.addEventListener("resize", rows);
  head();
  summary();
  if (data.items.length) { filters(); draw(true); } else document.getElementById("browser").remove();
})();
