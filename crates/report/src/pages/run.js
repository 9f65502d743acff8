// The page of a run or of two.
const data = read("data");
const page = { images: read("images"), values: read("values"), windows: data.windows, boxes: () => state.boxes };
const names = { model: data.runs?.[0] ?? "model", second: data.runs?.[1] ?? "second run", reference: "reference", region: "looked at" };
const ROW = 58;
const state = { shown: data.items.map((_, i) => i), at: 0, boxes: true, round: 0 };

const numeric = (text) => /^$|^[-+]?[\d.,]+\s*%?$|^n\/a$|^[—–]$|^[\d.]+\s*[–-]\s*[\d.]+$/.test(text.trim());

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
// A filter: what it is called, the values that an item has for it, and all values. Tags may be called like anything,
// also like a filter or like what every object has.
const fields = () => {
  const own = [
    ["verdict", (item) => [item.verdict]],
    ["right", (item) => item.second ? [item.second.right] : []],
    ["rule", (item) => decided(item).map((v) => v.rule).filter((rule) => rule)],
  ];
  const tags = [...new Set(data.items.flatMap((item) => Object.keys(item.tags)))];
  const all = [...own, ...tags.map((key) => [key, (item) => Object.hasOwn(item.tags, key) ? [item.tags[key]] : []])];
  return all.map(([key, of]) => ({ key, of, values: new Set(data.items.flatMap(of)) }))
    .filter(({ values }) => values.size > 1 && values.size <= 60);
};

function filters() {
  const home = document.getElementById("filters");
  const search = el("input", { type: "search", placeholder: "Search question, answer, reply or id", "aria-label": "Search", oninput: apply });
  const chosen = fields();
  const selects = chosen.map(({ key, values }) => el("select", { "data-key": key, "aria-label": key, onchange: apply },
    el("option", { value: "" }, key.replaceAll("_", " ") + ": all"),
    ...[...values].sort().map((v) => el("option", { value: v }, v))));
  const toggle = el("button", { type: "button", id: "boxes", "aria-pressed": "true", onclick: flip }, "Boxes");
  home.append(search, ...selects, toggle, el("span", { class: "note", id: "count", style: "margin:0" }));
  home.addEventListener("submit", (e) => e.preventDefault());

  function apply() {
    const words = search.value.toLowerCase();
    const wanted = chosen.map(({ of }, n) => [of, selects[n].value]).filter(([, value]) => value);
    const fits = (item) => wanted.every(([of, value]) => of(item).includes(value))
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

const block = (title, node) => [el("h3", {}, title), node];

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
      el("h2", {}, `Round ${n + 1}`), el("div", { class: "stage" }, ...r.pictures.map((p) => picture(p, page))),
      ...block("Asked", el("pre", {}, r.prompt)), ...block("Answered", el("pre", {}, r.reply)),
      r.action ? el("p", { class: "note" }, r.action) : null,
      r.error ? el("p", { class: "failed" }, r.error) : null)))) : [];
  const badge = (verdict) => el("span", { class: "badge " + verdict }, verdict);
  const key = (...names) => names.map((name) => el("kbd", {}, name));
  home.replaceChildren(
    el("h2", {}, badge(item.verdict), several ? badge(item.second.verdict) : null, item.question),
    item.choices.length ? el("p", { class: "note" }, item.choices.join("   ")) : el("p", { class: "note" }, item.id),
    el("div", { class: "stage" }, ...item.pictures.map((p) => picture(p, page))),
    legend(item.pictures, names) ?? "",
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
