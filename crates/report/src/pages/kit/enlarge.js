// A picture of the page in the viewer, as large as the window.
class Enlarged extends Viewer {
  numbers() { return this.series.numbers; }
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
    return { ...all, numbers, channels: 1, bytes: 2, offset, scale, range, inverted, hounsfield, window: { centre: source.centre, width: source.width, function: source.function } };
  }
  const numbers = new Uint8Array(3 * size);
  for (let i = 0; i < size; i++) for (let c = 0; c < 3; c++) numbers[i + c * size] = data[4 * i + c];
  return { ...all, numbers, channels: 3, bytes: 1, offset: 0, scale: 1, range: [0, 255], inverted: false, hounsfield: false };
}

// `p` as the page's data has it, `page` as for `picture`.
function enlarge(p, page) {
  const source = p.values === undefined ? null : page.values[p.values], stored = page.images[p.image];
  const image = new Image();
  image.addEventListener("load", () => {
    const series = seriesOf(image, source, p);
    // A picture that was made smaller has boxes in its own pixels.
    const share = !source && stored.uri ? series.width / stored.width : 1;
    if (series.spacing) series.spacing = series.spacing.map((mm) => mm / share);
    const marks = p.boxes.map((b, n) => ({ id: n, label: `${n + 1} ${b.label}`, kind: b.kind, box: b.xyxy.map((v) => v * share) }));
    const host = el("div", { class: "host" });
    const dialog = el("dialog", { class: "enlarged", "aria-label": p.caption },
      el("div", { class: "enlarged-head" }, el("span", {}, p.caption), el("button", { type: "button", onclick: () => end() }, "Close")), host,
      el("p", { class: "keys" }, ...VIEWER_KEYS.flatMap(([key, what]) => [el("kbd", {}, key), ` ${what}  `])));
    document.body.append(dialog);
    dialog.showModal();
    const viewer = new Enlarged(host, series, { label: p.caption, presets: page.windows, tools: ["window", "pan", "measure"], marks });
    viewer.reveal(page.boxes());
    dialog.addEventListener("keydown", (e) => { if (e.target.tagName !== "SELECT" && viewer.key(e)) e.preventDefault(); });
    const end = () => { viewer.remove(); dialog.close(); dialog.remove(); };
    dialog.addEventListener("cancel", (e) => { e.preventDefault(); end(); });
    viewer.stage.focus();
  }, { once: true });
  image.src = source ? source.uri : stored.uri || stored;
}
