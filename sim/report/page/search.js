// A search: best value and bound over time, and the plans that nothing beats in time and memory.

const CHART = {width: 560, height: 210, left: 74, right: 12, top: 8, bottom: 32};

// Where pictures live; asked of the parser, so that the page names no address.
const SVG = (() => {
  const holder = document.createElement("div");
  holder.innerHTML = "<svg></svg>";
  return holder.firstChild.namespaceURI;
})();

function svgNode(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Round steps that cut [low, high] into at most `most` parts.
function niceTicks(low, high, most) {
  const range = Math.max(high - low, 1e-12);
  let step = Math.pow(10, Math.floor(Math.log10(range / most)));
  for (const factor of [2, 2.5, 2, 2, 2.5]) if (range / step > most) step *= factor;
  const ticks = [];
  for (let t = Math.ceil(low / step) * step; t <= high + step * 1e-9; t += step) ticks.push(t);
  return ticks;
}

const secondsText = (s) => s < 0.001 ? `${(s * 1e6).toPrecision(1)} \u00b5s` : s < 1 ? `${+(s * 1e3).toPrecision(2)} ms` : `${+s.toPrecision(3)} s`;

// A figure with axes; returns where to draw and the scales. `x` and `y`: {low, high, ticks, text, name, log}.
function chart(title, note, x, y) {
  const figure = document.createElement("figure");
  figure.innerHTML = `<figcaption>${escaped(title)}<span>${escaped(note)}</span></figcaption>`;
  const svg = svgNode("svg", {viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: "img", "aria-label": title});
  const part = (axis, value) => axis.log ? Math.log(value / axis.low) / Math.log(axis.high / axis.low) : (value - axis.low) / (axis.high - axis.low);
  const atX = (value) => CHART.left + Math.max(0, Math.min(1, part(x, value))) * (CHART.width - CHART.left - CHART.right);
  const atY = (value) => CHART.height - CHART.bottom - Math.max(0, Math.min(1, part(y, value))) * (CHART.height - CHART.top - CHART.bottom);
  for (const t of y.ticks) {
    svg.append(svgNode("line", {class: "grid", x1: CHART.left, x2: CHART.width - CHART.right, y1: atY(t), y2: atY(t)}));
    svg.append(svgNode("text", {x: CHART.left - 6, y: atY(t) + 4, "text-anchor": "end"}, y.text(t)));
  }
  for (const t of x.ticks) {
    svg.append(svgNode("text", {x: atX(t), y: CHART.height - CHART.bottom + 14, "text-anchor": "middle"}, x.text(t)));
  }
  svg.append(svgNode("text", {x: (CHART.left + CHART.width - CHART.right) / 2, y: CHART.height - 4, "text-anchor": "middle"}, x.name));
  figure.append(svg);
  element("charts").append(figure);
  return {svg, atX, atY};
}

// Values hold until the next step.
function stairs(points, atX, atY, key, end) {
  let path = "";
  let last = null;
  for (const p of points) {
    if (!p[key]) continue;
    path += last === null ? `M${atX(p.seconds)},${atY(p[key])}` : `H${atX(p.seconds)}V${atY(p[key])}`;
    last = p;
  }
  return last === null ? "" : `${path}H${atX(end)}`;
}

function dot(svg, x, y, title, kind = "") {
  const circle = svgNode("circle", {cx: x, cy: y, r: 4.5, class: kind});
  circle.append(svgNode("title", {}, title));
  svg.append(circle);
}

function padded(values, share = 0.06) {
  const low = Math.min(...values), high = Math.max(...values);
  const by = Math.max((high - low) * share, Math.abs(high) * 0.002, 1e-9);
  return {low: Math.max(0, low - by), high: high + by};
}

function progressChart(search, valueText) {
  const steps = search.progress.filter((p) => p.value || p.bound);
  if (!steps.length) return;
  const first = Math.max(0.0005, Math.min(...steps.map((p) => p.seconds)) || 0.0005);
  const end = Math.max(search.seconds, ...steps.map((p) => p.seconds), first * 1.5);
  const x = {low: first, high: end, log: true, text: secondsText, name: "time of the search (logarithmic)", ticks: []};
  for (let t = Math.pow(10, Math.ceil(Math.log10(first) - 1e-9)); t <= end * 1.0001; t *= 10) x.ticks.push(t);
  if (x.ticks.length < 2) x.ticks = [first, end];
  const range = padded(steps.flatMap((p) => [p.value, p.bound]).filter((v) => v));
  const y = {...range, ticks: niceTicks(range.low, range.high, 5), text: valueText};
  const {svg, atX, atY} = chart(`best ${search.objective} over the time of the search`, search.bound ? "line: best plan, dashes: lower bound" : "best plan", x, y);
  const best = stairs(steps, atX, atY, "value", end), bound = stairs(steps, atX, atY, "bound", end);
  if (best && bound) svg.append(svgNode("path", {class: "gap", d: `${best}V${atY(search.bound)}H${atX(steps.find((p) => p.value).seconds)}Z`}));
  if (bound) svg.append(svgNode("path", {class: "bound", d: bound}));
  if (best) svg.append(svgNode("path", {class: "best", d: best}));
  let before = 0;
  for (const p of steps) {
    if (p.value && p.value !== before) dot(svg, atX(p.seconds), atY(p.value), `${valueText(p.value)} after ${secondsText(p.seconds)}: ${p.origin}`);
    before = p.value || before;
  }
}

function frontChart(search) {
  const plans = search.front.filter((p) => p.memory > 0);
  if (!plans.length) return;
  const all = search.start && search.start.memory > 0 ? [...plans, search.start] : plans;
  const xRange = padded(all.map((p) => p.memory)), yRange = padded(all.map((p) => p.time));
  const x = {...xRange, ticks: niceTicks(xRange.low, xRange.high, 5), text: memoryText, name: "peak memory of a device"};
  const y = {...yRange, ticks: niceTicks(yRange.low, yRange.high, 5), text: timeText};
  const {svg, atX, atY} = chart("time against peak memory", "plans that no plan found beats in both; green: the best, hollow: the start", x, y);
  let path = "";
  for (const p of plans) path += path ? `H${atX(p.memory)}V${atY(p.time)}` : `M${atX(p.memory)},${atY(p.time)}`;
  svg.append(svgNode("path", {class: "best", d: path}));
  for (const p of plans) dot(svg, atX(p.memory), atY(p.time), `${timeText(p.time)}, ${memoryText(p.memory)}: ${p.origin}`, p.chosen ? "chosen" : "");
  if (search.start && search.start.memory > 0) dot(svg, atX(search.start.memory), atY(search.start.time), `start, ${search.start.origin}: ${timeText(search.start.time)}, ${memoryText(search.start.memory)}`, "start");
}

function showSearch(search) {
  element("search").hidden = false;
  progressChart(search, search.in_bytes ? memoryText : timeText);
  frontChart(search);
  for (const reason of search.words) {
    const item = document.createElement("li");
    item.textContent = reason;
    element("reasons").append(item);
  }
}
