// Grey levels from values, and a picture whose window a reader sets.
// Shares of the grey range by DICOM PS3.3 C.11.2.1, then the nearest level, halves to even.
const share = (f, v, centre, width) => f === "sigmoid" ? 1 / (1 + Math.exp(-4 * (v - centre) / width))
  : f === "linear_exact" ? Math.min(1, Math.max(0, (v - centre) / width + 0.5))
    : width <= 1 ? (v > centre - 0.5 ? 1 : 0)
      : Math.min(1, Math.max(0, (v - (centre - 0.5)) / (width - 1) + 0.5));
const nearest = (x) => { const r = Math.round(x); return x - Math.floor(x) === 0.5 && r % 2 ? r - 1 : r; };

// A canvas in place of the picture, and the controls that set its window: `presets` are named windows in
// Hounsfield units.
function windowed(source, img, frame, presets) {
  const canvas = el("canvas", { tabindex: "0", "aria-label": img.alt });
  const own = { centre: source.centre, width: source.width, function: source.function };
  const now = { ...own };
  let numbers = null;
  const paint = () => {
    if (!numbers) return;
    const context = canvas.getContext("2d");
    const image = context.createImageData(canvas.width, canvas.height);
    const table = new Map();
    for (let i = 0; i < numbers.length; i++) {
      let level = table.get(numbers[i]);
      if (level === undefined) {
        level = nearest(255 * share(now.function, source.offset + source.scale * numbers[i], now.centre, now.width));
        if (source.inverted) level = 255 - level;
        table.set(numbers[i], level);
      }
      image.data.set([level, level, level, 255], 4 * i);
    }
    context.putImageData(image, 0, 0);
    says.textContent = `centre ${Math.round(now.centre * 10) / 10}  width ${Math.round(now.width * 10) / 10}`;
  };
  const set = (centre, width, how = "linear") => { Object.assign(now, { centre, width: Math.max(width, how === "linear" ? 1 : 1e-6), function: how }); select.value = ""; paint(); };
  const reset = () => set(own.centre, own.width, own.function);
  const [low, high] = source.range;
  const choices = [["as given", reset], ...(source.hounsfield ? presets.map((p) => [p.name, () => set(p.centre, p.width)]) : []),
    ["full range", () => set((low + high) / 2, Math.max(high - low, 1), "linear_exact")]];
  const says = el("span", { class: "note", style: "margin:0" });
  const unit = source.hounsfield ? " (HU)" : "";
  const select = el("select", { "aria-label": "Window" + unit, onchange: () => choose(Number(select.value)) },
    ...choices.map(([name], n) => el("option", { value: n }, name.replaceAll("-", " "))), el("option", { value: "", disabled: true, hidden: true }, "own window"));
  let at = 0;
  const choose = (n) => { at = n; choices[n][1](); select.value = String(n); };
  const bar = el("div", { class: "window", role: "group", "aria-label": "Window" + unit }, select, says);
  // Dragging: to the side for the width, up and down for the centre, as viewers do.
  let from = null;
  canvas.addEventListener("pointerdown", (e) => { from = { x: e.clientX, y: e.clientY, ...now }; canvas.setPointerCapture(e.pointerId); });
  canvas.addEventListener("pointermove", (e) => {
    if (!from) return;
    const step = Math.max(high - low, 1) / 600;
    set(from.centre + (e.clientY - from.y) * step, from.width + (e.clientX - from.x) * step, from.function === "sigmoid" ? "linear" : from.function);
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
  canvas.addEventListener("dblclick", () => choose(0));
  canvas.addEventListener("keydown", (e) => {
    const step = Math.max(high - low, 1) / 100;
    const act = {
      w: () => choose((at + 1) % choices.length),
      ArrowUp: () => set(now.centre + step, now.width, now.function), ArrowDown: () => set(now.centre - step, now.width, now.function),
      ArrowRight: () => set(now.centre, now.width + step, now.function), ArrowLeft: () => set(now.centre, now.width - step, now.function),
    }[e.key];
    if (act) { act(); e.preventDefault(); e.stopPropagation(); }
  });
  const packed = new Image();
  packed.addEventListener("load", () => {
    const [w, h] = [packed.naturalWidth, packed.naturalHeight];
    Object.assign(canvas, { width: w, height: h });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(packed, 0, 0);
    const { data: bytes } = context.getImageData(0, 0, w, h);
    numbers = new Uint16Array(w * h);
    for (let i = 0; i < numbers.length; i++) numbers[i] = 256 * bytes[4 * i] + bytes[4 * i + 1];
    paint();
    canvas.style.width = img.style.width;
    canvas.style.aspectRatio = img.style.aspectRatio;
    img.replaceWith(canvas);
    canvas.dataset.ready = "true";
  }, { once: true });
  packed.src = source.uri;
  frame.after(bar);
}
