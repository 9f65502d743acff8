// One form for each type of question. A form shows a value, says it when it changes, and tells what is missing. `ask` has `value`,
// `set(value)` (kept at once), `draft(value)` (kept as a draft), `onward()` (to the next open question), `viewer()`, `pick(id)`,
// `marks()` (draws them anew) and `view`.
const FORMS = {
  rating: (q, ask) => {
    const number = el("input", { type: "number", min: q.min, max: q.max, step: "any", inputmode: "decimal", class: "number", "aria-label": q.text, value: ask.value ?? null });
    const slide = el("input", { type: "range", min: q.min, max: q.max, step: (q.max - q.min) / 100, tabindex: "-1", "aria-hidden": "true", class: ask.value === undefined ? "unset" : null });
    if (ask.value !== undefined) slide.value = ask.value;
    const take = (from) => {
      const value = from.value === "" ? NaN : Number(from.value), fits = value >= q.min && value <= q.max;
      number.setAttribute("aria-invalid", String(number.value !== "" && !fits));
      if (!fits) return ask.set(undefined);
      if (from === slide) number.value = value;
      slide.value = value;
      slide.classList.remove("unset");
      ask.set(value);
    };
    number.addEventListener("change", () => take(number));
    slide.addEventListener("input", () => { slide.classList.remove("unset"); number.value = slide.value; });
    slide.addEventListener("change", () => take(slide));
    return {
      node: el("div", { class: "rating" }, el("div", { class: "scale" }, slide, number), el("div", { class: "ends" }, el("span", {}, q.low || String(q.min)), el("span", {}, q.high || String(q.max)))),
      // A digit anywhere begins a new rating.
      key: (e) => { if (!/^[\d.-]$/.test(e.key)) return false; number.value = ""; number.focus(); return "type"; },
    };
  },
  count: (q, ask) => {
    const number = el("input", { type: "number", min: 0, step: 1, class: "number", "aria-label": q.text, value: ask.value ?? null });
    number.addEventListener("change", () => ask.set(/^\d{1,4}$/.test(number.value) ? Number(number.value) : undefined));
    return { node: number, key: (e) => { if (!/^\d$/.test(e.key)) return false; number.value = ""; number.focus(); return "type"; } };
  },
  options: (q, ask, all, multiple) => {
    const chosen = () => multiple ? ask.value ?? [] : [ask.value];
    const pick = (value) => {
      ask.set(!multiple ? value : chosen().includes(value) ? chosen().filter((v) => v !== value) : [...chosen(), value]);
      show();
      return multiple ? true : "next";
    };
    const buttons = all.map(([value, words], n) => el("button", { type: "button", role: multiple ? "checkbox" : "radio", onclick: () => { if (pick(value) === "next") ask.onward(); } }, el("kbd", {}, String(n + 1)), el("span", {}, words)));
    const show = () => buttons.forEach((b, n) => b.setAttribute("aria-checked", String(chosen().includes(all[n][0]))));
    show();
    return { node: el("div", { class: "options", role: multiple ? "group" : "radiogroup", "aria-label": q.text }, ...buttons), key: (e) => { const at = Number(e.key) - 1; return /^\d$/.test(e.key) && all[at] ? pick(all[at][0]) : false; } };
  },
  likert: (q, ask) => FORMS.options(q, ask, q.anchors.map((words, n) => [n + 1, words]), false),
  choice: (q, ask) => FORMS.options(q, ask, q.options.map((o) => [o, o]), q.multiple),
  prefer: (q, ask) => FORMS.options(q, ask, [["left", "Left"], ["tie", "Both alike"], ["right", "Right"], ...(q.neither ? [["neither", "Neither will do"]] : [])], false),
  text: (q, ask, start = "") => {
    const area = el("textarea", { rows: q.type === "report" ? 12 : 3, "aria-label": q.text });
    area.value = ask.drafted ?? ask.value ?? start;
    area.addEventListener("input", () => ask.draft(area.value));
    const take = () => ask.set(area.value.trim() || q.type === "report" ? area.value : undefined);
    area.addEventListener("change", take);
    return { node: area, focus: () => area.focus(), flush: take };
  },
  report: (q, ask) => FORMS.text(q, ask, ask.view[0].text ?? ""),
  mark: (q, ask) => {
    const list = el("ol", { class: "marks" });
    const all = () => ask.value ?? [];
    const set = (marks) => { ask.set(marks.length ? marks : undefined); show(); ask.marks(); };
    const show = () => list.replaceChildren(...all().map((m, n) => {
      const number = !q.confidence ? null : el("input", { type: "number", min: 0, max: 100, step: "any", class: "number", "aria-label": `Confidence in mark ${n + 1}, 0 to 100`, value: m.confidence ?? null });
      number?.addEventListener("change", () => {
        const value = number.value === "" ? NaN : Number(number.value);
        ask.set(all().map((o, i) => i === n ? { ...o, confidence: value >= 0 && value <= 100 ? value : undefined } : o));
        number.setAttribute("aria-invalid", String(!(value >= 0 && value <= 100)));
      });
      return el("li", {}, el("button", { type: "button", class: "plain", onclick: () => ask.viewer(m.series ?? 0).go(m.slice) }, [m.box ? "Box" : "Point", ask.title(m.series), ask.viewer(m.series ?? 0).slices > 1 ? `slice ${m.slice + 1}` : ""].filter(Boolean).join(" · ")),
        number, el("button", { type: "button", class: "plain", "aria-label": `Remove mark ${n + 1}`, onclick: () => set(all().filter((_, i) => i !== n)) }, "remove"));
    }));
    show();
    const tool = q.shape === "point" ? "point" : "box";
    return {
      node: el("div", {}, list, el("p", { class: "hint" }, el("kbd", {}, TOOLS[tool][0]), ` ${tool === "box" ? "then drag, or arrows and Enter for two corners" : "then click, or arrows and Enter"}`)),
      // What the viewer draws of it, and what becomes of a new place.
      drawn: () => all().map((m, n) => ({ ...m, kind: "reader", label: `${n + 1}${m.confidence === undefined ? "" : ` · ${m.confidence}`}` })),
      placed: (place) => {
        set([...all(), place]);
        ask.viewer().use("window");
        const last = list.querySelector("li:last-child input");
        if (last) last.focus();
      },
      lacks: () => q.confidence && all().some((m) => m.confidence === undefined) ? "Give each mark a confidence." : null,
    };
  },
  findings: (q, ask) => {
    const findings = (ask.view[0].marks ?? []).flat();
    const all = () => ask.value ?? {};
    let at = 0, redrawn = null;
    const list = el("ol", { class: "findings" });
    const judge = (verdict, more = {}) => {
      const id = findings[at]?.id;
      if (id === undefined) return true;
      ask.set({ ...all(), [id]: { verdict, ...more } });
      if (at < findings.length - 1) at++;
      show(); ask.marks();
      return findings.every((f) => all()[f.id]) ? "next" : true;
    };
    // On the series that the finding is on.
    const redraw = () => {
      redrawn = findings[at]?.id ?? null;
      const viewer = ask.viewer(Math.max(0, (ask.view[0].marks ?? []).findIndex((marks) => marks.some((m) => m.id === redrawn))));
      viewer.stage.focus({ preventScroll: true });
      viewer.use("box");
      return true;
    };
    const show = () => {
      list.replaceChildren(...findings.map((f, n) => el("li", { "aria-current": String(n === at) },
        el("button", { type: "button", class: "plain", onclick: () => { at = n; show(); ask.pick(f.id); } }, f.label || "finding"),
        ...[["accept", "a", "Accept"], ["edit", "e", "Redraw"], ["reject", "x", "Reject"]].map(([verdict, key, name]) =>
          el("button", { type: "button", "aria-pressed": String(all()[f.id]?.verdict === verdict), title: `${name} (${key})`, onclick: () => { at = n; if (verdict === "edit") redraw(); else if (judge(verdict) === "next") ask.onward(); } }, name)))));
      if (!findings.length) list.replaceChildren(el("li", {}, "Nothing is marked on this case."));
    };
    show();
    return {
      node: list,
      enter: () => { if (findings[at]) ask.pick(findings[at].id); },
      key: (e) => e.key === "a" ? judge("accept") : e.key === "x" ? judge("reject") : e.key === "e" ? redraw() : false,
      drawn: () => findings.flatMap((f) => all()[f.id]?.box ? [{ ...all()[f.id], kind: "reader", label: `${f.label} redrawn` }] : []),
      faint: (id) => ["reject", "edit"].includes(all()[id]?.verdict),
      wants: () => redrawn !== null,
      placed: (place) => { at = findings.findIndex((f) => f.id === redrawn); redrawn = null; ask.viewer().use("window"); return judge("edit", place); },
      lacks: () => findings.every((f) => all()[f.id]) ? null : "Judge every finding.",
      empty: !findings.length,
    };
  },
};
