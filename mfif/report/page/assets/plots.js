const PLOT = { width: 360, row: 22, top: 6, axis: 26, right: 12 };

/** A score against the methods: a dot for each pair, mean and standard deviation over them. */
function dotPlot(name, direction, series) {
  const values = series.flatMap((item) => item.values);
  const left = Math.min(130, 18 + 7 * Math.max(...series.map((item) => item.method.length)));
  const bottom = PLOT.top + PLOT.row * series.length;
  const ticks = niceTicks(Math.min(...values), Math.max(...values));
  const [low, high] = [Math.min(ticks[0], ...values), Math.max(ticks[ticks.length - 1], ...values)];
  const place = (value) => left + ((value - low) / (high - low || 1)) * (PLOT.width - left - PLOT.right);
  const figures = series.map((item) => ({ ...item, ...spread(item.values) }));
  const said = figures.map(({ method, mean, deviation }) => `${method} ${mean.toFixed(3)} ± ${deviation.toFixed(3)}`);
  const grid = ticks.map((tick) => drawn("g", { class: "tick" },
    drawn("line", { x1: place(tick), x2: place(tick), y1: PLOT.top, y2: bottom }),
    drawn("text", { x: place(tick), y: bottom + 16, "text-anchor": "middle" }, String(tick))));
  const rows = figures.map((item, index) => methodRow(item, PLOT.top + PLOT.row * (index + 0.5), left, place));
  const size = { viewBox: `0 0 ${PLOT.width} ${bottom + PLOT.axis}`, role: "img", "aria-label": `${name}: ${said.join(", ")}` };
  const caption = element("figcaption", {}, withDirection(name, direction));
  return element("figure", { class: "plot" }, caption, drawn("svg", size, ...grid, ...rows));
}

function methodRow({ method, values, mean, deviation }, y, left, place) {
  const short = method.length > 16 ? `${method.slice(0, 15)}…` : method;
  const dots = values.map((value) => `M${place(value).toFixed(1)} ${y}h0`).join("");
  return drawn("g", {},
    drawn("title", {}, `${method}: mean ${mean.toFixed(4)}, standard deviation ${deviation.toFixed(4)}, pairs ${values.length}`),
    drawn("text", { x: left - 12, y: y + 4, "text-anchor": "end" }, short),
    drawn("path", { class: "dots", d: dots }),
    drawn("line", { class: "spread", x1: place(mean - deviation), x2: place(mean + deviation), y1: y, y2: y }),
    drawn("line", { class: "mean", x1: place(mean), x2: place(mean), y1: y - 7, y2: y + 7 }));
}

function spread(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, deviation: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : 0 };
}

/** Three to six round figures that span an interval. */
function niceTicks(low, high) {
  const rough = (high - low || Math.abs(high) || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough);
  const count = Math.floor(high / step + 1e-9) - Math.ceil(low / step - 1e-9) + 1;
  const digits = Math.max(0, 1 - Math.floor(Math.log10(step)));
  return Array.from({ length: Math.max(count, 1) }, (_, index) => Number(((Math.ceil(low / step - 1e-9) + index) * step).toFixed(digits)));
}
