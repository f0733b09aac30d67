// The comparison table: sorts by any column, shows what is drawn.

// One unit for a column, so that its figures can be compared at a glance.
function columnText(values, unitOf, most = 3) {
  const [unit, divisor] = unitOf(Math.max(0, ...values.filter((v) => v !== undefined)));
  let decimals = 0;
  for (const v of values) {
    if (v === undefined) continue;
    const text = trimmed(v / divisor, most);
    decimals = Math.max(decimals, text.includes(".") ? text.length - text.indexOf(".") - 1 : 0);
  }
  return {unit, text: (v) => (v === undefined ? "–" : (v / divisor).toFixed(decimals))};
}

function partsBar(run) {
  if (run.makespan === undefined) return "";
  const whole = run.makespan * run.P;
  const parts = CAUSE.map((name, c) => [name, run.devices.reduce((sum, d) => sum + d.idle[c], 0), DATA.palette.idle[c]]);
  const title = parts.filter(([, t]) => t > 0).map(([name, t]) => `${name} ${percentText(t / whole)}`).join(", ");
  const bars = parts.filter(([, t]) => t > 0)
      .map(([, t, colour]) => `<i style="width:${(100 * t / whole).toFixed(2)}%;background:${colour}"></i>`).join("");
  const busy = run.devices.reduce((sum, d) => sum + d.busy, 0) / whole;
  return `<span class="parts" title="busy ${percentText(busy)}, ${escaped(title)}"><i style="width:${(100 * busy).toFixed(2)}%"></i>${bars}</span>`;
}

function tableColumns(runs) {
  const times = columnText(runs.flatMap((r) => [r.iteration, r.makespan, r.span]), timeUnit);
  const peaks = columnText(runs.map((r) => r.peak), memoryUnit);
  const figure = (title, key, format, hint) => ({title, hint, field: key, key: (r) => r[key], cell: (r) => (r[key] === undefined ? "–" : format(r[key]))});
  const columns = [
    {title: "#", key: (r) => r.rank, cell: (r) => r.rank + 1, hint: "Rank by iteration time"},
    {title: "Schedule", text: true, name: true, key: (r) => r.schedule, cell: (r) => escaped(r.schedule)},
    {title: "Placement", text: true, key: (r) => r.placement || "", cell: (r) => escaped(r.placement || "–")},
    figure(`Iteration (${times.unit})`, "iteration", times.text, "Steady-state time of a training iteration"),
    figure("vs 1f1b", "speedup", (v) => `${v.toFixed(3)}×`, "Speed-up over 1f1b"),
    figure(`Makespan (${times.unit})`, "makespan", times.text, "First op start to last op end over all devices"),
    figure(`Span (${times.unit})`, "span", times.text, "Longest time from a device's first to its last op"),
    figure("Bubble", "bubble", percentText, "Idle share of devices x makespan"),
    {title: "Busy, then idle by cause", text: true, key: (r) => r.bubble, cell: partsBar},
    figure(`Peak memory (${peaks.unit})`, "peak", peaks.text, "Largest peak over the devices"),
    figure("Above bound", "gap", percentText, "Makespan above the lower bound for any order on this placement"),
    {title: "Shown", key: (r) => (r.drawable ? (r.shown ? 0 : 1) : 2),
     cell: (r) => (r.drawable ? `<input type="checkbox" data-run="${r.rank}" ${r.shown ? "checked" : ""} aria-label="Show the timeline of ${escaped(r.schedule)}">` : "")},
  ];
  const absent = [];
  if (!runs.some((r) => r.gap !== undefined)) absent.push("gap");
  if (!runs.some((r) => r.peak !== undefined)) absent.push("peak");
  if (runs.length === 1 || !runs.some((r) => r.speedup !== undefined)) absent.push("speedup");
  return columns.filter((c) => !absent.includes(c.field));
}

// `runs`: the rows, each with its rank, and how it came out.
function buildTable(runs, columns, onShow, onPick) {
  const table = document.getElementById("table");
  let sortBy = 0;
  let ascending = true;
  const compare = (a, b) => {
    const [x, y] = [columns[sortBy].key(a), columns[sortBy].key(b)];
    if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);  // none last
    const order = typeof x === "string" ? x.localeCompare(y) : x - y;
    return (ascending ? order : -order) || a.rank - b.rank;
  };
  const row = (run) => {
    const classes = [run.best && runs.length > 1 ? "best" : "", run.feasible ? "" : "out"].join(" ").trim();
    const cells = columns.map((c, k) => {
      if (!run.drawable && k === 3) return `<td class="text reason" colspan="${columns.length - 3}">${escaped(run.problems[0] || "no timeline")}</td>`;
      if (!run.drawable && k > 3) return "";
      return `<td class="${c.text ? "text" : ""}${c.name ? " name" : ""}"${c.name && run.note ? ` title="${escaped(run.note)}"` : ""}>${c.cell(run)}</td>`;
    });
    return `<tr class="${classes}" data-run="${run.rank}"${!run.feasible && run.problems.length ? ` title="${escaped(run.problems.join("\n"))}"` : ""}>${cells.join("")}</tr>`;
  };
  const draw = () => {
    table.tHead.innerHTML = `<tr>${columns.map((c, k) => `<th class="${c.text ? "text" : ""}" scope="col"${k === sortBy ? ` aria-sort="${ascending ? "ascending" : "descending"}"` : ""}${c.hint ? ` title="${c.hint}"` : ""}><button>${c.title}</button></th>`).join("")}</tr>`;
    table.tBodies[0].innerHTML = [...runs].sort(compare).map(row).join("");
    [...table.tHead.querySelectorAll("button")].forEach((button, k) => button.addEventListener("click", () => {
      ascending = k === sortBy ? !ascending : true;
      sortBy = k;
      draw();
      table.tHead.querySelectorAll("button")[k].focus();
    }));
  };
  table.tBodies[0].addEventListener("click", (event) => {
    const tr = event.target.closest("tr");
    if (!tr) return;
    const run = runs[Number(tr.dataset.run)];
    if (event.target.matches("input")) { run.shown = event.target.checked; onShow(run); }
    else if (run.drawable) onPick(run);
  });
  draw();
}
