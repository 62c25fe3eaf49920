const ZOOM = { most: 32, step: 1.5, pan: 0.1 };

/** The pictures of a pair: any two on the stage, all in the gallery, moved and magnified together. */
class Comparison {
  constructor({ pairs, pictures, better }) {
    Object.assign(this, { pairs, pictures, better, pair: pairs[0], left: null, right: null });
    this.root = byId("compare");
    this.stage = byId("stage");
    const several = new Set(pairs.map(({ benchmark }) => benchmark)).size > 1;
    const label = ({ benchmark, name }) => (several ? `${benchmark} / ${name}` : name);
    byId("pair").append(...pairs.map((pair, index) => element("option", { value: index }, label(pair))));
    this.connect();
    this.resetZoom();
    this.open(0);
  }

  connect() {
    byId("pair").addEventListener("change", (event) => this.open(Number(event.target.value)));
    byId("previous").addEventListener("click", () => this.open(this.index - 1));
    byId("next").addEventListener("click", () => this.open(this.index + 1));
    for (const side of ["left", "right"]) byId(side).addEventListener("change", (event) => this.choose(side, event.target.value));
    byId("swap").addEventListener("click", () => this.exchange());
    byId("mode").addEventListener("change", (event) => this.setMode(event.target.value));
    byId("show").addEventListener("change", () => this.fillGallery());
    byId("split").addEventListener("input", (event) => this.setSplit(Number(event.target.value)));
    byId("gain").addEventListener("change", (event) => this.root.style.setProperty("--gain", event.target.value));
    byId("play").addEventListener("click", () => this.play(byId("play").ariaPressed !== "true"));
    byId("interval").addEventListener("change", () => this.play(true));
    byId("zoom-in").addEventListener("click", () => this.zoomBy(ZOOM.step));
    byId("zoom-out").addEventListener("click", () => this.zoomBy(1 / ZOOM.step));
    byId("zoom-reset").addEventListener("click", () => this.resetZoom());
    this.stage.addEventListener("keydown", (event) => this.key(event));
    new Gestures(this.root, this);
    this.setSplit(50);
    this.root.style.setProperty("--gain", byId("gain").value);
    this.setMode("slider");
  }

  get index() {
    return this.pairs.indexOf(this.pair);
  }

  /** Show a pair; what was chosen for the sides stays where the pair has it. */
  open(index) {
    this.pair = this.pairs[(index + this.pairs.length) % this.pairs.length];
    byId("pair").value = this.index;
    const [width, height] = this.pair.size ?? [1, 1];
    this.root.style.setProperty("--ratio", width / height);
    const names = this.pair.shown.map(title);
    for (const side of ["left", "right"]) {
      byId(side).replaceChildren(...names.map((name) => element("option", {}, name)));
      const first = { left: names[0], right: this.pair.shown.filter(({ kind }) => kind === "result").map(title)[0] };
      this.choose(side, names.includes(this[side]) ? this[side] : first[side]);
    }
    this.fillGallery();
    byId("pair-scores").replaceChildren(sortedTable(this.pair.scores, this.better));
    this.root.classList.toggle("without-pictures", names.length === 0);
  }

  choose(side, name) {
    this[side] = name;
    byId(side).value = name;
    const item = this.pair.shown.find((shown) => title(shown) === name);
    const view = this.stage.querySelector(`[data-side=${side}]`);
    view.replaceChildren(...(item ? [this.picture(item), element("span", { class: "chip" }, name)] : []));
    this.sayVisible();
  }

  exchange() {
    const { left, right } = this;
    this.choose("left", right);
    this.choose("right", left);
  }

  setMode(mode) {
    this.stage.dataset.mode = mode;
    for (const control of this.root.querySelectorAll("[data-for]")) control.hidden = control.dataset.for !== mode;
    this.play(mode === "flicker" && !matchMedia("(prefers-reduced-motion: reduce)").matches);
  }

  setSplit(percent) {
    const kept = Math.min(Math.max(percent, 0), 100);
    byId("split").value = kept;
    this.root.style.setProperty("--split", kept / 100);
  }

  play(on) {
    clearInterval(this.timer);
    byId("play").ariaPressed = String(on);
    if (on) this.timer = setInterval(() => this.flip(), Number(byId("interval").value));
    this.sayVisible();
  }

  flip() {
    this.stage.classList.toggle("flipped");
    this.sayVisible();
  }

  sayVisible() {
    byId("visible").textContent = this.stage.classList.contains("flipped") ? this.right : this.left;
  }

  /** Magnify around a point, given as a share of the view. */
  zoomBy(factor, x = 0.5, y = 0.5) {
    const zoom = Math.min(Math.max(this.zoom * factor, 1), ZOOM.most);
    this.place(zoom, x - ((x - this.x) * zoom) / this.zoom, y - ((y - this.y) * zoom) / this.zoom);
  }

  panBy(x, y) {
    this.place(this.zoom, this.x + x, this.y + y);
  }

  resetZoom() {
    this.place(1, 0, 0);
  }

  place(zoom, x, y) {
    const inside = (offset) => Math.min(Math.max(offset, 1 - zoom), 0);
    Object.assign(this, { zoom, x: inside(x), y: inside(y) });
    for (const [name, value] of [["--zoom", zoom], ["--x", this.x], ["--y", this.y]]) this.root.style.setProperty(name, value);
    this.root.classList.toggle("zoomed", zoom > 1);
    this.root.classList.toggle("magnified", zoom >= 4);
    byId("zoom-level").textContent = `${Math.round(100 * zoom)} %`;
  }

  key(event) {
    const pans = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (pans[event.key] && this.zoom > 1) this.panBy(...pans[event.key].map((part) => part * ZOOM.pan));
    else if (event.key === "+" || event.key === "=") this.zoomBy(ZOOM.step);
    else if (event.key === "-") this.zoomBy(1 / ZOOM.step);
    else if (event.key === "0") this.resetZoom();
    else if (event.key === " " && this.stage.dataset.mode === "flicker") {
      this.play(false);
      this.flip();
    } else return;
    event.preventDefault();
  }

  fillGallery() {
    const show = byId("show").querySelector(":checked").value;
    const source = this.pair.shown.find((item) => title(item) === show);
    const kinds = show === "maps" ? ["map"] : show === "results" ? ["source", "result"] : ["result"];
    const tiles = this.pair.shown.filter((item) => kinds.includes(item.kind)).map((item) => this.tile(item, source));
    const failures = Object.entries(this.pair.errors).map(([method, error]) =>
      element("figure", { class: "tile failed" }, element("p", {}, error), element("figcaption", {}, method)));
    byId("gallery").replaceChildren(...tiles, ...failures);
  }

  tile(item, source) {
    const view = element("div", { class: "view" }, this.picture(item));
    if (source) {
      view.classList.add("difference");
      view.prepend(this.picture(source));
    }
    const sides = ["left", "right"].map((side) => {
      const button = element("button", { type: "button", "aria-label": `Show ${title(item)} on the ${side}` }, side === "left" ? "L" : "R");
      button.addEventListener("click", () => this.choose(side, title(item)));
      return button;
    });
    return element("figure", { class: "tile" }, view, element("figcaption", {}, element("span", {}, item.label), ...sides));
  }

  /** A picture; a result that is the sources weighted by a map is made of them. */
  picture(item) {
    const frame = element("div", { class: "picture", role: "img", "aria-label": title(item) });
    if (item.weights === undefined) {
      frame.append(this.image(item.picture));
      return frame;
    }
    const [a, b] = this.pair.shown.map((source) => source.picture);
    const upper = this.image(a);
    upper.style.maskImage = `url(${this.pictures[item.weights]})`;
    frame.append(this.image(b), upper);
    return frame;
  }

  image(number) {
    return element("img", { src: this.pictures[number], alt: "", draggable: "false" });
  }
}

function title({ label, kind }) {
  return kind === "map" ? `${label}: map` : label;
}
