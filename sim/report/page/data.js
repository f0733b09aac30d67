// Strategies on data: their table, where the time goes, the winner by length, the lengths.

// A card; `draw(width)` fills it anew whenever its width changes.
function card(title, note, {wide = false, kind = ""} = {}) {
  const figure = document.createElement("figure");
  figure.className = [wide ? "wide" : "", kind].join(" ").trim();
  figure.innerHTML = `<figcaption>${escaped(title)}<span>${escaped(note)}</span></figcaption>`;
  element("data").append(figure);
  return figure;
}

function drawnToWidth(host, draw) {
  let width = 0;
  new ResizeObserver(() => {
    if (host.clientWidth === width || !host.clientWidth) return;
    width = host.clientWidth;
    draw(width);
  }).observe(host);
}

// Buttons of which one is chosen; `choose(k)` is called when that changes.
function choice(label, names, chosen, choose) {
  const group = document.createElement("div");
  group.className = "group";
  group.setAttribute("role", "radiogroup");
  group.setAttribute("aria-label", label);
  names.forEach((name, k) => {
    const button = document.createElement("button");
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", k === chosen);
    button.textContent = name;
    button.addEventListener("click", () => {
      [...group.children].forEach((other) => other.setAttribute("aria-checked", other === button));
      choose(k);
    });
    group.append(button);
  });
  return group;
}

// A node with this property answers hovering with it.
function withTip(node, html) { node.tip = html; return node; }

// What lies under the pointer.
function hoverData(event) {
  let node = event.target;
  while (node && !node.tip) node = node.parentNode;
  const html = node ? (typeof node.tip === "function" ? node.tip(event) : node.tip) : null;
  if (html) showTip(html, event); else element("tip").hidden = true;
}

const keysHtml = (entries) => `<div class="keys">${entries.map(([colour, name]) => `<span><i style="background:${colour}"></i>${escaped(name)}</span>`).join("")}</div>`;
const rateText = (rate) => Math.round(rate).toLocaleString("en");

// Black or white, whichever is read better on a colour.
function inkOn(hex) {
  const [r, g, b] = [1, 3, 5].map((k) => (parseInt(hex.slice(k, k + 2), 16) / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.2 ? "#10161f" : "#ffffff";
}

function dataColumns(data) {
  const rows = data.strategies;
  const times = columnText(rows.flatMap((r) => [r.mean, r.median, r.p99]), timeUnit);
  const plans = columnText(rows.flatMap((r) => [r.planning, r.planningWorst]), timeUnit, 1);
  const peaks = columnText(rows.map((r) => r.peak), memoryUnit);
  const figure = (title, key, format, hint) => ({title, hint, field: key, key: (r) => r[key], cell: (r) => (r[key] === undefined ? "–" : format(r[key]))});
  const columns = [
    {title: "#", key: (r) => r.rank, cell: (r) => r.rank + 1, hint: "Rank by mean iteration time"},
    {title: "Strategy", text: true, name: true, key: (r) => r.schedule, cell: (r) => escaped(r.schedule)},
    {title: "Feasible", key: (r) => r.ran / Math.max(1, r.asked), cell: (r) => `${r.ran}/${r.asked}`, hint: "Iterations that it can run"},
    figure(`Mean (${times.unit})`, "mean", times.text, "Mean time of an iteration"),
    figure("p50", "median", times.text, "Median time of an iteration"),
    figure("p99", "p99", times.text, "99 % of iterations are not slower"),
    figure(`vs ${escaped(data.reference || "")}`, "speedup", (v) => `${v.toFixed(3)}×`, `Speed-up over ${escaped(data.reference || "")}`),
    figure("Tokens/s", "tokensPerSecond", rateText, "Real tokens, without padding"),
    figure("Bubble", "bubble", percentText, "Idle share of the time of all GPUs"),
    figure("Padding", "padding", percentText, "Padding among the tokens that are computed"),
    figure(`Peak (${peaks.unit})`, "peak", peaks.text, "Largest memory of one GPU"),
    figure("Above bound", "gap", percentText, "Mean time above the lower bound for any order of the same units"),
    figure(`Planning (${plans.unit})`, "planning", plans.text, "Mean time to plan one iteration, on one core"),
    figure("Worst", "planningWorst", plans.text, "Longest time to plan one iteration"),
    {title: "Shown", field: "run", key: (r) => (r.run ? (r.run.shown ? 0 : 1) : 2),
     cell: (r) => (r.run ? `<input type="checkbox" data-run="${r.rank}" ${r.run.shown ? "checked" : ""} aria-label="Show the timeline of ${escaped(r.schedule)}">` : "")},
  ];
  return columns.filter((c) => !c.field || rows.some((r) => r[c.field] !== undefined));
}

function axisOf(high, most) {
  const [unit, divisor] = timeUnit(high);
  return {unit, divisor, ticks: niceTicks(0, high / divisor, most).map((t) => t * divisor), text: (t) => `${+(t / divisor).toPrecision(3)}`};
}

function partsTip(data, s, k) {
  const share = s.parts[k] / Math.max(1, s.mean);
  return `<h3><i style="background:${data.parts.colours[k]}"></i>${escaped(data.parts.names[k])}</h3><p>${escaped(data.parts.phrases[k])}</p>` +
      rowHtml([["strategy", escaped(s.schedule)], ["mean time", timeText(s.parts[k])], ["share", percentText(share)]]);
}

// Stacked bars of the mean iteration, best first.
function drawParts(svg, data, width) {
  const rows = data.strategies.filter((s) => s.drawable);
  const left = Math.min(130, 16 + 7 * Math.max(...rows.map((s) => s.schedule.length))), right = 64, pitch = 26;
  const height = pitch * rows.length + 30;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.style.height = `${height}px`;
  const most = Math.max(1, ...rows.map((s) => s.mean));
  const axis = axisOf(most, Math.max(2, Math.floor(width / 120)));
  const x = (t) => left + t / most * (width - left - right);
  axis.ticks.forEach((t, k) => {
    svg.append(svgNode("line", {class: "grid", x1: x(t), x2: x(t), y1: 0, y2: pitch * rows.length}));
    svg.append(svgNode("text", {x: x(t), y: height - 14, "text-anchor": "middle"}, k + 1 < axis.ticks.length ? axis.text(t) : `${axis.text(t)} ${axis.unit}`));
  });
  rows.forEach((s, row) => {
    const y = row * pitch + 3;
    svg.append(withTip(svgNode("text", {class: s.best ? "name best" : "name", x: left - 8, y: y + 14, "text-anchor": "end"}, s.schedule), escaped(s.why || data.summary)));
    let t = 0;
    s.parts.forEach((part, k) => {
      const [from, to] = [x(t), x(t + part)];
      t += part;
      if (to - from < 0.05) return;
      svg.append(withTip(svgNode("rect", {x: from, y, width: to - from, height: pitch - 6, fill: data.parts.colours[k], "data-part": k}), partsTip(data, s, k)));
      if (to - from < 38) return;
      const label = svgNode("text", {x: (from + to) / 2, y: y + 14.5, "text-anchor": "middle", "pointer-events": "none"}, `${Math.round(100 * part / Math.max(1, s.mean))} %`);
      label.style.fill = inkOn(data.parts.colours[k]);
      svg.append(label);
    });
    svg.append(svgNode("text", {x: x(s.mean) + 6, y: y + 14, class: s.best ? "best" : ""}, `${(s.mean / axis.divisor).toPrecision(4)}${s.feasible ? "" : " *"}`));
  });
}

function partsCard(data) {
  const rows = data.strategies.filter((s) => s.drawable);
  if (!rows.length) return;
  const used = data.parts.names.map((name, k) => [data.parts.colours[k], name, k]).filter(([, , k]) => rows.some((s) => s.parts[k] > 0));
  const figure = card("where the time goes", `the mean iteration of a mean GPU${rows.some((s) => !s.feasible) ? "; * of the iterations that it can run" : ""}`, {wide: true, kind: "parts-card"});
  figure.insertAdjacentHTML("beforeend", keysHtml(used));
  const svg = svgNode("svg", {role: "img", "aria-label": "Mean time parts of every strategy"});
  figure.append(svg);
  drawnToWidth(svg, (width) => drawParts(svg, data, width));
}

function regimesCard(data) {
  if (!data.regimes.length) return;
  const figure = card("winner by length", "batches of one range of lengths alone; time over the winner's", {wide: true, kind: "regimes"});
  const share = (value) => `<td>${percentText(value)}<span class="share"><i style="width:${(100 * Math.min(1, value)).toFixed(1)}%"></i></span></td>`;
  const names = data.strategies.map((s) => s.schedule);
  const rows = data.regimes.map((regime) => {
    const ran = regime.times.filter((t) => t !== null);
    const least = Math.min(...ran);
    const cells = regime.times.map((t, k) => {
      if (t === null) return `<td title="${escaped(names[k])} cannot run it">–</td>`;
      const ratio = t / Math.max(1, least);
      const strength = Math.round(Math.min(38, 26 * Math.log2(ratio)));
      return `<td class="${names[k] === regime.winner ? "first" : ""}" style="background:color-mix(in srgb, var(--bad) ${strength}%, transparent)" title="${escaped(names[k])}: ${timeText(t)}, ${rateText(regime.rates[k])} tokens/s">${ratio.toFixed(2)}×</td>`;
    });
    const winner = names.indexOf(regime.winner);
    return `<tr><td class="text">${escaped(regime.range)}</td>${share(regime.sequences)}${share(regime.tokens)}<td class="text first">${escaped(regime.winner || "–")}</td>` +
        `<td>${winner < 0 ? "–" : rateText(regime.rates[winner])}</td>${cells.join("")}</tr>`;
  });
  const titles = ["Length", "Of sequences", "Of tokens", "Winner", "Tokens/s", ...names];
  figure.insertAdjacentHTML("beforeend", `<div class="scroll"><table><thead><tr>${titles.map((t, k) => `<th scope="col" class="plain${k === 0 || k === 3 ? " text" : ""}">${escaped(t)}</th>`).join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`);
}

function histogramCard(data) {
  const figure = card("lengths of the sequences", "", {kind: "histogram"});
  // As a picture of its own, whose styles stay within it.
  const image = document.createElement("img");
  image.alt = `Histogram of ${data.lengths}`;
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(data.histogram)}`;
  figure.append(image);
  const text = document.createElement("p");
  text.textContent = data.lengths;
  figure.append(text);
}

function showData(data, show, goTo) {
  element("data").hidden = false;
  document.body.classList.add("strategies");
  for (const strategy of data.strategies) strategy.run = runs.find((run) => run.drawable && run.schedule === strategy.schedule);
  buildTable(data.strategies, dataColumns(data), (s) => { s.run.shown = s.shown; show(s.run); }, (s) => { if (s.run) goTo(s.run); });
  partsCard(data);
  seriesCard(data);
  histogramCard(data);
  regimesCard(data);
  heatCard(data);
  const drawn = runs.some((run) => run.drawable);
  for (const id of ["bar", "timelines"]) element(id).hidden = !drawn;
  if (drawn) element("data").insertAdjacentHTML("beforeend", `<h2 class="part">Timelines of the first iteration</h2>`);
  element("data").addEventListener("pointermove", hoverData);
  element("data").addEventListener("pointerleave", hideTip);
}
