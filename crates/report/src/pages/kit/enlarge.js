// A picture of the page in the viewer, as large as the window.
class Enlarged extends Viewer {
  numbers() { return this.series.numbers ?? super.numbers(); }
  // Nothing before the size of the window is known.
  draw() { if (this.whole) super.draw(); }
}

// The pixels of an image as the viewer's series has them: values behind a window, or colours plane after plane.
function seriesOf(image, source, p) {
  const [width, height] = [image.naturalWidth, image.naturalHeight], size = width * height;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const all = { width, height, first: 0, slices: [null], letters: p.letters, spacing: p.spacing };
  if (source) {
    const numbers = new Uint16Array(size);
    for (let i = 0; i < size; i++) numbers[i] = 256 * data[4 * i] + data[4 * i + 1];
    const { offset, scale, range, inverted, hounsfield } = source;
    return { ...all, numbers, channels: 1, bytes: 2, offset, scale, range, inverted, hounsfield, window: windowOf(source) };
  }
  const numbers = new Uint8Array(3 * size);
  for (let i = 0; i < size; i++) for (let c = 0; c < 3; c++) numbers[i + c * size] = data[4 * i + c];
  return { ...all, numbers, channels: 3, bytes: 1, offset: 0, scale: 1, range: [0, 255], inverted: false, hounsfield: false };
}
const windowOf = (source) => ({ centre: source.centre, width: source.width, function: source.function });

// The block with the slices of a picture's volume, where the page has it.
const volumeBlock = (p) => p.volume ? document.getElementById("volume-" + p.volume.number) : null;
// The slices around the picture, which is the first to be shown, in the window that the model saw; nothing where the page has none.
function volumeOf(p, source) {
  const block = volumeBlock(p);
  if (!block) return null;
  const series = JSON.parse(block.textContent);
  const first = series.slice_numbers.indexOf(p.volume.slice);
  return first < 0 ? null : { ...series, first, window: source && series.window ? windowOf(source) : series.window };
}

// The picture's pixels for the viewer, once the browser has them: `share` is what a pixel of the picture takes.
const pixelsOf = (p, page) => new Promise((done) => {
  const source = p.values === undefined ? null : page.values[p.values], stored = page.images[p.image];
  const image = new Image();
  image.addEventListener("load", () => {
    const series = seriesOf(image, source, p);
    // A picture that was made smaller has boxes in its own pixels.
    const share = !source && stored.uri ? series.width / stored.width : 1;
    if (series.spacing) series.spacing = series.spacing.map((mm) => mm / share);
    done({ p, series, share });
  }, { once: true });
  image.src = source ? source.uri : stored.uri || stored;
});

// `p` as the page's data has it, `page` as for `picture`; `beside` are pictures with a name each, of which it is one.
function enlarge(p, page, beside) {
  const volume = volumeOf(p, p.values === undefined ? null : page.values[p.values]);
  if (volume) showEnlarged({ p, series: volume, share: 1 }, page, beside);
  else pixelsOf(p, page).then((own) => showEnlarged(own, page, beside));
}

// All marks as the viewer has them; those of slices that are not there are left out.
function marksOf(series, p, share) {
  const slice = (m) => series.slice_numbers ? series.slice_numbers.indexOf(m.slice) : m.slice === (p.volume?.slice ?? 0) ? 0 : -1;
  const masks = (p.masks ?? []).map((m) => ({ label: m.label, kind: m.kind, slice: slice(m), outlines: m.outlines.map((line) => line.map((at) => at.map((v) => v * share))) }));
  const boxes = p.boxes.map((b, n) => ({ id: n, label: `${n + 1} ${b.label}`, kind: b.kind, slice: series.first, box: b.xyxy.map((v) => v * share) }));
  return [...masks, ...boxes].filter((m) => m.slice >= 0);
}

// `own` is alone at first. Side by side are the pictures of `beside`, or the kinds of its marks.
function showEnlarged(own, page, beside = []) {
  const { p, series } = own, pictures = beside.length > 1;
  const drawn = (of) => [...of.boxes, ...of.masks ?? []].map((m) => m.kind);
  const kinds = [...new Set([p, ...beside.map((b) => b.p)].flatMap(drawn))];
  const hidden = new Set(kinds.filter((kind) => !page.shows(kind)));
  const marks = (part) => marksOf(part.series, part.p, part.share).filter((m) => !hidden.has(m.kind) && (!part.kind || m.kind === part.kind));
  const words = ({ series: of }) => of.slice_numbers ? (n) => `slice ${of.slice_numbers[n]}${n === of.first ? " · as asked" : ""}` : null;
  const host = el("div", { class: "host" });
  let parts = [own], viewers = [];
  const build = (now) => {
    parts = now;
    viewers.forEach((v) => v.remove());
    const hosts = parts.map((part) => el("div", { class: "part" }, part.name ? el("h3", {}, part.name) : "", el("div", { class: "part-view" })));
    host.replaceChildren(...hosts);
    viewers = hosts.map((home, n) => new Enlarged(home.lastChild, parts[n].series, {
      label: parts[n].name ? `${parts[n].p.caption}: ${parts[n].name}` : p.caption, presets: page.windows, tools: ["window", "pan", "measure"],
      marks: marks(parts[n]), slice: words(parts[n]) }));
    viewers.forEach((viewer, n) => { if (parts[n].series.slice_numbers) viewer.slider.setAttribute("list", "own-slice"); });
    Viewer.link(viewers);
    viewers[0].stage.focus();
  };
  const sides = async () => {
    const apart = parts.length === 1;
    button.setAttribute("aria-pressed", String(apart));
    if (!apart) build([own]);
    else if (pictures) build(await Promise.all(beside.map(async (b) => ({ ...await pixelsOf(b.p, page), name: b.name }))));
    else build(kinds.map((kind) => ({ ...own, kind, name: page.names[kind] })));
  };
  const asked = () => viewers[0].go(parts[0].series.first);
  const toggles = kinds.map((kind) => kindButton(kind, page.names, !hidden.has(kind), (on) => {
    if (on) hidden.delete(kind); else hidden.add(kind);
    viewers.forEach((v, n) => v.mark(marks(parts[n])));
  }));
  const button = pictures || kinds.length > 1 ? el("button", { type: "button", "aria-pressed": "false", title: "Side by side (s)", onclick: sides }, "Side by side") : null;
  const back = series.slice_numbers ? el("button", { type: "button", title: "The slice that was asked about (o)", onclick: asked }, "Slice as asked") : null;
  // Only those that do something to this picture.
  const idle = [...(series.slice_numbers ? [] : ["↑ ↓"]), ...(series.window ? [] : ["w", "j l", "i k"]), ...(kinds.length ? [] : ["h"])];
  const keys = [...VIEWER_KEYS.filter(([key]) => !idle.includes(key)), ...(button ? [["s", "side by side"]] : []), ...(back ? [["o", "slice as asked"]] : [])];
  const dialog = el("dialog", { class: "enlarged", "aria-label": p.caption },
    el("div", { class: "enlarged-head" }, el("span", {}, p.caption), el("span", { class: "actions" }, ...toggles, button, back, el("button", { type: "button", onclick: () => end() }, "Close"))),
    host, el("p", { class: "keys" }, ...keys.flatMap(([key, what]) => [el("kbd", {}, key), ` ${what}  `])),
    // A tick where the slice lies.
    series.slice_numbers ? el("datalist", { id: "own-slice" }, el("option", { value: series.first })) : null);
  document.body.append(dialog);
  dialog.showModal();
  build([own]);
  const at = () => viewers.find((v) => v.stage.contains(document.activeElement)) ?? viewers[0];
  dialog.addEventListener("keydown", (e) => {
    if (e.target.tagName === "SELECT" || e.ctrlKey || e.metaKey || e.altKey) return;
    const act = { s: button && sides, o: back && asked }[e.key];
    if (act) act();
    else if (!at().key(e)) return;
    e.preventDefault();
  });
  const end = () => { viewers.forEach((v) => v.remove()); dialog.close(); dialog.remove(); };
  dialog.addEventListener("cancel", (e) => { e.preventDefault(); end(); });
}
