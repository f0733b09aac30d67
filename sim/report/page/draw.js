// Drawing one run on its canvas.

const NARROW = 1.5;   // pixels; narrower intervals are drawn as shares of a column
const COLUMN = 2;     // pixels

function mixed(hex, other, share) {
  const part = (text, k) => parseInt(text.slice(1 + 2 * k, 3 + 2 * k), 16);
  const values = [0, 1, 2].map((k) => Math.round(part(hex, k) * (1 - share) + part(other, k) * share));
  return `rgb(${values.join(" ")})`;
}

// Colours of the moment (light or dark), as the canvas needs them.
function themeColours() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(name).trim();
  const theme = {page: get("--page"), ink: get("--ink"), muted: get("--muted"), line: get("--line"), row: get("--row"),
                 busy: get("--busy"), accent: get("--accent"), bad: get("--bad")};
  theme.ops = DATA.palette.ops.flatMap(([fill]) => [fill, mixed(fill, theme.page, 0.38)]);
  theme.inks = DATA.palette.ops.map(([, ink]) => ink);
  theme.shadedInk = theme.ink;
  theme.idle = DATA.palette.idle;
  return theme;
}

function layoutOf(run, model, showMemory) {
  const row = run.P <= 8 ? 22 : run.P <= 16 ? 16 : run.P <= 32 ? 10 : run.P <= 64 ? 7 : run.P <= 128 ? 5 : 3;
  const memory = showMemory && run.memory ? (row >= 16 ? 26 : Math.max(8, row)) : 0;
  const pitch = row + memory + (run.P <= 16 ? 2 : run.P <= 64 ? 1 : 0) + (memory ? 3 : 0);
  const copy = model.hasCopies ? Math.max(2, Math.round(row / 4)) : 0;
  return {row, memory, pitch, copy, height: pitch * run.P};
}

class Painter {
  constructor(context, view, theme, gutter, width) {
    Object.assign(this, {context, view, theme, gutter, width});
    this.scale = (width - gutter) / (view.end - view.start);
  }
  x(t) { return this.gutter + (t - this.view.start) * this.scale; }
  // Pixel columns of [start, end), clipped to the plot.
  clip(start, end) { return [Math.max(this.gutter, this.x(start)), Math.min(this.width, this.x(end))]; }

  fill(colour, x, y, w, h) { this.context.fillStyle = colour; this.context.fillRect(x, y, w, h); }

  // Intervals of a track as boxes, or as shares of a column where they are too narrow to tell apart.
  track(track, y, height, colours, box) {
    const {view, scale, gutter} = this;
    let k = Math.max(0, track.before(view.start));
    while (k < track.n && track.start[k] < view.end) {
      const left = this.x(track.start[k]);
      const right = this.x(track.end[k]);
      if (right <= gutter || right === left) { ++k; continue; }
      if (right - left >= NARROW) { box(track, k, left, right); ++k; continue; }
      const column = gutter + Math.floor((Math.max(left, gutter) - gutter) / COLUMN) * COLUMN;
      const next = lowerBound(track.start, view.start + (column + COLUMN - gutter) / scale, k + 1, track.n);
      this.shares(track, k, next, column, y, height, colours, left, right);
      k = next;
    }
  }
  shares(track, from, to, column, y, height, colours, left, right) {
    if (to === from + 1) {  // alone: as wide as it is
      this.fill(colours[track.colour[from]], left, y, Math.max(right - left, 0.5), height);
      return;
    }
    const whole = COLUMN / this.scale;
    let bottom = y + height;
    for (const [colour, sums] of track.sums) {
      const share = Math.min(1, (sums[to] - sums[from]) / whole) * height;
      if (share <= 0) continue;
      const top = Math.max(y, bottom - share);
      this.fill(colours[colour], column, top, COLUMN, bottom - top);
      bottom = top;
    }
  }

  opBox(model, track, k, left, right, y, height, faded) {
    const {theme, context} = this;
    const [x0, x1] = [Math.max(left, this.gutter), Math.min(right, this.width)];
    const gap = right - left > 4 && right <= this.width ? 1 : 0;
    const i = track.item[k];
    const colour = track.colour[k];
    const kind = colour >> 1;
    const width = x1 - x0 - gap;
    if (kind === KIND.PAIR) {
      this.fill(theme.ops[colour - 2 * (KIND.PAIR - KIND.F)], x0, y, width, height / 2);
      this.fill(theme.ops[2 * KIND.BW + (colour & 1)], x0, y + height / 2, width, height / 2);
    } else {
      this.fill(theme.ops[colour], x0, y, width, height);
    }
    if (faded || height < 11 || width < 9 || kind >= KIND.G) return;
    const ink = colour & 1 ? theme.shadedInk : theme.inks[kind];
    const middle = (x0 + x1 - gap) / 2;
    if (kind !== KIND.PAIR) {
      this.label([opText(model.ops, i), unitNumber(model.ops, i)], middle, y + height / 2, width, 11, ink);
      return;
    }
    if (height < 18) return;
    const [forward, backward] = opText(model.ops, i).split("+");
    this.label([forward, `${model.ops.microbatch[i]}`], middle, y + height / 4, width, 9, colour & 1 ? ink : theme.inks[KIND.F]);
    this.label([backward, `${model.ops.partnerMicrobatch[i]}`], middle, y + 3 * height / 4, width, 9, colour & 1 ? ink : theme.inks[KIND.BW]);
  }

  // The first of some texts, longest first, that fits; the full op name only where there is room to spare.
  label(texts, x, y, width, size, ink) {
    const text = texts.find((t, k) => 0.6 * size * t.length + (k + 1 < texts.length ? 8 : 2) <= width);
    if (text === undefined) return;
    this.context.font = `${size}px system-ui, sans-serif`;
    this.context.fillStyle = ink;
    this.context.fillText(text, x, y + 0.5);
  }

  memoryCurve(curve, y, height, most, capacity) {
    const {context, view, theme, gutter, width, scale} = this;
    const level = (bytes) => y + height - Math.max(0, bytes / most) * (height - 1);
    const outline = new Path2D();
    const last = curve.n > 0 ? Math.min(width, Math.ceil(this.x(curve.time[curve.n - 1])) + 1) : gutter;
    let from = Math.max(0, curve.index(view.start));
    const first = curve.n > 0 ? Math.max(gutter, Math.floor(this.x(curve.time[0]))) : last;
    for (let x = first; x < last; ++x) {
      const next = lowerBound(curve.time, view.start + (x + 1 - gutter) / scale, from, curve.n);
      const value = level(curve.most(from, Math.max(next, from + 1)));
      if (x === first) outline.moveTo(x, value); else outline.lineTo(x, value);
      outline.lineTo(x + 1, value);
      from = Math.max(from, next - 1);
    }
    if (first < last) {
      const area = new Path2D(outline);
      area.lineTo(last, y + height);
      area.lineTo(first, y + height);
      context.globalAlpha = 0.2;
      context.fillStyle = theme.accent;
      context.fill(area);
      context.globalAlpha = 1;
      context.strokeStyle = theme.accent;
      context.lineWidth = 1.25;
      context.stroke(outline);
    }
    if (capacity && capacity <= most) {
      context.setLineDash([4, 3]);
      context.strokeStyle = theme.bad;
      context.beginPath();
      context.moveTo(gutter, level(capacity) + 0.5);
      context.lineTo(width, level(capacity) + 0.5);
      context.stroke();
      context.setLineDash([]);
    }
  }

  line(x0, y0, x1, y1, colour, width, arrow) {
    const {context} = this;
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x0, y0);
    context.lineTo(x1, y1);
    context.stroke();
    if (!arrow) return;
    const angle = Math.atan2(y1 - y0, x1 - x0);
    context.beginPath();
    context.moveTo(x1, y1);
    for (const turn of [2.7, -2.7]) context.lineTo(x1 + 7 * Math.cos(angle + turn), y1 + 7 * Math.sin(angle + turn));
    context.fill();
  }
}

// Largest memory drawn: the peak, and the capacity unless it is far above.
function memoryScale(run) {
  const peak = Math.max(1, ...run.devices.map((d) => d.peak || 0));
  const capacity = run.capacity.length ? Math.max(...run.capacity) : 0;
  return capacity && capacity < 2 * peak ? Math.max(peak, capacity) : peak;
}

function drawRow(painter, run, model, layout, device, options) {
  const {theme} = painter;
  const y = device * layout.pitch;
  const faded = options.critical && model.path.n > 0;
  const computeHeight = layout.row - layout.copy;
  if (options.byCause) {
    const busy = theme.ops.map(() => theme.busy);
    painter.track(model.compute[device], y, layout.row, busy, (track, k, left, right) => {
      const [x0, x1] = [Math.max(left, painter.gutter), Math.min(right, painter.width)];
      painter.fill(theme.busy, x0, y, x1 - x0 - (x1 - x0 > 4 ? 1 : 0), layout.row);
    });
    painter.track(model.idleTracks[device], y, layout.row, theme.idle, (track, k, left, right) => {
      const [x0, x1] = [Math.max(left, painter.gutter), Math.min(right, painter.width)];
      painter.fill(theme.idle[track.colour[k]], x0, y, x1 - x0, layout.row);
    });
  } else {
    painter.context.globalAlpha = faded ? 0.28 : 1;
    painter.track(model.compute[device], y, computeHeight, theme.ops,
                  (track, k, left, right) => painter.opBox(model, track, k, left, right, y, computeHeight, faded));
    if (layout.copy) {
      painter.track(model.copies[device], y + computeHeight, layout.copy, theme.ops,
                    (track, k, left, right) => painter.opBox(model, track, k, left, right, y + computeHeight, layout.copy, true));
    }
    painter.context.globalAlpha = 1;
  }
  if (layout.memory && model.memory[device]) {
    painter.memoryCurve(model.memory[device], y + layout.row + 1, layout.memory, memoryScale(run), run.capacity[device]);
  }
}

function drawPath(painter, run, model, layout) {
  const {path} = model;
  const {theme, view} = painter;
  let k = Math.max(0, lowerBound(path.end, view.start, 0, path.n));
  let lastX = -1;
  let lastY = -1;
  for (; k < path.n && path.start[k] < view.end; ++k) {
    const [x0, x1] = painter.clip(path.start[k], path.end[k]);
    const y = deviceOf(run, path.op[k]) * layout.pitch;
    const middle = y + layout.row / 2;
    if (x1 - lastX < 0.75) continue;  // many steps on one pixel
    const from = lastY < 0 ? middle : lastY;
    if (path.kind[k] === 0) {
      if (lastY >= 0 && lastY !== middle) painter.line(x0, from, x0, middle, theme.ink, 1.5);
      const device = deviceOf(run, path.op[k]);
      const track = [model.compute[device], model.copies[device]].find((t) => t.item[t.before(path.start[k])] === path.op[k]);
      if (track) painter.opBox(model, track, track.before(path.start[k]), painter.x(path.start[k]), painter.x(path.end[k]), y, layout.row, false);
      painter.context.strokeStyle = theme.ink;
      painter.context.lineWidth = 1.5;
      if (x1 - x0 > 3) painter.context.strokeRect(x0 + 0.75, y + 0.75, x1 - x0 - 1.5, layout.row - 1.5);
    } else {
      painter.line(x0, from, x1, middle, path.kind[k] === 1 ? theme.ink : theme.bad, 1.5);
    }
    lastX = x1;
    lastY = middle;
  }
}

// The op under the pointer, and what came to it and went from it.
function drawHover(painter, run, model, layout, op) {
  const {ops, transfers} = model;
  const {theme} = painter;
  const place = (i) => deviceOf(run, i) * layout.pitch;
  const [x0, x1] = painter.clip(ops.start[op], ops.end[op]);
  painter.context.strokeStyle = theme.ink;
  painter.context.lineWidth = 2;
  painter.context.strokeRect(x0, place(op) + 1, Math.max(2, x1 - x0 - 1), layout.row - 2);
  for (let i = 0; i < transfers.n; ++i) {
    const [producer, consumer] = [transfers.producer[i], transfers.consumer[i]];
    if (producer !== op && consumer !== op) continue;
    const colour = consumer === op ? theme.ink : theme.muted;
    painter.line(painter.x(ops.end[producer]), place(producer) + layout.row / 2, painter.x(ops.start[consumer]),
                 place(consumer) + layout.row / 2, colour, consumer === op ? 1.75 : 1.25, true);
  }
}

function drawRun(canvas, run, model, view, theme, options, hovered) {
  const layout = layoutOf(run, model, options.memory);
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const size = [Math.round(width * ratio), Math.round(layout.height * ratio)];
  if (canvas.style.height !== `${layout.height}px`) canvas.style.height = `${layout.height}px`;
  if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, layout.height);
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  const painter = new Painter(context, view, theme, options.gutter, width);
  for (let d = 0; d < run.P; ++d) painter.fill(theme.row, options.gutter, d * layout.pitch, width - options.gutter, layout.row);
  context.save();
  context.beginPath();
  context.rect(options.gutter, 0, width - options.gutter, layout.height);
  context.clip();
  for (const tick of options.ticks) {
    const x = Math.round(painter.x(tick)) + 0.5;
    painter.line(x, 0, x, layout.height, theme.line, 1);
  }
  for (let d = 0; d < run.P; ++d) drawRow(painter, run, model, layout, d, options);
  if (options.critical) drawPath(painter, run, model, layout);
  if (options.mark > 0 && options.mark !== run.makespan) {
    context.setLineDash([3, 3]);
    painter.line(Math.round(painter.x(options.mark)) + 0.5, 0, Math.round(painter.x(options.mark)) + 0.5, layout.height, theme.ink, 1);
    context.setLineDash([]);
  }
  if (hovered >= 0) drawHover(painter, run, model, layout, hovered);
  context.restore();
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "right";
  context.fillStyle = theme.muted;
  const every = layout.pitch >= 11 ? 1 : layout.pitch >= 6 ? 4 : 16;
  for (let d = 0; d < run.P; d += every) context.fillText(every === 1 && options.gutter > 50 ? `dev ${d}` : `${d}`, options.gutter - 8, d * layout.pitch + Math.min(layout.row, layout.pitch) / 2 + 0.5);
}
