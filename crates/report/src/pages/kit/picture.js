// Pictures with boxes on them, as `MARK_STYLES` of the viewer has them.
const markStyle = (kind) => MARK_STYLES[kind] ?? MARK_STYLES.model;
// More boxes than this have their number alone beside them, so that labels do not hide what they name.
const NAMED = 3;

// `p` as the page's data has it; `page` gives its images, values and window presets, and says whether boxes
// are drawn.
function picture(p, page) {
  if (p.image === null) return el("figure", {}, el("div", { class: "missing" }, p.caption));
  const frame = el("div", { class: "frame" });
  // A picture that was made smaller says the size that its boxes refer to.
  const image = page.images[p.image];
  const img = el("img", { src: image.uri || image, alt: p.caption });
  const figure = el("figure", {}, frame,
    el("figcaption", {}, p.caption + (image.uri ? " · re-compressed" : "")),
    el("button", { type: "button", class: "enlarge", onclick: () => enlarge(p, page) }, "Enlarge"));
  img.addEventListener("load", () => {
    const [w, h] = image.uri ? [image.width, image.height] : [img.naturalWidth, img.naturalHeight];
    img.style.width = Math.min(520, Math.max(w, 360)) + "px";
    const layer = svg("svg", { viewBox: `0 0 ${w} ${h}`, preserveAspectRatio: "none" });
    const unit = w / (img.clientWidth || w);
    for (const [n, b] of (page.boxes() ? p.boxes : []).entries()) {
      const { colour, dash } = markStyle(b.kind);
      const words = p.boxes.length > NAMED ? String(n + 1) : `${n + 1} ${b.label}`;
      const below = b.kind === "reference" || b.xyxy[1] < 16 * unit;
      const [x0, y0, x1, y1] = b.xyxy;
      const shape = { x: x0, y: y0, width: Math.max(0, x1 - x0), height: Math.max(0, y1 - y0), fill: "none" };
      layer.append(
        svg("rect", { ...shape, stroke: "#000", "stroke-width": 4 * unit, "stroke-opacity": .6 }),
        svg("rect", { ...shape, stroke: colour, "stroke-width": 2 * unit, "stroke-dasharray": dash.map((d) => d * unit).join(" "), "data-kind": b.kind }),
        svg("text", { x: x0, y: below ? Math.min(h - 4 * unit, y1 + 14 * unit) : y0 - 5 * unit, fill: colour, stroke: "#000", "stroke-width": 3 * unit, "paint-order": "stroke", "font-size": 13 * unit, "font-family": "system-ui,sans-serif" }, words));
    }
    frame.append(layer);
    if (p.values !== undefined) windowed(page.values[p.values], img, frame, page.windows);
  }, { once: true });
  frame.append(img);
  img.addEventListener("click", () => enlarge(p, page));
  return figure;
}

// Which line is whose, of the boxes on these pictures; `names` by kind.
function legend(pictures, names) {
  const kinds = new Set(pictures.flatMap((p) => p.boxes.map((b) => b.kind)));
  const entry = (kind) => {
    const line = svg("svg", { width: 26, height: 8, "aria-hidden": "true" });
    line.append(svg("line", { x1: 0, y1: 4, x2: 26, y2: 4, stroke: markStyle(kind).colour, "stroke-width": 3, "stroke-dasharray": markStyle(kind).dash.join(" ") }));
    return el("span", {}, line, " " + names[kind]);
  };
  return kinds.size ? el("p", { class: "note legend" }, ...[...kinds].map(entry)) : null;
}
