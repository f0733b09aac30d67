// Reading what page_data.cpp wrote: delta-coded numbers, in the same order.

class Reader {
  constructor(bytes) { this.bytes = bytes; this.at = 0; }
  byte() { return this.bytes[this.at++]; }
  // Seven bits a byte, lowest first; multiplication because values exceed 32 bits.
  unsigned() {
    let b = this.bytes[this.at++];
    let value = b & 127;
    for (let scale = 128; b >= 128; scale *= 128) {
      b = this.bytes[this.at++];
      value += (b & 127) * scale;
    }
    return value;
  }
  signed() {
    const value = this.unsigned();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }
}

function bytesOf(base64) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(base64);
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; ++i) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const KIND = {F: 0, B: 1, W: 2, BW: 3, R: 4, O: 5, L: 6, PAIR: 7, G: 8, U: 9};

function decodeOps(reader, run) {
  const n = run.offsets[run.P];
  const ops = {
    n, kind: new Uint8Array(n), direction: new Uint8Array(n), partnerDirection: new Uint8Array(n),
    stage: new Uint16Array(n), microbatch: new Int32Array(n), slice: run.sliced ? new Uint16Array(n) : null,
    partnerStage: null, partnerMicrobatch: null, partnerSlice: null,
    start: new Float64Array(n), end: new Float64Array(n),
  };
  if (run.pairs) {
    ops.partnerStage = new Uint16Array(n);
    ops.partnerMicrobatch = new Int32Array(n);
    ops.partnerSlice = new Uint16Array(n);
  }
  const contexts = 10 * run.stageIds;
  const lastMicrobatch = new Float64Array(contexts);
  const lastDuration = new Float64Array(contexts);
  for (let d = 0; d < run.P; ++d) {
    lastMicrobatch.fill(0);
    lastDuration.fill(0);
    let stage = 0, partnerStage = 0, partnerMicrobatch = 0, computeEnd = 0, copyEnd = 0;
    for (let i = run.offsets[d]; i < run.offsets[d + 1]; ++i) {
      const head = reader.byte();
      const kind = head & 15;
      const copy = kind === KIND.O || kind === KIND.L;
      stage += reader.signed();
      const context = kind * run.stageIds + stage;
      ops.kind[i] = kind;
      ops.direction[i] = (head >> 4) & 3;
      ops.partnerDirection[i] = head >> 6;
      ops.stage[i] = stage;
      ops.microbatch[i] = lastMicrobatch[context] += reader.signed();
      if (run.sliced) ops.slice[i] = reader.unsigned();
      if (kind === KIND.PAIR) {
        ops.partnerStage[i] = partnerStage += reader.signed();
        ops.partnerMicrobatch[i] = partnerMicrobatch += reader.signed();
        if (run.sliced) ops.partnerSlice[i] = reader.unsigned();
      }
      const start = (copy ? copyEnd : computeEnd) + reader.signed();
      const end = start + (lastDuration[context] += reader.signed());
      ops.start[i] = start;
      ops.end[i] = end;
      if (copy) copyEnd = end; else computeEnd = end;
    }
  }
  return ops;
}

function decodeIdle(reader) {
  const n = reader.unsigned();
  const idle = {
    n, device: new Uint16Array(n), cause: new Uint8Array(n), start: new Float64Array(n),
    end: new Float64Array(n), waiting: new Float64Array(n).fill(-1), waitedFor: new Float64Array(n).fill(-1),
  };
  let device = 0, end = 0, waiting = 0;
  for (let i = 0; i < n; ++i) {
    device += reader.unsigned();
    const flags = reader.byte();
    idle.device[i] = device;
    idle.cause[i] = flags & 7;
    idle.start[i] = end + reader.signed();
    idle.end[i] = end = idle.start[i] + reader.unsigned();
    if (flags & 8) idle.waiting[i] = waiting += reader.signed();
    if (flags & 16) idle.waitedFor[i] = waiting + reader.signed();
  }
  return idle;
}

function decodeTransfers(reader) {
  const n = reader.unsigned();
  const transfers = {
    n, producer: new Uint32Array(n), consumer: new Uint32Array(n), start: new Float64Array(n),
    end: new Float64Array(n), bytes: new Float64Array(n),
  };
  let consumer = 0, start = 0, bytes = 0;
  for (let i = 0; i < n; ++i) {
    transfers.consumer[i] = consumer += reader.signed();
    transfers.producer[i] = consumer + reader.signed();
    transfers.start[i] = start += reader.signed();
    transfers.end[i] = start + reader.unsigned();
    transfers.bytes[i] = bytes += reader.signed();
  }
  return transfers;
}

// Changes of memory repeat, so they are numbered as they first occur; 0 announces a new one.
function decodeMemory(reader) {
  const devices = reader.unsigned();
  const changes = [];
  const curves = [];
  for (let d = 0; d < devices; ++d) {
    const n = reader.unsigned();
    const curve = {n, time: new Float64Array(n), bytes: new Float64Array(n)};
    let time = 0, bytes = 0;
    for (let i = 0; i < n; ++i) {
      curve.time[i] = time += reader.signed();
      const number = reader.unsigned();
      if (number === 0) {
        const change = reader.signed();
        changes.push(change);
        bytes += change;
      } else {
        bytes += changes[number - 1];
      }
      curve.bytes[i] = bytes;
    }
    curves.push(curve);
  }
  return curves;
}

function decodePath(reader) {
  const n = reader.unsigned();
  const path = {n, kind: new Uint8Array(n), op: new Uint32Array(n), start: new Float64Array(n), end: new Float64Array(n)};
  let op = 0, end = 0;
  for (let i = 0; i < n; ++i) {
    path.kind[i] = reader.byte();
    path.op[i] = op += reader.signed();
    path.start[i] = end + reader.signed();
    path.end[i] = end = path.start[i] + reader.unsigned();
  }
  return path;
}

// One run's timeline; `run` is its entry in the page's data.
function decodeRun(run, base64) {
  const reader = new Reader(bytesOf(base64));
  const ops = decodeOps(reader, run);
  const idle = decodeIdle(reader);
  const transfers = decodeTransfers(reader);
  const memory = decodeMemory(reader);
  const path = decodePath(reader);
  return {ops, idle, transfers, memory, path};
}
