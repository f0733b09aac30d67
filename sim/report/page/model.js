// What drawing and hovering need to know fast: tracks with binary search and sums, memory maxima.

// First index in [from, to) with values[index] >= key; galloping, since callers move forward.
function lowerBound(values, key, from, to) {
  let step = 1;
  let low = from;
  while (low + step < to && values[low + step] < key) { low += step; step *= 2; }
  let high = Math.min(to, low + step);
  if (low < to && values[low] >= key) return low;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] < key) low = middle + 1; else high = middle;
  }
  return low;
}

// A row of intervals in order of start. `colour` says how each is drawn; `sums[c]` are running sums
// of the time of colour c, so that a pixel that holds many intervals shows their shares.
class Track {
  constructor(count) {
    this.n = count;
    this.start = new Float64Array(count);
    this.end = new Float64Array(count);
    this.colour = new Uint8Array(count);
    this.item = new Uint32Array(count);
    this.sums = null;
  }
  set(k, start, end, colour, item) {
    this.start[k] = start; this.end[k] = end; this.colour[k] = colour; this.item[k] = item;
  }
  prepareSums() {
    const used = new Map();
    for (let k = 0; k < this.n; ++k) {
      if (!used.has(this.colour[k])) used.set(this.colour[k], new Float64Array(this.n + 1));
    }
    for (const [colour, sums] of used) {
      for (let k = 0; k < this.n; ++k) sums[k + 1] = sums[k] + (this.colour[k] === colour ? this.end[k] - this.start[k] : 0);
    }
    this.sums = [...used];
  }
  // Index of the last interval that starts at or before t; -1 if none.
  before(t) {
    let low = 0, high = this.n;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.start[middle] <= t) low = middle + 1; else high = middle;
    }
    return low - 1;
  }
  at(t) {
    const k = this.before(t);
    return k >= 0 && this.end[k] > t ? k : -1;
  }
}

function trackOf(items, start, end, colour) {
  let sorted = true;
  for (let k = 1; k < items.length && sorted; ++k) sorted = start[items[k]] >= start[items[k - 1]];
  if (!sorted) items.sort((a, b) => start[a] - start[b]);
  const track = new Track(items.length);
  items.forEach((item, k) => track.set(k, start[item], end[item], colour(item), item));
  return track;
}

const BLOCK = 64;

class MemoryCurve {
  constructor({n, time, bytes}) {
    this.n = n; this.time = time; this.bytes = bytes;
    this.blockMax = new Float64Array(Math.ceil(n / BLOCK));
    for (let i = 0; i < n; ++i) {
      const b = Math.floor(i / BLOCK);
      this.blockMax[b] = i % BLOCK === 0 ? bytes[i] : Math.max(this.blockMax[b], bytes[i]);
    }
  }
  // Largest value in [from, to), indices.
  most(from, to) {
    let best = 0;
    for (let i = from; i < to;) {
      if (i % BLOCK === 0 && i + BLOCK <= to) { best = Math.max(best, this.blockMax[i / BLOCK]); i += BLOCK; }
      else { best = Math.max(best, this.bytes[i]); ++i; }
    }
    return best;
  }
  // Index of the sample that holds at t (after all changes of that instant); -1 before the first.
  index(t) {
    let low = 0, high = this.n;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.time[middle] <= t) low = middle + 1; else high = middle;
    }
    return low - 1;
  }
  at(t) { const i = this.index(t); return i < 0 ? 0 : this.bytes[i]; }
}

function buildModel(run, base64) {
  const data = decodeRun(run, base64);
  const {ops, idle} = data;
  const model = {...data, compute: [], copies: [], idleTracks: [], memory: data.memory.map((c) => new MemoryCurve(c))};
  const isCopy = (i) => ops.kind[i] === KIND.O || ops.kind[i] === KIND.L;
  // A second chunk or the upward direction is drawn in a lighter shade.
  const shade = (i) => (ops.direction[i] === 2 || run.chunkOfStage[ops.stage[i]] % 2 === 1) && ops.kind[i] < KIND.G ? 1 : 0;
  for (let d = 0; d < run.P; ++d) {
    const compute = [], copies = [];
    for (let i = run.offsets[d]; i < run.offsets[d + 1]; ++i) (isCopy(i) ? copies : compute).push(i);
    for (const [list, into] of [[compute, model.compute], [copies, model.copies]]) {
      const track = trackOf(list, ops.start, ops.end, (i) => ops.kind[i] * 2 + shade(i));
      track.prepareSums();
      into.push(track);
    }
  }
  const perDevice = Array.from({length: run.P}, () => []);
  for (let i = 0; i < idle.n; ++i) perDevice[idle.device[i]].push(i);
  for (const list of perDevice) {
    const track = trackOf(list, idle.start, idle.end, (i) => idle.cause[i]);
    track.prepareSums();
    model.idleTracks.push(track);
  }
  // The first idle interval before an op; further ones of the same op follow it.
  model.idleBefore = new Int32Array(ops.n).fill(-1);
  for (let i = idle.n - 1; i >= 0; --i) if (idle.waiting[i] >= 0) model.idleBefore[idle.waiting[i]] = i;
  model.hasCopies = model.copies.some((track) => track.n > 0);
  return model;
}

function deviceOf(run, op) {
  let d = 0;
  for (let high = run.P; high - d > 1;) {
    const middle = (d + high) >>> 1;
    if (run.offsets[middle] <= op) d = middle; else high = middle;
  }
  return d;
}
