// What the pointer is on, in words.

const rowHtml = (rows) => `<dl>${rows.map(([name, value]) => `<dt>${name}</dt><dd>${value}</dd>`).join("")}</dl>`;

// Why an op started when it did: the idle intervals before it, or that there were none.
function waitWords(run, model, op) {
  const {ops, idle} = model;
  const device = deviceOf(run, op);
  const lines = [];
  for (let i = model.idleBefore[op]; i >= 0 && i < idle.n && idle.waiting[i] === op; ++i) {
    const time = timeText(idle.end[i] - idle.start[i]);
    const other = idle.waitedFor[i];
    const whose = other < 0 ? "" : `${opText(ops, other)}${deviceOf(run, other) === device ? "" : ` (device ${deviceOf(run, other)})`}`;
    const phrases = {
      fill: other < 0 ? "before the first op" : `for ${whose}, before the device's first op`,
      producer: `for ${whose || "another op"} to end`, transfer: whose ? `for the transfer from ${whose}` : run.measured ? "for transfers, or between two ops" : "for the transfer from another device",
      memory: whose ? `for memory that ${whose} frees` : "for memory", optimizer: "for the optimizer step or gradient reduction of others", drain: "",
    };
    lines.push(`${time} ${phrases[CAUSE[idle.cause[i]]]}`);
  }
  if (lines.length) return lines.map(escaped).join("<br>");
  const track = model.compute[device];
  const k = track.before(ops.start[op] - 1);
  const previous = k >= 0 && track.end[k] === ops.start[op] ? opText(ops, track.item[k]) : "";
  return previous ? `nothing: it ran right after ${escaped(previous)}` : "nothing";
}

function opTip(run, model, op) {
  const {ops} = model;
  const device = deviceOf(run, op);
  const rows = [["device", `${device}, stage ${ops.stage[op]}`], ["start", timeText(ops.start[op])], ["end", timeText(ops.end[op])],
                ["duration", timeText(ops.end[op] - ops.start[op])]];
  if (run.memory && model.memory[device]) rows.push(["memory", `${memoryText(model.memory[device].at(ops.start[op]))} at its start`]);
  rows.push(["waited for", waitWords(run, model, op)]);
  const colour = DATA.palette.ops[ops.kind[op]][0];
  return `<h3><i style="background:${colour}"></i>${escaped(opText(ops, op))}</h3><p>${escaped(unitWords(ops, op))}</p>${rowHtml(rows)}`;
}

function idleTip(run, model, i) {
  const {ops, idle} = model;
  const device = idle.device[i];
  const rows = [["device", device], ["from", timeText(idle.start[i])], ["to", timeText(idle.end[i])], ["duration", timeText(idle.end[i] - idle.start[i])]];
  if (idle.waiting[i] >= 0) rows.push(["next op", escaped(opText(ops, idle.waiting[i]))]);
  if (idle.waitedFor[i] >= 0) rows.push(["waits for", `${escaped(opText(ops, idle.waitedFor[i]))} of device ${deviceOf(run, idle.waitedFor[i])}`]);
  return `<h3><i style="background:${DATA.palette.idle[idle.cause[i]]}"></i>idle: ${CAUSE[idle.cause[i]]}</h3><p>${CAUSE_WORD[idle.cause[i]]}</p>${rowHtml(rows)}`;
}

// {op, html} of what lies at a device row and time, or null.
function under(run, model, device, inRow, layout, t) {
  if (inRow > layout.row) {
    const curve = model.memory[device];
    if (!layout.memory || !curve || t < 0 || t > run.end) return null;
    const capacity = run.capacity[device];
    return {op: -1, html: `<h3>${memoryText(curve.at(t))}</h3>${rowHtml([["device", device], ["at", timeText(t)],
      ["peak", memoryText(run.devices[device].peak)], ...(capacity ? [["capacity", memoryText(capacity)]] : [])])}`};
  }
  const tracks = layout.copy && inRow >= layout.row - layout.copy ? [model.copies[device], model.compute[device]] : [model.compute[device], model.copies[device]];
  const first = tracks[0].at(t);
  if (first >= 0) return {op: tracks[0].item[first], html: opTip(run, model, tracks[0].item[first])};
  const idle = model.idleTracks[device].at(t);
  return idle >= 0 ? {op: -1, html: idleTip(run, model, model.idleTracks[device].item[idle])} : null;
}

function hoverAt(event) {
  const canvas = event.target.closest("canvas");
  if (!canvas || !inPlot(canvas, event.clientX)) { hideTip(); return; }
  const run = runs[Number(canvas.dataset.run)];
  const model = modelOf(run);
  const layout = layoutOf(run, model, state.memory);
  const box = canvas.getBoundingClientRect();
  const y = event.clientY - box.top;
  const device = Math.min(run.P - 1, Math.max(0, Math.floor(y / layout.pitch)));
  const t = timeAt(canvas, event.clientX);
  const found = under(run, model, device, y - device * layout.pitch, layout, t);
  const previous = state.hover;
  state.hover = found && found.op >= 0 ? {run, op: found.op} : null;
  if ((previous && previous.op) !== (state.hover && state.hover.op)) schedule();
  showCursor(event.clientX);
  if (found) showTip(found.html, event); else element("tip").hidden = true;
}

// Beside the pointer, within the window.
function showTip(html, event) {
  const tip = element("tip");
  tip.innerHTML = html;
  tip.hidden = false;
  const [w, h] = [tip.offsetWidth, tip.offsetHeight];
  tip.style.left = `${Math.max(4, event.clientX + 16 + w > window.innerWidth ? event.clientX - w - 14 : event.clientX + 16)}px`;
  tip.style.top = `${Math.max(4, event.clientY + 18 + h > window.innerHeight ? event.clientY - h - 12 : event.clientY + 18)}px`;
}

function showCursor(x) {
  const cursor = element("cursor");
  const top = element("bar").getBoundingClientRect().bottom;
  const bottom = Math.min(window.innerHeight, element("timelines").getBoundingClientRect().bottom);
  cursor.hidden = false;
  Object.assign(cursor.style, {left: `${x}px`, top: `${top}px`, height: `${Math.max(0, bottom - top)}px`});
}

function hideTip() {
  element("tip").hidden = true;
  element("cursor").hidden = true;
  if (state.hover) { state.hover = null; schedule(); }
}
