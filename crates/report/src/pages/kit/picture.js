// Pictures with boxes and masks on them, as `MARK_STYLES` of the viewer has them.
const markStyle = (kind) => MARK_STYLES[kind] ?? MARK_STYLES.model;
// More boxes than this have their number alone beside them, so that labels do not hide what they name.
const NAMED = 3;

// Where the words of a box begin, in pixels of the screen: beside it, where they cover no small box and no other words. `taken` are
// rectangles, to which that of the words is added.
function placeWords([x0, y0, x1, y1], words, below, taken, [width, height]) {
  const wide = 7.5 * words.length + 4, middle = (y0 + y1) / 2 + 4;
  const above = [[x0, y0 - 5], [x0, y0 - 21]], under = [[x0, y1 + 14], [x0, y1 + 30]];
  const all = [...(below ? [...under, ...above] : [...above, ...under]), [x1 + 5, middle], [x0 - 5 - wide, middle]];
  const around = ([x, y]) => [x, y - 12, x + wide, y + 4];
  const apart = (a, b) => a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
  const fits = (r) => r[0] >= 0 && r[1] >= 0 && r[2] <= width && r[3] <= height && taken.every((t) => apart(r, t));
  const at = all.find((place) => fits(around(place))) ?? [x0, below || y0 < 16 ? Math.min(height - 4, y1 + 14) : y0 - 5];
  taken.push(around(at));
  return at;
}

// The marks of a picture in pixels of the screen: `across` and `down` are what a pixel of the picture takes.
function markLayer(p, page, [width, height], [across, down]) {
  const layer = svg("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" });
  const put = (kind, ...nodes) => {
    const group = svg("g", { "data-kind": kind, ...(page.shows(kind) ? {} : { display: "none" }) });
    group.append(...nodes);
    layer.append(group);
  };
  const lines = (name, shape, kind) => [
    svg(name, { ...shape, fill: "none", stroke: "#000", "stroke-width": 4, "stroke-opacity": .6 }),
    svg(name, { ...shape, fill: "none", stroke: markStyle(kind).colour, "stroke-width": 2, "stroke-dasharray": markStyle(kind).dash.join(" "), class: "line" })];
  for (const m of p.masks ?? []) {
    if (m.slice !== (p.volume?.slice ?? 0)) continue;
    const d = m.outlines.map((line) => "M" + line.map(([x, y]) => `${x * across} ${y * down}`).join("L") + "Z").join("");
    put(m.kind, svg("path", { d, fill: markStyle(m.kind).colour, "fill-opacity": .2, "fill-rule": "evenodd" }), ...lines("path", { d }, m.kind));
  }
  const boxes = p.boxes.map((b) => b.xyxy.map((v, i) => v * (i % 2 ? down : across)));
  // Words may lie within what is large.
  const taken = boxes.filter(([x0, y0, x1, y1]) => x1 - x0 < width / 3 && y1 - y0 < height / 3);
  for (const [n, b] of p.boxes.entries()) {
    const [x0, y0, x1, y1] = boxes[n];
    const words = p.boxes.length > NAMED ? String(n + 1) : `${n + 1} ${b.label}`;
    const [x, y] = placeWords(boxes[n], words, b.kind === "reference", taken, [width, height]);
    put(b.kind, ...lines("rect", { x: x0, y: y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0) }, b.kind),
      svg("text", { x, y, fill: markStyle(b.kind).colour, stroke: "#000", "stroke-width": 3, "paint-order": "stroke", "font-size": 13, "font-family": "system-ui,sans-serif" }, words));
  }
  return layer;
}

// `p` as the page's data has it; `page` gives its images, values and window presets, the names of kinds, and says which kinds of
// marks are drawn. `beside` are pictures with a name each that are enlarged side by side with it.
function picture(p, page, beside) {
  if (p.image === null) return el("figure", {}, el("div", { class: "missing" }, p.caption));
  const frame = el("div", { class: "frame" });
  // A picture that was made smaller says the size that its boxes refer to.
  const image = page.images[p.image];
  const img = el("img", { src: image.uri || image, alt: p.caption });
  const figure = el("figure", {}, frame,
    el("figcaption", {}, p.caption + (image.uri ? " · re-compressed" : "")),
    el("button", { type: "button", class: "enlarge", onclick: () => enlarge(p, page, beside) }, volumeBlock(p) ? "Enlarge · slices" : "Enlarge"));
  img.addEventListener("load", () => {
    const [w, h] = image.uri ? [image.width, image.height] : [img.naturalWidth, img.naturalHeight];
    img.style.width = Math.min(520, Math.max(w, 360)) + "px";
    // Millimetres are square on the screen.
    const [across, down] = p.spacing ?? [1, 1];
    if (Math.abs(across - down) > across / 100) img.style.aspectRatio = `${w * across} / ${h * down}`;
    const size = [img.clientWidth || w, img.clientHeight || h];
    frame.append(markLayer(p, page, size, [size[0] / w, size[1] / h]));
    if (p.values !== undefined) windowed(page.values[p.values], img, frame, page.windows);
  }, { once: true });
  frame.append(img);
  img.addEventListener("click", () => enlarge(p, page, beside));
  return figure;
}

// A button with the line of a kind that shows and hides its marks.
function kindButton(kind, names, on, change) {
  const line = svg("svg", { width: 26, height: 8, "aria-hidden": "true" });
  line.append(svg("line", { x1: 0, y1: 4, x2: 26, y2: 4, stroke: markStyle(kind).colour, "stroke-width": 3, "stroke-dasharray": markStyle(kind).dash.join(" ") }));
  const button = el("button", { type: "button", class: "kind", "data-toggle": kind, "aria-pressed": String(on), onclick: () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(now));
    change(now);
  } }, line, " " + names[kind]);
  return button;
}

// Which line is whose, of the marks on these pictures, and what shows and hides them.
function legend(pictures, page) {
  const kinds = new Set(pictures.flatMap((p) => [...p.boxes, ...p.masks ?? []].map((m) => m.kind)));
  const button = (kind) => kindButton(kind, page.names, !page.hidden.has(kind), (on) => page.toggle(kind, on));
  return kinds.size ? el("p", { class: "note legend" }, ...[...kinds].map(button)) : null;
}
