// The samples of a page of one run or of several.
const data = read("data");
const runs = data.runs ?? [];
const names = { model: runs[0] ?? "model", second: runs.length > 2 ? "other runs" : runs[1] ?? "with other pictures", reference: "reference", region: "looked at" };
const ROW = 58;
const RANKS = ["wrong", "unparsed", "failed", "unscored", "correct"];
const state = { shown: [], at: 0, marks: true, round: 0 };
// What pictures stand on; `hidden` are the kinds of marks that the reader does not want to see.
const page = { images: read("images"), values: read("values"), windows: data.windows, names, hidden: new Set(),
  shows: (kind) => state.marks && !page.hidden.has(kind),
  toggle: (kind, on) => { if (on) page.hidden.delete(kind); else page.hidden.add(kind); reveal(); } };
const others = (item) => item.others ?? [];
// What stands for an item that is neither right nor wrong is its figure.
const label = (item) => item.figure ?? item.verdict;
const badge = (item) => el("span", { class: "badge " + item.verdict }, label(item));
// In a row of the list, where more than two runs leave no room for words.
const SIGNS = { correct: "✓", wrong: "✗", unparsed: "?", failed: "!", unscored: "–" };
const sign = (item, n) => el("span", { class: "badge " + item.verdict, role: "img", "aria-label": `${runs[n] ?? item.name ?? "as in the set"}: ${item.verdict}`, title: `${runs[n] ?? item.name ?? "as in the set"}: ${item.verdict}` }, SIGNS[item.verdict] ?? item.verdict);
const outcomes = (item) => others(item).length > 1 ? [item, ...others(item)].map(sign) : [badge(item), ...others(item).map(badge)];
const spaced = (name) => name.replaceAll("_", " ");
const block = (title, ...nodes) => [el("h3", {}, title), ...nodes];

// The address of each sample: its id, numbered where it has several replies.
const addresses = (() => {
  const seen = new Map();
  return data.items.map((item) => {
    const n = (seen.get(item.id) ?? 0) + 1;
    seen.set(item.id, n);
    return n === 1 ? item.id : `${item.id} (${n})`;
  });
})();
const hash = (at) => "#" + encodeURIComponent(addresses[at]);

// Spellings that differ in case, blanks, dashes and underscores alone are one value.
const plain = (value) => value.trim().toLowerCase().replace(/[\s_-]+/g, " ");
// What any profile of any run decided about the item.
const decided = (item) => [...item.verdicts, ...others(item).flatMap((o) => o.verdicts)];
// A filter: what it is called, the values that an item has for it, and all values by their commonest spelling. Tags may
// be called like anything, also like a filter or like what every object has.
const fields = () => {
  const own = [
    ["verdict", (item) => [item.verdict]],
    ["right", (item) => item.right ? [item.right] : []],
    ["with other pictures", (item) => others(item).flatMap((o) => o.answer ? [o.answer] : [])],
    ["rule", (item) => decided(item).map((v) => v.rule).filter((rule) => rule)],
  ];
  const tags = [...new Set(data.items.flatMap((item) => Object.keys(item.tags)))];
  const all = [...own, ...tags.map((key) => [key, (item) => Object.hasOwn(item.tags, key) ? [item.tags[key]] : []])];
  return all.map(([key, of]) => {
    const spellings = new Map();
    for (const item of data.items) for (const value of new Set(of(item))) {
      const known = spellings.get(plain(value)) ?? new Map();
      spellings.set(plain(value), known.set(value, (known.get(value) ?? 0) + 1));
    }
    const values = [...spellings.values()].map((known) => ({
      name: [...known].sort((a, b) => b[1] - a[1])[0][0],
      n: [...known.values()].reduce((sum, n) => sum + n, 0),
    }));
    return { key, of, values: values.sort((a, b) => a.name < b.name ? -1 : 1) };
  }).filter(({ values }) => values.length > 1 && values.length <= 60);
};

// What the list can be sorted by: a name and the number of an item; those without come last.
const orders = () => {
  const several = runs.length > 1;
  const rank = (item) => several ? ({ "all right": 2, "none right": 1 })[item.right] ?? 0 : RANKS.indexOf(item.verdict);
  const figures = [...new Set(data.items.flatMap((item) => Object.keys(item.numbers ?? {})))];
  const by = (name, of) => [[`${name}, lowest first`, of], [`${name}, highest first`, (item) => { const v = of(item); return v === undefined ? v : -v; }]];
  // Masks and reports have figures, which are neither right nor wrong: the worst first, and before it what failed.
  const measured = data.items.find((item) => item.figure);
  const headline = measured && !several && data.items.every((item) => ["failed", "unscored"].includes(item.verdict)) ? Object.keys(measured.numbers ?? {}).find((name) => measured.figure.startsWith(name + " ")) : undefined;
  return [
    ...(headline ? [[`lowest ${headline} first`, (item) => item.numbers?.[headline] ?? -Infinity]] : []),
    [several ? "disagreements first" : "wrong and unparsed first", rank],
    ["as in the set", () => 0],
    ...figures.flatMap((name) => by(name, (item) => item.numbers && Object.hasOwn(item.numbers, name) ? item.numbers[name] : undefined)),
    ...by("length of the reply", (item) => item.reply?.length),
  ];
};

const search = el("input", { type: "search", placeholder: "Search question, answer, reply or id", "aria-label": "Search", oninput: () => apply() });
const chosen = fields();
const selects = chosen.map(({ key, values }) => el("select", { "data-key": key, "aria-label": spaced(key), onchange: () => apply() },
  el("option", { value: "" }, spaced(key) + ": all"),
  ...values.map(({ name, n }) => el("option", { value: name }, `${name} (${n})`))));
const sorts = orders();
const sort = el("select", { id: "sort", "aria-label": "Order", onchange: () => apply() },
  ...sorts.map(([name], n) => el("option", { value: n }, name)));

function filters() {
  const home = document.getElementById("filters");
  const toggle = el("button", { type: "button", id: "marks", "aria-pressed": "true", title: "Boxes and masks (b)", onclick: flip }, "Marks");
  const save = (name, of) => el("button", { type: "button", "data-save": name, title: `Save the samples of the list as ${name.toUpperCase()}`, onclick: () => saved(name, of()) }, name.toUpperCase());
  home.append(search, ...selects, sort, toggle, save("csv", csv), save("json", json), el("span", { class: "note", id: "count", role: "status" }));
  home.addEventListener("submit", (e) => e.preventDefault());
}

// Filters and sorts; the sample at hand stays where it can.
function apply(keep) {
  const words = search.value.toLowerCase();
  const wanted = chosen.map(({ of }, n) => [of, selects[n].value]).filter(([, value]) => value).map(([of, value]) => [of, plain(value)]);
  const texts = (item) => [item.id, item.question, item.gold, item.reply ?? "", ...others(item).map((o) => o.reply ?? "")];
  const fits = (item) => wanted.every(([of, value]) => of(item).some((v) => plain(v) === value))
    && (!words || texts(item).some((t) => t.toLowerCase().includes(words)));
  const by = sorts[sort.value][1];
  const keyed = data.items.map((item, at) => [at, fits(item) ? by(item) ?? Infinity : null]).filter(([, key]) => key !== null);
  state.shown = keyed.sort((a, b) => a[1] - b[1] || a[0] - b[0]).map(([at]) => at);
  state.at = Math.max(0, keep === undefined ? 0 : state.shown.indexOf(keep));
  state.round = 0;
  draw(true);
}

// The samples of the list as rows of plain values.
const flat = () => state.shown.map((at) => {
  const item = data.items[at];
  const row = { id: item.id, verdict: item.verdict, question: item.question, reference: item.gold, reply: item.reply, failure: item.failure };
  others(item).forEach((o) => Object.assign(row, { [`verdict: ${o.name}`]: o.verdict, [`reply: ${o.name}`]: o.reply }));
  for (const v of item.verdicts) Object.assign(row, { [`rule: ${v.profile}`]: v.rule, [`taken: ${v.profile}`]: v.span });
  for (const [name, value] of Object.entries(item.numbers ?? {})) row[`number: ${name}`] = value;
  for (const [name, value] of Object.entries(item.tags)) row[`tag: ${name}`] = value;
  return row;
});
const json = () => JSON.stringify(flat(), null, 1);
// What a spreadsheet would compute gets an apostrophe in front.
const cell = (value) => {
  const text = value === null || value === undefined ? "" : typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? "'" + value : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
function csv() {
  const rows = flat(), columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return [columns, ...rows.map((row) => columns.map((c) => row[c]))].map((line) => line.map(cell).join(",") + "\r\n").join("");
}
function saved(kind, text) {
  const url = URL.createObjectURL(new Blob([text], { type: kind === "csv" ? "text/csv" : "application/json" }));
  el("a", { href: url, download: `samples.${kind}` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function flip() {
  state.marks = !state.marks;
  document.getElementById("marks").setAttribute("aria-pressed", String(state.marks));
  reveal();
}

// Shows and hides marks; windows stay as the reader set them.
function reveal() {
  for (const group of document.querySelectorAll("#detail .frame [data-kind]")) {
    if (page.shows(group.dataset.kind)) group.removeAttribute("display"); else group.setAttribute("display", "none");
  }
}

const list = document.getElementById("list");
const spacer = el("div", { class: "spacer", role: "presentation" });
function rows() {
  spacer.style.height = state.shown.length * ROW + "px";
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
  const last = Math.min(state.shown.length, first + Math.ceil(list.clientHeight / ROW) + 8);
  const said = (item) => item.failure ?? `${item.reply || "(no words)"}  ·  reference: ${item.gold}`;
  spacer.replaceChildren(...state.shown.slice(first, last).map((at, n) => {
    const item = data.items[at], row = first + n, current = row === state.at;
    return el("div", { class: "row", id: `row-${row}`, role: "option", style: `top:${row * ROW}px`, "aria-selected": String(current), "aria-setsize": state.shown.length, "aria-posinset": row + 1, onclick: () => go(row) },
      el("div", { class: "q" }, ...outcomes(item), item.question),
      el("div", { class: "a" }, said(item)));
  }));
  list.setAttribute("aria-activedescendant", `row-${state.at}`);
  document.getElementById("count").textContent = `${state.shown.length} of ${data.items.length} samples`;
}

const shown = (value) => value === null || value === undefined ? "—" : String(Math.round(value * 1e4) / 1e4);

// A table of the detail, its cells with their columns for narrow windows.
const grid = (heads, lines) => el("div", { class: "card" }, el("table", { class: "wide" },
  el("thead", {}, el("tr", {}, ...heads.map((t) => el("th", { scope: "col" }, t)))),
  el("tbody", {}, ...lines.map((line) => el("tr", {}, ...line.map((c, n) => el("td", { "data-label": heads[n], class: c?.class }, c?.text ?? c)))))));

// How sure the model was: its options, or the tokens that it wrote.
function certainty(of) {
  if (!of) return [];
  const bar = (p) => el("span", { class: "bar", style: `--share:${Math.round(1000 * p) / 10}%` });
  const percent = (p) => (100 * p).toFixed(1) + " %";
  const lines = (of.options ?? []).map(([text, p]) => el("div", { class: "option" }, el("span", {}, text), bar(p), el("span", { class: "num" }, percent(p))));
  const tokens = (of.tokens ?? []).map(([id, logprob]) => el("span", { class: "token", style: `--share:${Math.round(100 * Math.exp(logprob))}%`, title: `token ${id}: log-probability ${logprob.toFixed(3)}` }, (100 * Math.exp(logprob)).toFixed(0)));
  return block("Probability of the answer",
    lines.length ? el("div", { class: "options" }, ...lines, el("p", { class: "note" }, `Any of these begins the reply with a probability of ${percent(of.mass)}.`)) : "",
    tokens.length ? el("div", { class: "tokens" }, ...tokens, el("p", { class: "note" }, `Per cent for each token${of.of > tokens.length ? `, the first ${tokens.length} of ${of.of}` : ""}.`)) : "");
}

const said = (of) => of.failure ? "no reply: " + of.failure : of.reply || "(no words)";
const stage = (pictures) => el("div", { class: "stage" }, ...pictures);

// Replies and reference beside each other, below the pictures that all runs were asked with; a single picture has them at its side.
const together = (item) => [el("div", { class: item.pictures.length === 1 ? "look one" : "look" },
  el("div", {}, stage(item.pictures.map((p) => picture(p, page))), marks(item)),
  el("div", { class: "pair" },
    el("div", {}, ...block(others(item).length ? runs[0] : "Reply", el("pre", { id: "reply" }, said(item)))),
    ...others(item).map((o, n) => el("div", {}, ...block(o.name, el("pre", { class: "other", id: n ? null : "second" }, said(o))))),
    el("div", {}, ...block("Reference", el("pre", {}, item.gold)))))];
// What shows and hides the marks on the pictures of an item.
const marks = (item) => legend([item, ...others(item)].flatMap((of) => [...of.pictures ?? [], ...of.unaltered ?? [], ...(of.rounds ?? []).flatMap((r) => r.pictures)]), page) ?? "";

// Each run with its own pictures over its reply: some of them are probes.
function apart(item) {
  const set = item.unaltered ? [{ name: "As in the set", pictures: item.unaltered }] : [];
  const sides = [...set, { ...item, name: runs[0] ?? (item.altered ? "As asked" : "As in the set") }, ...others(item)];
  const beside = (n) => sides.filter((s) => s.pictures?.[n] && s.pictures[n].image !== null).map((s) => ({ name: s.name, p: s.pictures[n] }));
  const about = (side) => side.altered ? `asked with ${side.altered}` : side.verdict && !side.pictures?.length ? "asked with the same pictures" : side.verdict ? "asked with the pictures of the set" : "not asked in this run";
  return [
    el("div", { class: "sides" }, ...sides.map((side) => el("section", { class: "side" },
      el("h3", {}, side.name), el("p", { class: "note" }, about(side)),
      side.pictures?.length ? stage(side.pictures.map((p, n) => picture(p, page, beside(n)))) : "",
      side.verdict ? el("p", { class: "outcome" }, badge(side), side.answer ?? "") : "",
      side.verdict ? el("pre", { id: side.id === item.id ? "reply" : null, class: side.id === item.id ? null : "other" }, said(side)) : ""))),
    marks(item),
    ...block("Reference", el("pre", {}, item.gold))];
}

// The rounds of a second look and, beside them, where they should have led.
function rounds(title, all, item) {
  if (!all?.length) return [];
  const round = (r, n) => el("div", { class: "round", "data-current": String(n === state.round) },
    el("h4", {}, `Round ${n + 1}`), stage(r.pictures.map((p) => picture(p, page))),
    ...block("Asked", el("pre", {}, r.prompt)), ...block("Answered", el("pre", {}, r.reply)),
    r.action ? el("p", { class: "note" }, r.action) : null,
    r.error ? el("p", { class: "failed" }, r.error) : null);
  const own = (marks) => (marks ?? []).filter((m) => m.kind === "reference");
  const places = (item.unaltered ?? item.pictures).map((p) => ({ ...p, boxes: own(p.boxes), masks: own(p.masks) })).filter((p) => p.boxes.length || p.masks.length);
  const reference = el("div", { class: "round reference" }, el("h4", {}, "Reference"),
    places.length ? stage(places.map((p) => picture(p, page))) : null, el("pre", {}, item.gold));
  return block(title, el("div", { class: "rounds", tabindex: "0" }, ...all.map(round), reference));
}

function detail() {
  const home = document.getElementById("detail");
  const at = state.shown[state.at], item = data.items[at];
  if (!item) { home.replaceChildren(el("p", { class: "note" }, "No sample fits the filters.")); return; }
  const several = others(item).length > 0, first = runs[0] ?? "as in the set";
  const line = (run) => (v) => [...(several ? [run] : []), v.profile, { text: v.verdict, class: v.verdict }, { text: shown(v.value), class: "num" }, v.rule, v.span ?? "—"];
  const verdicts = grid([...(several ? ["run"] : []), "profile", "verdict", "value", "rule that fired", "taken from the reply"],
    [...item.verdicts.map(line(first)), ...others(item).flatMap((o) => o.verdicts.map(line(o.name)))]);
  const of = (run) => several ? ` · ${run}` : "";
  const numbers = Object.entries(item.numbers ?? {}).map(([name, value]) => el("span", {}, `${name} ${shown(value)}`));
  const key = (...keys) => keys.map((name) => el("kbd", {}, name));
  home.replaceChildren(
    el("h2", {}, badge(item), ...others(item).map(badge), item.question),
    el("p", { class: "note" }, el("a", { href: hash(at), id: "address", title: "The address of this sample" }, "#" + addresses[at]), item.right ? ` · ${item.right}` : ""),
    item.choices.length ? el("p", { class: "choices" }, ...item.choices.map((c) => el("span", {}, c))) : "",
    ...(item.unaltered || others(item).some((o) => o.pictures) ? apart(item) : together(item)),
    ...certainty(item.certainty),
    ...block("Verdicts", verdicts),
    ...rounds("Rounds" + of(first), item.rounds, item),
    ...others(item).flatMap((o) => rounds("Rounds" + of(o.name), o.rounds, item)),
    item.prompt ? el("details", { class: "prompt" }, el("summary", {}, "Prompt as sent" + of(first)), el("pre", {}, (data.prompt_heads?.[item.prompt_head] ?? "") + item.prompt)) : "",
    ...(numbers.length ? block("Numbers", el("div", { class: "tags" }, ...numbers)) : []),
    ...block("Tags", el("div", { class: "tags" }, ...Object.entries(item.tags).map(([k, v]) => el("span", {}, `${spaced(k)}: ${v}`)))),
    el("p", { class: "keys" }, ...key("j"), " next  ", ...key("k"), " previous  ", ...key("[", "]"), " rounds  ", ...key("e"), " enlarge  ", ...key("b"), " marks  ", ...key("w"), " windows  ", ...key("/"), " search"));
  const current = home.querySelector(".round[data-current=true]");
  if (current) current.parentElement.scrollLeft = current.offsetLeft - current.parentElement.offsetLeft;
}

function visible() {
  const top = state.at * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
}

function go(row) {
  state.at = Math.max(0, Math.min(state.shown.length - 1, row));
  state.round = 0;
  visible();
  draw(false);
  // The address bar names the sample at hand, so that it can be sent.
  try { if (state.shown.length) history.replaceState(null, "", hash(state.shown[state.at])); } catch { /* a sandbox without addresses */ }
}

// Goes to the sample that the address names; true when there is one.
function visit() {
  let name;
  try { name = decodeURIComponent(location.hash.slice(1)); } catch { return false; }
  const at = name.startsWith("page-") ? -1 : addresses.indexOf(name);
  if (at < 0) return false;
  if (!state.shown.includes(at)) { search.value = ""; selects.forEach((s) => { s.value = ""; }); }
  apply(at);
  visible();
  rows();
  document.getElementById("browser").scrollIntoView();
  return true;
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
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]")) return;
  const inList = document.activeElement === list || document.activeElement === document.body;
  const rounds = data.items[state.shown[state.at]]?.rounds.length ?? 0;
  const act = {
    j: () => go(state.at + 1), k: () => go(state.at - 1),
    ...(inList ? { ArrowDown: () => go(state.at + 1), ArrowUp: () => go(state.at - 1), Home: () => go(0), End: () => go(state.shown.length - 1) } : {}),
    b: flip,
    e: () => document.querySelector("#detail .enlarge")?.click(),
    w: () => {
      const canvas = document.querySelector("#detail canvas");
      canvas?.focus();
      canvas?.dispatchEvent(new KeyboardEvent("keydown", { key: "w" }));
    },
    "/": () => search.focus(),
    "]": () => { state.round = Math.min(rounds - 1, state.round + 1); detail(); },
    "[": () => { state.round = Math.max(0, state.round - 1); detail(); },
  }[e.key];
  if (act) { act(); e.preventDefault(); }
});

list.append(spacer);
list.addEventListener("scroll", rows);
window.addEventListener("resize", rows);
window.addEventListener("hashchange", visit);
if (data.items.length) { filters(); apply(); visit(); } else document.getElementById("browser").remove();
