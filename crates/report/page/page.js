"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const data = read("data");
  const images = read("images");
  const ROW = 58;
  const COLOURS = { model: "#e69f00", reference: "#56b4e9", looked: "#f0e442" };
  const DASHES = { model: "", reference: "7 5", looked: "2 4" };
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
  const numeric = (text) => /^[-+]?[\d.,]+\s*%?$|^n\/a$|^—$|^[\d.]+\s*[–-]\s*[\d.]+$/.test(text.trim());

  function head() {
    const facts = el("dl", {}, ...data.facts.flatMap((f) => [el("dt", {}, f.name), el("dd", {}, f.value)]));
    document.getElementById("head").append(
      el("h1", {}, data.title),
      el("p", { class: "lead" }, data.lead),
      el("details", { class: "facts" }, el("summary", {}, "What made these numbers"), facts),
    );
  }

  function summary() {
    const home = document.getElementById("summary");
    for (const table of data.tables) {
      const right = table.columns.map((_, c) => c > 0 && table.rows.every((row) => numeric(row[c] ?? "")));
      const cell = (name) => (text, c) => el(name, { class: right[c] ? "num" : null }, text);
      // Long tables open on request, so that the samples stay near the top.
      const long = table.rows.length > 8;
      home.append(el(long ? "details" : "div", { class: "card" },
        el(long ? "summary" : "h2", {}, table.title),
        table.note ? el("p", { class: "note" }, table.note) : null,
        el("table", {},
          el("thead", {}, el("tr", {}, ...table.columns.map(cell("th")))),
          el("tbody", {}, ...table.rows.map((row) => el("tr", {}, ...row.map(cell("td"))))))));
    }
  }

  const fields = () => {
    const found = { verdict: new Set(), rule: new Set() };
    for (const item of data.items) {
      found.verdict.add(item.verdict);
      for (const v of item.verdicts) if (v.rule) found.rule.add(v.rule);
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
          : key === "rule" ? item.verdicts.some((v) => v.rule === value)
            : item.tags[key] === value)
        && (!words || [item.id, item.question, item.gold, item.reply ?? ""].some((t) => t.toLowerCase().includes(words)));
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
      return el("div", { class: "row", style: `top:${row * ROW}px`, "aria-current": String(row === state.at), onclick: () => go(row) },
        el("div", { class: "q" }, el("span", { class: "badge " + item.verdict }, item.verdict), item.question),
        el("div", { class: "a" }, item.failure ?? `${item.reply ?? ""}  ·  reference: ${item.gold}`));
    }));
    document.getElementById("count").textContent = `${state.shown.length} of ${data.items.length} samples`;
  }

  function picture(p) {
    if (p.image === null) return el("figure", {}, el("div", { class: "missing" }, p.caption));
    const frame = el("div", { class: "frame" });
    const img = el("img", { src: images[p.image], alt: p.caption });
    const figure = el("figure", {}, frame, el("figcaption", {}, p.caption));
    img.addEventListener("load", () => {
      const [w, h] = [img.naturalWidth, img.naturalHeight];
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
    }, { once: true });
    frame.append(img);
    img.addEventListener("click", () => { figure.classList.toggle("large"); img.style.width = ""; });
    return figure;
  }

  const block = (title, node) => [el("h3", {}, title), node];
  function detail() {
    const home = document.getElementById("detail");
    const item = data.items[state.shown[state.at]];
    if (!item) { home.replaceChildren(el("p", { class: "note" }, "No sample fits the filters.")); return; }
    const verdicts = el("table", {},
      el("thead", {}, el("tr", {}, ...["profile", "verdict", "value", "rule that fired", "taken from the reply"].map((t) => el("th", {}, t)))),
      el("tbody", {}, ...item.verdicts.map((v) => el("tr", {},
        el("td", {}, v.profile), el("td", { class: v.verdict }, v.verdict),
        el("td", { class: "num" }, v.value === null ? "—" : String(Math.round(v.value * 1e4) / 1e4)),
        el("td", {}, v.rule), el("td", {}, v.span ?? "—")))));
    home.replaceChildren(
      el("h2", {}, el("span", { class: "badge " + item.verdict }, item.verdict), item.question),
      item.choices.length ? el("p", { class: "note" }, item.choices.join("   ")) : el("p", { class: "note" }, item.id),
      el("div", { class: "stage" }, ...item.pictures.map(picture)),
      el("div", { class: "pair" },
        el("div", {}, ...block("Reply", el("pre", { id: "reply" }, item.failure ? "no reply: " + item.failure : item.reply || "(empty)"))),
        el("div", {}, ...block("Reference", el("pre", {}, item.gold)))),
      ...block("Verdicts", el("div", { class: "card" }, verdicts)),
      ...(item.rounds.length ? block("Rounds", el("div", { class: "rounds" }, ...item.rounds.map((r, n) =>
        el("div", { class: "round", "data-current": String(n === state.round) },
          el("h2", {}, `Round ${n + 1}`), el("div", { class: "stage" }, ...r.pictures.map(picture)),
          ...block("Asked", el("pre", {}, r.prompt)), ...block("Answered", el("pre", {}, r.reply)),
          r.action ? el("p", { class: "note" }, r.action) : null,
          r.error ? el("p", { class: "failed" }, r.error) : null)))) : []),
      ...block("Tags", el("div", { class: "tags" }, ...Object.entries(item.tags).map(([k, v]) => el("span", {}, `${k.replaceAll("_", " ")}: ${v}`)))),
      el("p", { class: "keys" }, el("kbd", {}, "j"), " next  ", el("kbd", {}, "k"), " previous  ", el("kbd", {}, "["), " ", el("kbd", {}, "]"), " rounds  ", el("kbd", {}, "b"), " boxes  ", el("kbd", {}, "/"), " search"));
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
