// Chunk sizes: the units of the first iteration, a row a strategy, in the order in which they run.

const HEAT = {left: 104, right: 92, row: 22, pitch: 26};
// A unit as comparison_page.cpp writes it.
const UNIT = {MICROBATCH: 0, SLICE: 1, SLICES: 2, SEQUENCES: 3, TOKENS: 4, PADDING: 5, CONTEXT: 6, PAIRS: 7};

function tokensText(n) {
  let unit = "";
  for (const larger of ["K", "M", "G"]) { if (n < 1024) break; n /= 1024; unit = larger; }
  return `${n === Math.floor(n) || n >= 100 ? Math.round(n) : n.toFixed(1)}${unit}`;
}

function heatScale(data, by) {
  const values = data.pictures.flatMap((p) => p.units.map((u) => u[by])).filter((v) => v > 0);
  const low = Math.min(...values), high = Math.max(...values);
  const steps = data.heat;
  const part = (v) => (high > low ? Math.max(0, Math.min(1, Math.log(Math.max(v, low) / low) / Math.log(high / low))) : 1);
  const colour = (v) => {
    const at = part(v) * (steps.length - 1), k = Math.min(steps.length - 2, Math.floor(at));
    const channel = (c) => Math.round(parseInt(steps[k].slice(c, c + 2), 16) * (1 - at + k) + parseInt(steps[k + 1].slice(c, c + 2), 16) * (at - k));
    return `#${[1, 3, 5].map((c) => channel(c).toString(16).padStart(2, "0")).join("")}`;
  };
  return {low, high, colour};
}

const heatText = (by, value) => (by === UNIT.TOKENS ? tokensText(value) : percentText(value));

function drawHeat(canvas, data, heat) {
  const width = canvas.clientWidth, height = HEAT.pitch * data.pictures.length;
  if (!width) return;
  const ratio = window.devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const context = canvas.getContext("2d");
  const theme = themeColours();
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.textBaseline = "middle";
  data.pictures.forEach((picture, row) => {
    const y = row * HEAT.pitch, n = picture.units.length, cell = (width - HEAT.left - HEAT.right) / Math.max(1, n);
    context.font = "12px system-ui, sans-serif";
    context.fillStyle = theme.ink;
    context.textAlign = "right";
    context.fillText(picture.strategy, HEAT.left - 8, y + HEAT.row / 2);
    context.fillStyle = theme.muted;
    context.textAlign = "left";
    context.fillText(`${picture.count} unit${picture.count === 1 ? "" : "s"}`, width - HEAT.right + 8, y + HEAT.row / 2);
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    picture.units.forEach((unit, k) => {
      const x = HEAT.left + k * cell;
      const next = picture.units[k + 1];
      // Slices of a micro-batch touch; micro-batches stand apart.
      const gap = cell < 3 ? 0 : next && next[UNIT.MICROBATCH] === unit[UNIT.MICROBATCH] ? 0.5 : Math.min(3, cell / 4);
      const colour = heat.scale.colour(unit[heat.by]);
      context.fillStyle = colour;
      context.fillRect(x, y, Math.max(0.5, cell - gap), HEAT.row);
      const text = heatText(heat.by, unit[heat.by]);
      if (cell - gap < 7 * text.length + 6) return;
      context.fillStyle = inkOn(colour);
      context.fillText(text, x + (cell - gap) / 2, y + HEAT.row / 2 + 0.5);
    });
  });
}

function heatTip(canvas, data, heat, event) {
  const box = canvas.getBoundingClientRect();
  const picture = data.pictures[Math.floor((event.clientY - box.top) / HEAT.pitch)];
  const inside = (event.clientX - box.left - HEAT.left) / (box.width - HEAT.left - HEAT.right);
  if (!picture || inside < 0 || inside >= 1 || !picture.units.length) return null;
  const k = Math.floor(inside * picture.units.length);
  const unit = picture.units[k];
  const rows = [["strategy", escaped(picture.strategy)], ["micro-batch", unit[UNIT.MICROBATCH]], ["slice", unit[UNIT.SLICES] > 1 ? `${unit[UNIT.SLICE]} of ${unit[UNIT.SLICES]}` : "whole"],
                ["sequences", unit[UNIT.SEQUENCES]], ["tokens", rateText(unit[UNIT.TOKENS])]];
  if (unit[UNIT.PADDING]) rows.push(["padding", `${rateText(unit[UNIT.PADDING])} of them`]);
  if (unit[UNIT.CONTEXT]) rows.push(["context", `${rateText(unit[UNIT.CONTEXT])} tokens before it`]);
  rows.push(["attention", `${percentText(unit[UNIT.PAIRS])} of all pairs of tokens`]);
  return `<h3><i style="background:${heat.scale.colour(unit[heat.by])}"></i>unit ${k}</h3>${rowHtml(rows)}`;
}

function heatCard(data) {
  if (!data.pictures.some((p) => p.units.length)) return;
  const cut = data.pictures.some((p) => p.count > p.units.length);
  const figure = card("chunk sizes in the first iteration", `units in the order in which they run${cut ? ", the first 4000" : ""}; slices of a micro-batch touch`, {wide: true, kind: "heat"});
  const keys = document.createElement("div");
  keys.className = "keys";
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Tokens of every unit of every strategy");
  const heat = {by: UNIT.TOKENS, scale: null};
  const draw = () => {
    heat.scale = heatScale(data, heat.by);
    const {low, high} = heat.scale;
    keys.innerHTML = `<span>${heatText(heat.by, low)}<i class="ramp" style="background:linear-gradient(90deg, ${data.heat.join(", ")})"></i>${heatText(heat.by, high)} ${heat.by === UNIT.TOKENS ? "tokens" : "of attention"}, logarithmic</span>`;
    drawHeat(canvas, data, heat);
  };
  figure.querySelector("figcaption").append(choice("Colour units by", ["Tokens", "Attention"], 0, (k) => { heat.by = k === 0 ? UNIT.TOKENS : UNIT.PAIRS; draw(); }));
  figure.append(keys, canvas);
  draw();
  canvas.tip = (event) => heatTip(canvas, data, heat, event);
  drawnToWidth(canvas, draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("print").addEventListener("change", draw);
}
