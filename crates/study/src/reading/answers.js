// What a reader has answered: a chain of entries, each kept as soon as it is made.

// Kept by the browser; where that is not possible, in memory, and the page says so.
class Keeper {
  constructor(prefix) {
    this.prefix = prefix;
    this.memory = new Map();
    this.lasting = true;
    try {
      localStorage.setItem(prefix + "try", "1");
      this.lasting = localStorage.getItem(prefix + "try") === "1";
      localStorage.removeItem(prefix + "try");
    } catch { this.lasting = false; }
  }
  get(key) {
    if (this.memory.has(key)) return this.memory.get(key);
    try { return this.lasting ? localStorage.getItem(this.prefix + key) : null; } catch { return null; }
  }
  // False when the browser did not take it.
  set(key, value) {
    try {
      if (this.lasting) { localStorage.setItem(this.prefix + key, value); this.memory.delete(key); return true; }
    } catch { this.lasting = false; }
    this.memory.set(key, value);
    return false;
  }
}

// Entry n is a line of JSON and the digest of the digest before it and the line, so that none can be changed, taken out or put in
// without a trace. The first digest is that of the plan and the reader.
class Answers {
  constructor(plan, reader, study) {
    Object.assign(this, { plan, reader, study, entries: [], keeper: new Keeper(`loupe-study:${plan}:`) });
    this.start = sha256(`loupe-answers/1\n${plan}\n${reader}`);
    for (let n = 0; ; n++) {
      const kept = this.keeper.get("e" + n);
      if (kept === null) break;
      this.entries.push(JSON.parse(kept));
    }
    this.replay();
  }
  get last() { return this.entries.length ? this.entries[this.entries.length - 1].hash : this.start; }

  add(kind, more = {}) {
    const line = JSON.stringify({ n: this.entries.length, at: new Date().toISOString(), kind, ...more });
    const entry = { line, hash: sha256(this.last + "\n" + line) };
    this.entries.push(entry);
    this.take(JSON.parse(line));
    return this.keeper.set("e" + (this.entries.length - 1), JSON.stringify(entry));
  }

  replay() {
    Object.assign(this, { values: new Map(), done: new Set(), finished: new Map(), overrides: new Set() });
    for (const { line } of this.entries) this.take(JSON.parse(line));
  }
  take(said) {
    if (said.kind === "answered") this.values.set(`${said.step} ${said.question}`, said.value);
    if (said.kind === "done") this.done.add(said.step);
    if (said.kind === "finished") this.finished.set(said.session, said.at);
    if (said.kind === "override") this.overrides.add(said.session);
  }
  value(step, question) { return this.values.get(`${step} ${question}`); }
  answer(step, question, value) {
    if (JSON.stringify(this.value(step, question)) !== JSON.stringify(value)) this.add("answered", { step, question, value });
  }

  file(complete) {
    return JSON.stringify({ format: "loupe-answers/1", study: this.study, reader: this.reader, plan: this.plan, complete, entries: this.entries });
  }
  // Goes on from a file that this reader saved; says why not.
  load(text) {
    let file;
    try { file = JSON.parse(text); } catch { return "This file is no file of answers."; }
    if (file?.format !== "loupe-answers/1" || !Array.isArray(file.entries)) return "This file is no file of answers.";
    if (file.plan !== this.plan || file.reader !== this.reader) return "This file belongs to another reader or to another page.";
    let hash = this.start;
    for (const entry of file.entries) {
      hash = sha256(hash + "\n" + entry.line);
      if (hash !== entry.hash) return "This file was changed after it was saved.";
    }
    if (file.entries.length < this.entries.length || this.entries.some((e, n) => e.hash !== file.entries[n].hash)) return "This browser holds other or newer answers than the file.";
    file.entries.slice(this.entries.length).forEach((e, n) => this.keeper.set("e" + (this.entries.length + n), JSON.stringify(e)));
    this.entries = file.entries;
    this.replay();
    return null;
  }
}

// Reading time: pauses count up to `idle` seconds, a hidden page not at all.
class Clock {
  constructor(idle) {
    Object.assign(this, { idle: idle * 1000, active: 0, away: 0, last: performance.now(), running: !document.hidden });
    for (const kind of ["pointerdown", "pointermove", "keydown", "wheel", "input"]) document.addEventListener(kind, () => this.mark(), { capture: true, passive: true });
    document.addEventListener("visibilitychange", () => { this.mark(); this.running = !document.hidden; });
  }
  // What has passed since the last sign of life, as reading time and as pause.
  passed() {
    const gap = performance.now() - this.last, counted = this.running ? Math.min(gap, this.idle) : 0;
    return [counted, gap - counted];
  }
  mark() {
    const [active, away] = this.passed();
    this.active += active; this.away += away; this.last = performance.now();
  }
  reset(active = 0, away = 0) { Object.assign(this, { active: active * 1000, away: away * 1000, last: performance.now() }); }
  seconds() {
    const [active, away] = this.passed();
    return [this.active + active, this.away + away].map((ms) => Math.round(ms) / 1000);
  }
}
