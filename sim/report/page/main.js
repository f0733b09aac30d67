// Putting the page together: state, events, redrawing.

const element = (id) => document.getElementById(id);
const runs = DATA.runs;
const state = {view: {start: 0, end: 1}, byCause: false, critical: false, memory: false, hover: null, theme: themeColours(), lastDraw: 0};
const total = Math.max(1, ...runs.filter((r) => r.drawable).map((r) => r.end));
const smallest = Math.min(total, 20);  // ns in view at the closest zoom
const best = runs.find((r) => r.best);
let pending = false;

function headline() {
  if (DATA.search) DATA.summary = DATA.search.summary;
  if (DATA.data) {
    [DATA.scenario, DATA.summary] = [DATA.data.scenario, DATA.data.summary];
    element("facts").hidden = false;
    element("facts").textContent = DATA.data.facts.join(" \u00b7 ");
  }
  document.title = `${DATA.scenario}: Stagecraft`;
  element("scenario").textContent = DATA.scenario;
  element("version").textContent = `Stagecraft ${DATA.version}`;
  const parts = [];
  if (best) {
    const time = best.iteration === undefined ? `a makespan of ${timeText(best.makespan)}` : `${timeText(best.iteration)} an iteration`;
    parts.push(runs.length > 1 ? `<b>${escaped(best.schedule)}</b> is the fastest of ${runs.length} schedules: <b>${time}</b>`
                               : `<b>${escaped(best.schedule)}</b>: <b>${time}</b>`);
    if (best.speedup !== undefined && best.schedule !== "1f1b") parts.push(`${best.speedup.toFixed(2)}× the speed of 1f1b`);
    if (best.bubble !== undefined) parts.push(`devices idle ${percentText(best.bubble)} of the time`);
    if (best.gap !== undefined) parts.push(best.gap < 5e-4 ? "no order on its placement can be faster" : `at most ${percentText(best.gap)} above the best order on its placement`);
  } else if (!DATA.summary) {
    parts.push(runs.length === 1 ? "This plan cannot run" : "None of these schedules is feasible");
  }
  element("summary").innerHTML = DATA.summary ? `${escaped(DATA.summary)}.` : parts.join(", ").replace(", ", ". ").replace(/\. (.)/, (_, c) => `. ${c.toUpperCase()}`) + ".";
}

function legend() {
  const kinds = new Set();
  for (const run of runs) if (run.drawable) run.kinds.forEach((k) => kinds.add(k));
  const entries = state.byCause
      ? [...CAUSE.map((name, c) => [DATA.palette.idle[c], name]).filter((_, c) => runs.some((r) => r.drawable && r.devices.some((d) => d.idle[c] > 0))), [state.theme.busy, "busy"]]
      : [...kinds].sort((a, b) => a - b).map((k) => [k === KIND.PAIR ? `linear-gradient(${DATA.palette.ops[0][0]} 50%, ${DATA.palette.ops[3][0]} 50%)` : DATA.palette.ops[k][0], OP_WORD[k]]);
  element("legend").innerHTML = entries.map(([colour, name]) => `<span><i style="background:${colour}"></i>${name}</span>`).join("");
}

function panel(run) {
  const section = document.createElement("section");
  section.className = "run";
  section.id = `run-${run.rank}`;
  const facts = [];
  if (run.iteration !== undefined) facts.push(`iteration <b>${timeText(run.iteration)}</b>${best && run !== best && best.iteration ? ` (${run.iteration >= best.iteration ? "+" : ""}${percentText(run.iteration / best.iteration - 1)})` : ""}`);
  facts.push(`makespan ${timeText(run.makespan)}`, `bubble ${percentText(run.bubble)}`);
  if (run.peak !== undefined) facts.push(`peak ${memoryText(run.peak)}`);
  facts.push(escaped(run.note || run.placement));
  section.innerHTML = `<h2><span>${escaped(run.schedule)}</span>${facts.map((f) => `<span class="fact">${f}</span>`).join("")}${run.feasible ? "" : `<span class="fact bad">${escaped(run.problems[0] || "not feasible")}</span>`}</h2>` +
      (run.why ? `<p class="why" title="${escaped(run.why)}">${escaped(run.why)}</p>` : "");
  const canvas = document.createElement("canvas");
  canvas.dataset.run = run.rank;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Timeline of ${run.schedule}`);
  section.append(canvas);
  element("timelines").append(section);
  run.canvas = canvas;
  run.section = section;
  canvas.style.height = `${layoutOf(run, {hasCopies: run.kinds.includes(KIND.O)}, state.memory).height}px`;
}

function modelOf(run) {
  if (!run.model) {
    const source = element(`data-${run.rank}`);
    run.model = buildModel(run, source.textContent.trim());
    source.remove();  // the text is no longer needed
  }
  return run.model;
}

function axisTicks(width) {
  const most = Math.max(2, Math.floor(width / 90));
  const range = state.view.end - state.view.start;
  let step = 1;
  for (let i = 0; range / step > most; ++i) step = i % 3 === 1 ? step * 2.5 : step * 2;
  const ticks = [];
  for (let t = Math.ceil(state.view.start / step) * step; t <= state.view.end; t += step) ticks.push(t);
  return {ticks, step};
}

function gutter() { return parseFloat(getComputedStyle(document.documentElement).getPropertyValue("--gutter")); }

function drawAxis(left) {
  const canvas = element("axis");
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(24 * ratio)];
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.font = "11px system-ui, sans-serif";
  context.textBaseline = "middle";
  const {ticks, step} = axisTicks(width - left);
  const [unit, divisor] = timeUnit(state.view.end);
  const decimals = Math.max(0, Math.min(6, -Math.floor(Math.log10(step / divisor))));
  context.fillStyle = state.theme.muted;
  context.textAlign = "right";
  context.fillText(unit, left - 8, 13);
  context.strokeStyle = state.theme.line;
  for (const tick of ticks) {
    const x = left + (tick - state.view.start) / (state.view.end - state.view.start) * (width - left);
    context.textAlign = x > width - 30 ? "right" : x < left + 10 ? "left" : "center";
    context.fillText(trimmed(tick / divisor, decimals), x, 11);
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, 19);
    context.lineTo(Math.round(x) + 0.5, 24);
    context.stroke();
  }
  return ticks;
}

const isOnScreen = (box) => box.bottom > -50 && box.top < window.innerHeight + 50 && box.height > 0;

// What is on screen, or all.
function redraw(all = false) {
  pending = false;
  const began = performance.now();
  const left = gutter();
  const ticks = drawAxis(left);
  const options = {...state, gutter: left, ticks, mark: best ? best.makespan : 0};
  for (const run of runs) {
    if (!run.drawable || !run.shown || !(all || isOnScreen(run.canvas.getBoundingClientRect()))) continue;
    const hovered = state.hover && state.hover.run === run ? state.hover.op : -1;
    drawRun(run.canvas, run, modelOf(run), state.view, state.theme, options, hovered);
  }
  state.lastDraw = performance.now() - began;
}

function schedule() {
  if (!pending) { pending = true; requestAnimationFrame(() => redraw()); }
}

function setView(start, end) {
  const range = Math.min(total * 1.02, Math.max(smallest, end - start));
  start = Math.max(-0.005 * total, Math.min(start, total * 1.015 - range));
  state.view = {start, end: start + range};
  hideTip();
  schedule();
}
const fit = () => setView(-0.005 * total, total * 1.015);
function zoom(factor, at = (state.view.start + state.view.end) / 2) {
  const range = Math.min(total * 1.02, Math.max(smallest, (state.view.end - state.view.start) / factor));
  const share = (at - state.view.start) / (state.view.end - state.view.start);
  setView(at - share * range, at + (1 - share) * range);
}
function pan(share) {
  const by = share * (state.view.end - state.view.start);
  setView(state.view.start + by, state.view.end + by);
}

function timeAt(canvas, clientX) {
  const box = canvas.getBoundingClientRect();
  const left = gutter();
  return state.view.start + (clientX - box.left - left) / (box.width - left) * (state.view.end - state.view.start);
}
const inPlot = (canvas, clientX) => clientX - canvas.getBoundingClientRect().left >= gutter();

function toggle(id, key, after) {
  const button = element(id);
  state[key] = !state[key];
  button.setAttribute("aria-pressed", state[key]);
  if (after) after();
  schedule();
}
function resizePanels() {
  for (const run of runs) if (run.drawable) run.canvas.style.height = `${layoutOf(run, run.model || {hasCopies: run.kinds.includes(KIND.O)}, state.memory).height}px`;
}
function colourBy(cause) {
  state.byCause = cause;
  element("by-kind").setAttribute("aria-checked", !cause);
  element("by-cause").setAttribute("aria-checked", cause);
  legend();
  schedule();
}

function listen() {
  const main = element("timelines");
  // A wheel gesture that began beside the plots scrolls the page, also when plots pass under it.
  let scrolled = -Infinity;
  document.addEventListener("wheel", (event) => {
    const canvas = event.target.closest("main canvas");
    if (!canvas || !inPlot(canvas, event.clientX) || (event.timeStamp - scrolled < 350 && !event.ctrlKey)) {
      scrolled = event.timeStamp;
      return;
    }
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / 800);
    else zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0018)), timeAt(canvas, event.clientX));
  }, {passive: false});
  let drag = null;
  main.addEventListener("pointerdown", (event) => {
    const canvas = event.target.closest("canvas");
    if (!canvas || event.button !== 0) return;
    drag = {canvas, x: event.clientX, view: state.view};
    canvas.setPointerCapture(event.pointerId);
  });
  main.addEventListener("pointermove", (event) => {
    if (drag) {
      const by = (event.clientX - drag.x) / (drag.canvas.clientWidth - gutter()) * (drag.view.end - drag.view.start);
      drag.canvas.classList.toggle("dragging", Math.abs(event.clientX - drag.x) > 2);
      setView(drag.view.start - by, drag.view.end - by);
    } else {
      hoverAt(event);
    }
  });
  for (const name of ["pointerup", "pointercancel"]) {
    main.addEventListener(name, () => { if (drag) drag.canvas.classList.remove("dragging"); drag = null; });
  }
  main.addEventListener("pointerleave", hideTip);
  element("zoom-in").addEventListener("click", () => zoom(1.6));
  element("zoom-out").addEventListener("click", () => zoom(1 / 1.6));
  element("zoom-fit").addEventListener("click", fit);
  element("by-kind").addEventListener("click", () => colourBy(false));
  element("by-cause").addEventListener("click", () => colourBy(true));
  element("critical").addEventListener("click", () => toggle("critical", "critical"));
  element("memory").addEventListener("click", () => toggle("memory", "memory", resizePanels));
  const keys = {"+": () => zoom(1.6), "=": () => zoom(1.6), "-": () => zoom(1 / 1.6), "0": fit, ArrowLeft: () => pan(-0.12), ArrowRight: () => pan(0.12),
                c: () => element("critical").click(), m: () => element("memory").click(), i: () => colourBy(!state.byCause)};
  document.addEventListener("keydown", (event) => {
    const action = keys[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey || (event.target.matches("input") && event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    action();
  });
  window.addEventListener("resize", schedule);
  window.addEventListener("beforeprint", () => redraw(true));
  window.addEventListener("scroll", () => { hideTip(); schedule(); }, {passive: true});
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { state.theme = themeColours(); legend(); schedule(); });
  matchMedia("print").addEventListener("change", () => { state.theme = themeColours(); redraw(true); });
}

function start() {
  runs.forEach((run) => { run.shown = run.drawable; });
  headline();
  if (DATA.search) showSearch(DATA.search);
  runs.filter((run) => run.drawable).forEach(panel);
  const show = (run) => { run.section.hidden = !run.shown; schedule(); };
  const goTo = (run) => {
    if (!run.shown) return;
    const top = run.section.getBoundingClientRect().top + window.scrollY - element("bar").offsetHeight - 8;
    window.scrollTo({top, behavior: "smooth"});
    run.section.classList.add("flash");
    setTimeout(() => run.section.classList.remove("flash"), 1200);
  };
  if (DATA.data) showData(DATA.data, show, goTo);
  else buildTable(runs, tableColumns(runs), show, goTo);
  element("memory").disabled = !runs.some((run) => run.drawable && run.memory);
  element("critical").disabled = !runs.some((run) => run.drawable && run.path);
  legend();
  listen();
  fit();
  redraw();
}

start();
// For tests and the curious.
window.stagecraft = {state, runs, zoom, pan, fit, setView, modelOf, redraw: () => { redraw(); return state.lastDraw; }};
