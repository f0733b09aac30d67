// Numbers and ops in words, as in the text reports.

const OP_TEXT = ["F", "B", "W", "BW", "R", "O", "L", "F+BW", "G", "U"];
const OP_WORD = ["forward", "backward for inputs", "backward for weights", "backward", "recompute", "offload", "reload",
                 "overlapped pair", "gradient reduction", "optimizer step"];
const CAUSE = ["fill", "drain", "producer", "transfer", "memory", "optimizer"];
const CAUSE_WORD = ["before the first op", "after the last op", "waiting for another op to end", "waiting for a transfer",
                    "waiting for memory", "waiting for the optimizer step of others"];

function trimmed(value, decimals) {
  return value.toFixed(decimals).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "");
}
function timeUnit(ns) {
  const size = Math.abs(ns);
  return size < 1e3 ? ["ns", 1] : size < 1e6 ? ["µs", 1e3] : size < 1e10 ? ["ms", 1e6] : ["s", 1e9];
}
function timeText(ns) {
  const [unit, divisor] = timeUnit(ns);
  return `${trimmed(ns / divisor, 3)}\u00a0${unit}`;
}
function memoryUnit(bytes) {
  const size = Math.abs(bytes);
  const step = size < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(size) / 10));
  return [["B", "KiB", "MiB", "GiB", "TiB"][step], 1024 ** step];
}
function memoryText(bytes) {
  const [unit, divisor] = memoryUnit(bytes);
  return `${trimmed(bytes / divisor, 2)}\u00a0${unit}`;
}
const percentText = (fraction) => `${(100 * fraction).toFixed(1)}\u00a0%`;
const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}[c]));

function unitText(kind, microbatch, direction, stage, slice) {
  return `${OP_TEXT[kind]}${microbatch}@${["", ">", "<"][direction]}${stage}${slice ? "." + slice : ""}`;
}
function opText(ops, i) {
  const kind = ops.kind[i];
  if (kind >= KIND.G) return `${OP_TEXT[kind]}@${ops.stage[i]}`;
  const slice = ops.slice ? ops.slice[i] : 0;
  if (kind !== KIND.PAIR) return unitText(kind, ops.microbatch[i], ops.direction[i], ops.stage[i], slice);
  return unitText(KIND.F, ops.microbatch[i], ops.direction[i], ops.stage[i], slice) + "+" +
         unitText(KIND.BW, ops.partnerMicrobatch[i], ops.partnerDirection[i], ops.partnerStage[i], ops.partnerSlice[i]);
}
// "3", or "3.1" for slice 1 of a cut micro-batch.
const unitNumber = (ops, i) => (ops.slice ? `${ops.microbatch[i]}.${ops.slice[i]}` : `${ops.microbatch[i]}`);
function unitWords(ops, i) {
  const kind = ops.kind[i];
  if (kind >= KIND.G) return `${OP_WORD[kind]} of device ${ops.stage[i]}`;
  const one = (microbatch, slice, stage) =>
      `micro-batch ${microbatch}${ops.slice ? `, slice ${slice},` : ""} on stage ${stage}`;
  const first = one(ops.microbatch[i], ops.slice ? ops.slice[i] : 0, ops.stage[i]);
  if (kind !== KIND.PAIR) return `${OP_WORD[kind]} of ${first}`;
  return `forward of ${first} with backward of ${one(ops.partnerMicrobatch[i], ops.partnerSlice[i], ops.partnerStage[i])}`;
}
