// The page of one reader: cases in their order, one at a time.
const plan = read("plan");
const answers = new Answers(sha256(document.getElementById("plan").textContent), plan.reader, plan.study);
const clock = new Clock(plan.idle_seconds);
const stored = new Keeper(`loupe-study:${plan.study}:${plan.reader}:`);
const page = document.getElementById("page");
let now = null; // the case on the screen

const seriesOf = (id) => read(id);
const button = (words, act, more = {}) => el("button", { type: "button", onclick: act, ...more }, words);
const day = (date) => date.toLocaleDateString(undefined, { year: "numeric", month: "long", day: "numeric" });
const step = () => plan.steps.findIndex((_, n) => !answers.done.has(n));
const complete = () => step() < 0;

function download() {
  const link = el("a", { href: URL.createObjectURL(new Blob([answers.file(complete())], { type: "application/json" })), download: `${plan.reader}-${plan.part.n}-${complete() ? "answers" : "so-far"}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  answers.saved = answers.entries.length;
}

// The line at the top: how far the reader is, and whether everything is kept.
function head() {
  const counted = plan.steps.filter((s) => !s.training).length, read = plan.steps.filter((s, n) => !s.training && answers.done.has(n)).length;
  document.getElementById("head").replaceChildren(
    el("strong", {}, plan.title),
    el("progress", { max: counted, value: read, "aria-label": "Cases read" }),
    el("span", { id: "count" }, `${read} of ${counted} read`),
    el("span", { class: "kept " + (answers.keeper.lasting ? "" : "warn"), role: "status" }, answers.keeper.lasting ? "every answer is kept in this browser" : "this browser keeps nothing: save before you close the page"),
    button("Save answers", download), button("Keys ?", help));
}

function show(...nodes) {
  now?.viewers.forEach((v) => v.remove());
  now = null;
  page.replaceChildren(...nodes);
  head();
}

function message(title, lines, ...actions) {
  show(el("div", { class: "message" }, el("h1", {}, title), ...lines.filter(Boolean).map((line) => el("p", {}, line)), el("div", { class: "actions" }, ...actions)));
  page.querySelector("button.main")?.focus();
}

function intro() {
  const file = el("input", { type: "file", accept: "application/json,.json", hidden: true, id: "file" });
  file.addEventListener("change", async () => {
    const wrong = answers.load(await file.files[0].text());
    if (wrong) message("The file was not taken", [wrong], button("Back", intro, { class: "main" })); else intro();
  });
  const at = step(), left = plan.steps.length - answers.done.size;
  message(plan.title, [
    `Reader ${plan.reader}${plan.part.of > 1 ? ` · part ${plan.part.n} of ${plan.part.of}` : ""} · ${left} of ${plan.steps.length} readings to do`,
    ...plan.instructions.split(/\n\s*\n/),
    "One case comes after the other; there is no way back to an earlier one. Every answer is kept at once, and you can stop at any time and open this file again. Nothing is sent anywhere.",
    answers.keeper.lasting ? null : "This browser does not let the page keep anything. Save your answers before you close it; the saved file continues where you were.",
  ], at < 0 ? button("Save answers", download, { class: "main" }) : button(answers.entries.length ? "Go on (Enter)" : "Begin (Enter)", go, { class: "main" }),
  button("Go on from a saved file", () => file.click()), button("Keys", help), file);
}

function help() {
  if (document.getElementById("help")) { document.getElementById("help").remove(); return; }
  const rows = [...VIEWER_KEYS, ["1 – 9", "choose an option, or begin a number"], ["Enter", "next question, then next case"], ["q Q", "next, previous question"], ["a e x", "accept, redraw, reject a finding"], ["[ ]", "steps of how the answer came about"], ["s", "next of several images"], ["Esc", "leave a field"], ["?", "these keys"]];
  document.body.append(el("div", { id: "help", role: "dialog", "aria-label": "Keys" }, el("h2", {}, "Keys"), el("dl", {}, ...rows.flatMap(([key, what]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)])), button("Close", help, { class: "main" })));
  document.querySelector("#help button").focus();
}

// Has the pause before this session passed? Says until when to wait.
function due(session) {
  if (session === 1 || !plan.washout_days || answers.overrides.has(session)) return null;
  const before = answers.finished.get(session - 1) ?? stored.get("finished " + (session - 1));
  if (!before) return undefined;
  const end = new Date(new Date(before).getTime() + plan.washout_days * 864e5);
  return end > new Date() ? end : null;
}

function go() {
  const at = step();
  if (at < 0) return finish();
  const { session } = plan.steps[at];
  if (at > 0 && plan.steps[at - 1].session !== session && !answers.finished.has(session - 1)) {
    answers.add("finished", { session: session - 1 });
    stored.set("finished " + (session - 1), answers.finished.get(session - 1));
  }
  const until = answers.values.size && answers.begun?.has(session) ? null : due(session);
  if (until || until === undefined) {
    const early = button("The coordinator has agreed: begin now", () => { answers.add("override", { session }); go(); });
    return message(`Session ${session}`, until
      ? [`This session begins on ${day(until)}, ${plan.washout_days} days after the one before, so that you do not remember the cases.`, "Please save your answers and open this file again on that day."]
      : [`This session should begin ${plan.washout_days} days after the one before. This browser does not know when that was.`],
    button("Save answers", download, { class: "main" }), early);
  }
  open(at);
}

function finish() {
  const { session } = plan.steps[plan.steps.length - 1];
  if (!answers.finished.has(session)) {
    answers.add("finished", { session });
    stored.set("finished " + session, answers.finished.get(session));
  }
  message("All cases are read", ["Thank you. Save the answers and send the file to the coordinator of the study."], button("Save answers", download, { class: "main" }));
}

// Marks of the view and of the forms on them.
function redraw() {
  now.viewers.forEach((viewer, n) => {
    const own = now.places[n].marks.map((m) => now.forms.some((f) => f.faint?.(m.id)) ? { ...m, faint: true } : m);
    const { view, series } = now.places[n], here = (place) => (place.series ?? 0) === series;
    const looking = now.trace > 0 && view === 0 ? now.step.views[0].trace[now.trace - 1] : null, trace = looking && here(looking) ? looking : null;
    const looked = trace?.region ? [{ slice: trace.slice ?? 0, kind: "region", label: "looked at", box: trace.region }] : [];
    viewer.mark([...own, ...looked, ...now.forms.flatMap((f) => f.drawn?.() ?? []).filter(here)]);
  });
}

// A place that was set on a viewer, which says on which series of the case.
function placed(place, n) {
  now.active = n;
  if (now.places[n].series) place = { ...place, series: now.places[n].series };
  const form = now.forms.find((f) => f.wants?.()) ?? (now.forms[now.at]?.placed && !now.forms[now.at].faint ? now.forms[now.at] : now.forms.find((f) => f.placed && !f.faint));
  if (form?.placed(place) === "next") advance();
}

function trace(n) {
  const steps = now.step.views[0].trace ?? [];
  if (!steps.length) return;
  now.trace = Math.max(0, Math.min(steps.length, n));
  const at = steps[now.trace - 1];
  const viewer = now.viewers[at?.series ?? 0];
  if (at?.slice !== undefined) viewer.go(at.slice);
  if (at?.region) viewer.focus(at.region, 0.4); else viewer.fit();
  page.querySelectorAll(".trace li").forEach((li, i) => { li.dataset.seen = String(i < now.trace); li.setAttribute("aria-current", String(i === now.trace - 1)); });
  redraw();
}

function output(view, n, several) {
  const steps = view.trace ?? [];
  return [
    view.text ? el("section", { class: "output" }, el("h3", {}, several ? ["Left", "Right"][n] : "Suggested reading"), el("div", { class: "prose" }, view.text)) : null,
    steps.length && n === 0 ? el("section", { class: "output trace" }, el("h3", {}, "How it came about"), el("ol", {}, ...steps.map((s, i) => el("li", { "data-seen": "false" }, button(`Step ${i + 1}`, () => trace(i + 1), { class: "plain" }), el("div", { class: "prose" }, s.said), s.did ? el("p", { class: "hint" }, s.did) : null))),
      el("div", { class: "actions" }, button("[ back", () => trace(now.trace - 1)), button("] next step", () => trace(now.trace + 1)))) : null,
  ];
}

function open(at) {
  const item = plan.steps[at], compare = item.compare === true;
  const drafts = JSON.parse(answers.keeper.get("draft") ?? "null");
  const kept = drafts?.step === at ? drafts : { step: at, active: 0, away: 0, texts: {} };
  clock.reset(kept.active, kept.away);
  const before = plan.steps.slice(0, at).filter((s) => !s.training).length, counted = plan.steps.filter((s) => !s.training).length;
  const title = item.training ? "Training case" : `Case ${before + 1} of ${counted}`;
  const stages = el("div", { class: "stages" });
  const panel = el("aside", { class: "panel", "aria-label": "Questions" });
  show(el("div", { class: "case" }, stages, panel));
  now = { n: at, step: item, viewers: [], active: 0, forms: [], at: 0, trace: 0, kept };
  // Two outputs in words alone share their images; marks need one each.
  const places = now.places = [], marked = item.views.some((v) => v.marks?.some((m) => m.length));
  item.views.forEach((view, n) => {
    const same = compare && n > 0 && !marked;
    view.series.forEach((id, m) => { if (!same) places.push({ id, view: n, series: m, marks: view.marks?.[m] ?? [], label: [compare && marked ? ["Left", "Right"][n] : null, item.titles[m]].filter(Boolean).join(" · ") || "Images" }); });
  });
  const marking = plan.questions.filter((q) => q.type === "mark"), tools = ["window", "pan", "measure"];
  if (marking.some((q) => q.shape !== "point") || plan.questions.some((q) => q.type === "findings")) tools.push("box");
  if (marking.some((q) => q.shape === "point")) tools.push("point");
  const named = places.length > 1;
  stages.dataset.many = String(places.length > 2);
  places.forEach(({ id, marks, label }, n) => {
    const host = el("div", { class: "stage-host" });
    stages.append(el("figure", {}, named ? el("figcaption", {}, label) : null, host));
    host.addEventListener("focusin", () => { now.active = n; });
    now.viewers.push(new Viewer(host, seriesOf(id), { label: named ? label : "Images", presets: plan.windows, tools, marks, onmark: (place) => placed(place, n), onpick: () => {} }));
  });
  if (named) Viewer.link(now.viewers);
  const forms = plan.questions.map((q, n) => {
    // An answer that was taken back is none.
    const value = () => answers.value(at, q.id) ?? undefined;
    const ask = {
      get value() { return value(); }, get drafted() { return kept.texts[q.id]; },
      set: (v) => { delete kept.texts[q.id]; if (v === undefined && value() === undefined) return; answers.answer(at, q.id, v ?? null); state(); head(); },
      draft: (v) => { kept.texts[q.id] = v; keep(); },
      onward: advance, viewer: (series) => now.viewers[series === undefined ? now.active : Math.max(0, now.places.findIndex((p) => p.series === series))], title: (series) => item.titles.length > 1 ? item.titles[series ?? 0] : "", pick: (id) => now.viewers.forEach((v) => v.pick(id)), marks: redraw, view: item.views,
    };
    const form = FORMS[q.type](q, ask);
    const node = el("fieldset", { class: "question", "data-question": q.id, onpointerdown: () => turn(n) }, el("legend", {}, q.text, q.required ? null : el("span", { class: "hint" }, " (optional)")), form.node, el("p", { class: "lacks", role: "alert" }));
    return { ...form, q, node, ask };
  });
  now.forms = forms;
  panel.append(...[
    el("h2", {}, title), item.question ? el("p", { class: "asked" }, item.question) : null,
    compare ? el("div", { class: "both" }, ...item.views.flatMap((v, n) => output(v, n, true))) : null,
    ...(compare ? [] : output(item.views[0], 0, false)),
    ...forms.map((f) => f.node),
    el("div", { class: "actions" }, button("Next case (Enter)", next, { class: "main", id: "next" }))].filter((c) => c !== null));
  answers.add("started", { step: at });
  turn(0, false);
  redraw();
  state();
  now.viewers[now.active].stage.focus({ preventScroll: true });
}

function keep() {
  if (!now) return;
  const [active, away] = clock.seconds();
  Object.assign(now.kept, { active, away });
  answers.keeper.set("draft", JSON.stringify(now.kept));
}

// The question that keys belong to.
function turn(n, seen = true) {
  now.at = Math.max(0, Math.min(now.forms.length - 1, n));
  now.forms.forEach((f, i) => { f.node.dataset.current = String(i === now.at); });
  now.forms[now.at]?.enter?.();
  if (seen) now.forms[now.at]?.node.scrollIntoView({ block: "nearest" }); else window.scrollTo(0, 0);
}

// To the next question that has no answer.
function advance() {
  const open = now.forms.findIndex((f, n) => n > now.at && f.ask.value === undefined && !f.empty);
  if (open < 0) return false;
  turn(open);
  if (now.forms[open].focus) now.forms[open].focus(); else now.viewers[now.active].stage.focus({ preventScroll: true });
  return true;
}

const lacking = (f) => f.lacks?.() ?? (f.q.required && !f.empty && f.ask.value === undefined ? "Please answer this before the next case." : null);
function state() { if (now) document.getElementById("next")?.setAttribute("data-ready", String(now.forms.every((f) => !lacking(f)))); }

function onward() {
  document.activeElement?.blur?.();
  const { q, ask } = now.forms[now.at];
  if ((ask.value !== undefined || !q.required) && advance()) return;
  next();
}

function say() { for (const f of now.forms) f.node.querySelector(".lacks").textContent = lacking(f) ?? ""; }

function next() {
  if (!now) return;
  document.activeElement?.blur?.();
  now.forms.forEach((f) => f.flush?.());
  say();
  const missing = now.forms.findIndex((f) => lacking(f));
  if (missing >= 0) { turn(missing); now.viewers[now.active].stage.focus({ preventScroll: true }); return; }
  const [active, away] = clock.seconds(), { n, step: item } = now;
  answers.add("done", { step: n, seconds: active, idle_seconds: away });
  answers.keeper.set("draft", "null");
  if (item.feedback) return message("Training case", [item.feedback], button("Next case (Enter)", go, { class: "main" }));
  go();
}

document.addEventListener("keydown", (e) => {
  const field = e.target.closest?.("input:not([type=range]), textarea, select");
  if (document.getElementById("help")) { if (e.key === "Escape" || e.key === "?") { help(); e.preventDefault(); } return; }
  if (e.ctrlKey || e.metaKey || e.altKey) {
    if (e.key === "Enter" && now) { onward(); e.preventDefault(); }
    return;
  }
  if (e.key === "?" && !field) { help(); e.preventDefault(); return; }
  if (!now) return;
  if (e.key === "Escape" && field) { field.blur(); now.viewers[now.active].stage.focus({ preventScroll: true }); e.preventDefault(); return; }
  if (field) {
    if (e.key === "Enter" && field.tagName === "INPUT") { const mark = field.closest(".marks"); field.blur(); if (mark) now.viewers[now.active].stage.focus({ preventScroll: true }); else onward(); e.preventDefault(); }
    return;
  }
  const active = now.viewers[now.active], drawing = active.cross !== null && active.cross !== undefined;
  if (e.key === "Enter" && e.target.tagName === "BUTTON") return;
  if (!(e.key === "Enter" && !drawing)) {
    const form = now.forms[now.at], did = form?.key?.(e);
    if (did) {
      if (did === "next") advance();
      if (did !== "type") e.preventDefault();
      return;
    }
    const other = { q: () => turn(now.at + 1), Q: () => turn(now.at - 1), "[": () => trace(now.trace - 1), "]": () => trace(now.trace + 1) }[e.key];
    if (other) { other(); e.preventDefault(); return; }
    if (e.key === "s" && now.viewers.length > 1) { now.viewers[(now.active + 1) % now.viewers.length].stage.focus(); e.preventDefault(); return; }
    if (active.key(e)) { e.preventDefault(); return; }
  }
  if (e.key === "Enter") { onward(); e.preventDefault(); }
});
window.addEventListener("pagehide", keep);
document.addEventListener("visibilitychange", () => { if (document.hidden) keep(); });
setInterval(() => { if (now && !document.hidden) keep(); }, 5000);
window.addEventListener("beforeunload", (e) => { if (!answers.keeper.lasting && answers.entries.length > (answers.saved ?? 0)) e.preventDefault(); });
// Two windows would write into each other's chain.
window.addEventListener("storage", (e) => {
  if (e.key?.startsWith(answers.keeper.prefix + "e") && e.newValue !== null) message("This study is open in another window", ["Go on there, or close it and open this page again."]);
});
answers.begun = { has: (session) => plan.steps.some((s, n) => s.session === session && answers.done.has(n)) };
intro();
