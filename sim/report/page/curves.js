// Time per iteration, one curve a strategy, each named at its end.

const CURVES = {left: 58, right: 112, top: 10, bottom: 36, height: 340, nearest: 40, manyIterations: 40};

// Round values for a logarithmic axis: 1, 2, 5 times powers of ten.
function logTicks(low, high) {
  const ticks = [];
  for (let power = 10 ** Math.floor(Math.log10(low)); power <= high; power *= 10) {
    for (const factor of [1, 2, 5]) if (power * factor >= low && power * factor <= high) ticks.push(power * factor);
  }
  return ticks;
}

// Iterations as they are drawn: as sampled, or by the time of the best strategy, so that curves of many
// iterations can be told apart.
function iterationOrder(rows, sorted) {
  const order = Array.from({length: Math.max(...rows.map((s) => s.series.times.length))}, (_, i) => i);
  const time = (i) => rows[0].series.times[i] ?? Infinity;
  return sorted ? order.sort((a, b) => time(a) - time(b) || a - b) : order;
}

function seriesScales(rows, width, order) {
  const times = rows.flatMap((s) => s.series.times.filter((t) => t !== null));
  const range = padded(times, 0.08);
  const count = order.length;
  const [unit, divisor] = timeUnit(range.high);
  const log = range.high > 8 * Math.max(1, Math.min(...times));
  if (log) [range.low, range.high] = [Math.min(...times) * 0.85, Math.max(...times) * 1.15];
  const part = log ? (t) => Math.log(t / range.low) / Math.log(range.high / range.low) : (t) => (t - range.low) / (range.high - range.low);
  const bottom = CURVES.height - CURVES.bottom;
  return {
    count, order, unit, divisor,
    ticks: (log ? logTicks(range.low / divisor, range.high / divisor) : niceTicks(range.low / divisor, range.high / divisor, 6)).map((t) => t * divisor),
    x: (i) => CURVES.left + (i + 0.5) / count * (width - CURVES.left - CURVES.right),
    y: (t) => bottom - part(t) * (bottom - CURVES.top),
    at: (x) => Math.floor((x - CURVES.left) / (width - CURVES.left - CURVES.right) * count),
  };
}

// Labels at least `gap` apart, each as near as can be to where it belongs.
function spread(wanted, low, high, gap) {
  const order = wanted.map((y, k) => k).sort((a, b) => wanted[a] - wanted[b]);
  const step = Math.min(gap, (high - low) / Math.max(1, order.length - 1));
  const places = wanted.slice();
  let next = low;
  for (const k of order) { places[k] = Math.max(wanted[k], next); next = places[k] + step; }
  let last = high;
  for (const k of order.reverse()) { places[k] = Math.min(places[k], last); last = places[k] - step; }
  return places;
}

function curvePath(times, scales) {
  let path = "";
  let broken = true;
  times.forEach((t, i) => {
    if (t === null) { broken = true; return; }
    path += `${broken ? "M" : "L"}${scales.x(i).toFixed(1)},${scales.y(t).toFixed(1)}`;
    broken = false;
  });
  return path;
}

function dotsPath(times, scales, radius) {
  return times.map((t, i) => (t === null ? "" : `M${(scales.x(i) - radius).toFixed(1)},${scales.y(t).toFixed(1)}a${radius},${radius} 0 1 0 ${2 * radius},0a${radius},${radius} 0 1 0 ${-2 * radius},0`)).join("");
}

// A cross at the top of the plot for every iteration that cannot run.
function crossesPath(times, scales) {
  return times.map((t, i) => (t === null ? `M${scales.x(i) - 3},${CURVES.top - 3}l6,6m0,-6l-6,6` : "")).join("");
}

const curveStyle = (data, k) => ({colour: data.curves[k % data.curves.length], dash: ["", "6 3", "2 3"][Math.floor(k / data.curves.length) % 3]});

function drawSeriesAxes(svg, scales, width, sorted) {
  const bottom = CURVES.height - CURVES.bottom;
  scales.ticks.forEach((t, k) => {
    const text = `${+(t / scales.divisor).toPrecision(4)}`;
    svg.append(svgNode("line", {class: "grid", x1: CURVES.left, x2: width - CURVES.right, y1: scales.y(t), y2: scales.y(t)}));
    svg.append(svgNode("text", {x: CURVES.left - 8, y: scales.y(t) + 4, "text-anchor": "end"}, k + 1 < scales.ticks.length ? text : `${text} ${scales.unit}`));
  });
  const every = Math.max(1, ...niceTicks(0, scales.count, Math.max(2, Math.floor(width / 90))).slice(1, 2).map(Math.ceil));
  for (let i = 0; i < scales.count; i += every) svg.append(svgNode("text", {x: scales.x(i), y: bottom + 18, "text-anchor": "middle"}, i));
  svg.append(svgNode("text", {x: (CURVES.left + width - CURVES.right) / 2, y: CURVES.height - 2, "text-anchor": "middle"}, sorted ? "iterations, fastest first" : "iteration"));
}

function drawSeries(svg, data, rows, width, sorted) {
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${CURVES.height}`);
  svg.style.height = `${CURVES.height}px`;
  const scales = seriesScales(rows, width, iterationOrder(rows, sorted));
  drawSeriesAxes(svg, scales, width, sorted);
  const ordered = rows.map((s) => scales.order.map((i) => s.series.times[i] ?? null));
  const ends = ordered.map((times) => scales.y(times.filter((t) => t !== null).at(-1)));
  const places = spread(ends, CURVES.top + 6, CURVES.height - CURVES.bottom, 15);
  const groups = rows.map((s, k) => {
    const {colour, dash} = curveStyle(data, k);
    const times = ordered[k];
    const group = svgNode("g", {"data-strategy": s.schedule});
    group.append(svgNode("path", {class: s.best ? "curve best" : "curve", d: curvePath(times, scales), stroke: colour, "stroke-dasharray": dash}));
    if (scales.count <= 60) group.append(svgNode("path", {d: dotsPath(times, scales, 2.5), fill: colour}));
    if (!s.feasible) group.append(svgNode("path", {class: "crosses", d: crossesPath(times, scales), stroke: colour}));
    const end = times.findLastIndex((t) => t !== null), x = width - CURVES.right;
    group.append(svgNode("path", {class: "leader", d: `M${scales.x(end) + 4},${ends[k]}L${x + 4},${places[k]}`}));
    group.append(svgNode("path", {class: "curve", d: `M${x + 4},${places[k]}h14`, stroke: colour, "stroke-dasharray": dash}));
    group.append(svgNode("text", {class: s.best ? "name best" : "name", x: x + 22, y: places[k] + 4}, s.schedule));
    return group;
  });
  svg.append(...groups.slice().reverse());  // the best on top
  const mark = svgNode("circle", {r: 4.5, fill: "none", stroke: "currentColor", "stroke-width": 2, visibility: "hidden"});
  svg.append(mark);
  svg.near = {scales, groups, mark, rows, width};
}

function seriesTip(data, svg, event) {
  const {scales, groups, mark, rows} = svg.near;
  const box = svg.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const place = Math.max(0, Math.min(scales.count - 1, scales.at(x)));
  const i = scales.order[place];
  let nearest = -1, distance = CURVES.nearest;
  rows.forEach((s, k) => {
    const t = s.series.times[i];
    if (t === null || t === undefined || x > svg.near.width - CURVES.right) return;
    const away = Math.abs(scales.y(t) - y);
    if (away < distance) { distance = away; nearest = k; }
  });
  const label = event.target.closest("g[data-strategy]");
  if (nearest < 0 && label) nearest = groups.indexOf(label);
  emphasize(svg, nearest);
  const t = nearest < 0 ? null : rows[nearest].series.times[i];
  const overLabel = x > svg.near.width - CURVES.right;
  mark.setAttribute("visibility", t === null || overLabel ? "hidden" : "visible");
  if (nearest < 0) return null;
  const s = rows[nearest];
  const title = `<h3><i style="background:${curveStyle(data, nearest).colour}"></i>${escaped(s.schedule)}</h3>`;
  if (overLabel) return `${title}${s.why ? `<p>${escaped(s.why)}</p>` : ""}${rowHtml([["mean", timeText(s.mean)], ["p99", timeText(s.p99)]])}`;
  mark.setAttribute("cx", scales.x(place));
  mark.setAttribute("cy", scales.y(t));
  const rate = t > 0 ? s.series.tokens[i] / (t / 1e9) : 0;
  return `${title}${s.series.notes[i] ? `<p>${escaped(s.series.notes[i])}</p>` : ""}` +
      rowHtml([["iteration", i], ["time", timeText(t)], ["tokens", rateText(s.series.tokens[i])], ["tokens/s", rateText(rate)]]);
}

function emphasize(svg, chosen) {
  svg.near.groups.forEach((group, k) => {
    group.classList.toggle("other", chosen >= 0 && k !== chosen);
    group.classList.toggle("hovered", k === chosen);
  });
}

function seriesCard(data) {
  const rows = data.strategies.filter((s) => s.drawable);
  if (!rows.length || Math.max(...rows.map((s) => s.series.times.length)) < 2) return;
  const crossed = rows.some((s) => !s.feasible) ? "; \u00d7 cannot run" : "";
  const figure = card("time per iteration", `all strategies on the same global batches${crossed}`, {kind: "series"});
  const svg = svgNode("svg", {role: "img", "aria-label": "Time per iteration of every strategy"});
  let sorted = rows[0].series.times.length > CURVES.manyIterations;
  const draw = () => drawSeries(svg, data, rows, svg.clientWidth, sorted);
  figure.querySelector("figcaption").append(choice("Order of iterations", ["As sampled", "Fastest first"], sorted ? 1 : 0, (k) => { sorted = k === 1; draw(); }));
  figure.append(svg);
  svg.tip = (event) => seriesTip(data, svg, event);
  svg.addEventListener("pointerleave", () => { if (svg.near) { emphasize(svg, -1); svg.near.mark.setAttribute("visibility", "hidden"); } });
  drawnToWidth(svg, draw);
}
