#!/usr/bin/env bash
# Runs `stagecraft search` and `merge` as a user does: search_test.sh PROGRAM SOURCE_FOLDER CASE
# Cases are called by name at the end.
# shellcheck disable=SC2154,SC2317
# shellcheck source=tests/cli/support.sh
. "$(dirname "$0")/support.sh"
cd "$folder" || exit 1
# figure KEY FILE: the first number under KEY.
figure() { grep -m 1 "\"$1\":" "$2" | tr -dc '0-9'; }
# All of a JSON result that does not depend on time, threads or processes, nor on other KEYs.
timeless() { # FILE [KEY...]
  python3 - "$@" <<'PYTHON'
import json, sys
result = json.load(open(sys.argv[1]))
for key in ["seconds", "threads", "processes", "progress", "evaluated", "explain", "exhausted"] + sys.argv[2:]:
    result.pop(key, None)
# Of plans with equal figures the front keeps the one that a thread found first.
for plan in result.get("front", []):
    for key in ("origin", "partition", "device_of_stage", "makespan_ns", "span_ns"):
        plan.pop(key, None)
print(json.dumps(result, sort_keys=True))
PYTHON
}

unit=$source/scenarios/unit-costs.yaml

# Sixteen uneven layers: partition, placement, chunks and order are open.
cat >small.yaml <<'YAML'
name: small
pipeline: {devices: 4, microbatches: 8}
layers:
  forward: [3, 5, 4, 7, 6, 5, 4, 3, 8, 5, 4, 6, 5, 4, 3, 12]
  backward_input: [3, 5, 5, 7, 6, 6, 4, 3, 8, 5, 4, 6, 5, 4, 3, 14]
  backward_weight: [2, 4, 3, 6, 5, 4, 3, 2, 7, 4, 3, 5, 4, 3, 2, 6]
  activation: [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 4]
  parameters: [9, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9]
costs: {transfer: 0.5}
memory: {capacity: 120}
YAML
# Takes a method some seconds.
large() {
  python3 - >large.yaml <<'PYTHON'
import random
random.seed(5)
forward = [random.randint(800, 3000) for _ in range(96)]
print("pipeline: {devices: 16, microbatches: 64}\nlayers:")
print("  forward:", forward)
print("  backward_input:", [time + random.randint(0, 500) for time in forward])
print("  backward_weight:", [time - 100 for time in forward])
print("costs: {transfer: 20}")
PYTHON
}

# The published tuner ends by itself, so that tests of the command do not depend on time.
tuner=(--method adaptis --budget 120s)

plan() {
  run 0 search small.yaml "${tuner[@]}" --out plan.yaml --json a.json --html a.html --svg a.svg --trace a.trace
  check "the best plan in words" has "$out" "best iteration"
  check "the bound in words" has "$out" "lower bound"
  check "why in words" has "$out" "what limits it most"
  check "no progress line in a file" empty "$err"
  check "no temporary file is left" test "$(find . -name '*.tmp*' | wc -l)" = 0
  for key in best start evaluated seconds lower_bound_ns gap proved bound_reason objective method seed front \
    progress plan explain iteration_ns idle_by_cause_ns partition ops binding ten_percent_faster_links more_memory; do
    check "JSON key $key" grep -q "\"$key\":" a.json
  done
  run 0 simulate plan.yaml --json b.json
  for key in iteration_ns makespan_ns span_ns peak_memory_bytes; do
    check "the plan has the $key claimed" test "$(figure "$key" a.json)" = "$(figure "$key" b.json)"
  done
  check "the plan says what it is" grep -q '^# found by: ' plan.yaml
  check "the plan has layers and a partition" grep -q '  partition: \[' plan.yaml
  run 0 schedule plan.yaml --format json
  run 0 schedule plan.yaml --format ops
  cp out a.ops
  check "ops of four devices" test "$(wc -l <a.ops)" = 4
  run 0 schedule plan.yaml --format pytorch-csv
  run 0 compare plan.yaml --schedules file,1f1b
  check "a plan can be compared" has "$out" "file"
  run 0 search plan.yaml --set search.schedule=false "${tuner[@]}" --json c.json
  check "a plan can be searched on" test "$(figure iteration_ns c.json)" = "$(figure iteration_ns a.json)"
  run 0 search small.yaml "${tuner[@]}" --out -
  check "the plan alone on standard output" test "$(printf '%s' "$out" | head -c 2)" = "# "
  run 0 search small.yaml "${tuner[@]}" --format json
  check "JSON on standard output" has "$out" '"lower_bound_ns"'
}

# Our own method, which has no end: by candidates, so that machines agree.
default_method() {
  local search=(search small.yaml --budget 2000evals)
  run 0 "${search[@]}" --threads 1 --json one.json --out plan.yaml
  check "stagecraft is the default" grep -q '"method": "stagecraft"' one.json
  run 0 "${search[@]}" --threads 2 --json two.json
  check "the same on two threads" test "$(timeless one.json)" = "$(timeless two.json)"
  local best schedule
  best=$(figure iteration_ns one.json)
  check "memory is respected" test "$(figure peak_memory_bytes one.json)" -le 120
  check "no plan is below the bound" test "$(figure lower_bound_ns one.json)" -le "$best"
  for schedule in $("$program" list schedules | sed -n 's/^\([a-z0-9-]*\)  .*/\1/p'); do
    if "$program" simulate small.yaml --schedule "$schedule" --json b.json >/dev/null 2>&1 &&
      ! grep -q '"placement": "bidirectional"' b.json; then
      check "not worse than $schedule" test "$best" -le "$(figure iteration_ns b.json)"
    fi
  done
  run 0 simulate plan.yaml --json b.json
  check "the plan has the time claimed" test "$best" = "$(figure iteration_ns b.json)"
}

threads() {
  run 0 search small.yaml "${tuner[@]}" --threads 1 --json one.json
  run 0 search small.yaml "${tuner[@]}" --threads 3 --json three.json
  check "the same on any number of threads" test "$(timeless one.json)" = "$(timeless three.json)"
}

objectives() {
  for objective in iteration makespan span memory cost pareto; do
    run 0 search small.yaml "${tuner[@]}" --objective "$objective" --json a.json
    check "objective $objective" grep -q "\"objective\": \"$objective\"" a.json
  done
  run 0 search small.yaml "${tuner[@]}" --objective cost --set 'search={devices: [2, 4, 8]}' memory.capacity=200 --json a.json
  check "fewer devices idle less" grep -q '"pipeline.devices": 2' a.json
  # One micro-batch, stages cut anew: a device of a vee begins with half a stage.
  echo '{pipeline: {devices: 4, microbatches: 1}, costs: {forward: 1, backward_input: 1, backward_weight: 1}}' >one.yaml
  run 0 search one.yaml --budget 300evals
  cat small.yaml >keyed.yaml
  echo 'search: {method: adaptis, budget: 60s, objective: memory, seed: 7}' >>keyed.yaml
  run 0 search keyed.yaml --json a.json
  check "method of the scenario" grep -q '"method": "adaptis"' a.json
  check "objective of the scenario" grep -q '"objective": "memory"' a.json
  check "seed of the scenario" grep -q '"seed": 7' a.json
  run 0 search keyed.yaml --objective span --seed 9 --json a.json
  check "the command line wins" grep -q '"objective": "span"' a.json
  check "the command line wins" grep -q '"seed": 9' a.json
}

wrong() {
  run 2 search
  run 2 search absent.yaml
  run 2 search small.yaml --budget 30
  check "what a budget is" has "$err" "a time such as 500ms"
  run 2 search small.yaml --method adaptiss
  check "nearest method" has "$err" "did you mean 'adaptis'?"
  run 2 search small.yaml --method adaptis --option frobnicate=1
  check "unknown option" has "$err" "search method adaptis has no option 'frobnicate'"
  run 2 search small.yaml --option frobnicate
  check "an option without value" has "$err" "expected key=value"
  run 2 search small.yaml --objective speed
  run 2 search small.yaml --shard 2/2
  check "what a shard is" has "$err" "expected i/N with i from 0 to N-1"
  run 2 search small.yaml --shard 1
  run 2 search small.yaml --seed -1
  run 2 search small.yaml "${tuner[@]}" --resume absent.json
  check "no checkpoint" has "$err" "absent.json"
  run 2 search small.yaml --set "search={options: {frobnicate: 1}}"
  check "an unknown option in the scenario" has "$err" "has no option 'frobnicate'"
  echo '{}' >empty.json
  run 2 search small.yaml "${tuner[@]}" --resume empty.json
  check "not a checkpoint" has "$err" "not a checkpoint"
  run 2 search small.yaml --out no/such/plan.yaml
  check "files are tried first" has "$err" "no/such/plan.yaml: error: cannot write"
  run 2 search small.yaml --set search.placment=true
  check "nearest key" has "$err" "did you mean 'search.placement'?"
  run 2 merge empty.json
  check "not a part" has "$err" "not a part of a search"
  run 2 merge
  run 2 list methods adaptiss
  run 0 list methods
  check "methods are listed" has "$out" "adaptis"
  run 0 list methods adaptis
  check "with their source" has "$out" "2509.23722"
}

infeasible() {
  run 3 search small.yaml "${tuner[@]}" --set memory.capacity=10 --json a.json
  check "memory is named" has "$err" "memory binds"
  check "with what would do" has "$err" "smallest change known to do: memory.capacity of"
  check "nothing on standard output" empty "$out"
  check "no result is written" test ! -e a.json
  local enough
  enough=$(printf '%s' "$err" | sed -n 's/.*memory.capacity of \([0-9 ]*\) bytes on every.*/\1/p' | tail -1 | tr -d ' ')
  run 0 search small.yaml "${tuner[@]}" --set "memory.capacity=$enough"
  run 3 search "$unit" "${tuner[@]}" --set memory.capacity=1
  check "the device is named" has "$err" "device"
  run 3 search small.yaml "${tuner[@]}" \
    --set "search={schedule: false, schedules: [zbv]}" "pipeline.placement=loop"
  check "the contradiction is named" has "$err" "schedule zbv needs 2 chunks per device, vee"
}

interrupt() {
  large
  "$program" search large.yaml --method adaptis --budget 600s --checkpoint ck.json --checkpoint-every 0.05 \
    --out plan.yaml --json a.json >out 2>err &
  local pid=$!
  for _ in $(seq 600); do
    [ -s ck.json ] && break
    sleep 0.05
  done
  kill -INT "$pid"
  wait "$pid"
  check "an interrupted search ends well" test $? = 0
  rm ck.json
  "$program" search large.yaml --method adaptis --budget 600s --checkpoint ck.json --checkpoint-every 0.05 >/dev/null 2>term &
  pid=$!
  for _ in $(seq 600); do
    [ -s ck.json ] && break
    sleep 0.05
  done
  kill -TERM "$pid"
  wait "$pid"
  check "so does one that a cluster ends" test $? = 0
  check "says so" has "$(cat err)" "interrupted: this is the best plan so far"
  check "and prints the plan" has "$(cat out)" "best iteration"
  run 0 simulate plan.yaml --json b.json
  check "which has the time claimed" test "$(figure iteration_ns a.json)" = "$(figure iteration_ns b.json)"
}

resume() {
  large
  sed -i 's/devices: 16, microbatches: 64/devices: 8, microbatches: 24/' large.yaml
  local search=(search large.yaml --method adaptis --budget 600s --threads 1)
  run 0 "${search[@]}" --json whole.json
  "$program" "${search[@]}" --checkpoint ck.json --checkpoint-every 0.01 --json killed.json >out 2>err &
  local pid=$!
  for _ in $(seq 600); do
    [ -s ck.json ] && break
    sleep 0.02
  done
  sleep 0.3
  kill -KILL "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  run 0 "${search[@]}" --resume ck.json --json resumed.json
  check "ends where the uninterrupted one ends" test "$(timeless whole.json)" = "$(timeless resumed.json)"
  run 2 "${search[@]}" --seed 2 --resume ck.json
  check "not of another search" has "$err" "the checkpoint is of another search"
}

shards() {
  local search=(search small.yaml "${tuner[@]}" --set 'search={microbatches: [4, 8, 12, 16, 24]}' 'memory.capacity=200')
  run 0 "${search[@]}" --json whole.json
  for i in 0 1 2; do
    run 0 "${search[@]}" --shard "$i/3" --part "part$i.json"
  done
  run 0 merge part2.json part0.json part1.json --out plan.yaml --json merged.json
  check "the merged best plan in words" has "$out" "best iteration"
  for key in iteration_ns makespan_ns lower_bound_ns; do
    check "$key as in one search" test "$(figure "$key" whole.json)" = "$(figure "$key" merged.json)"
  done
  # One search leaves points alone whose bound lies above a plan of another point, shards do not know
  # of it: their front may be fuller.
  check "all as in one search" test "$(timeless whole.json front)" = "$(timeless merged.json front)"
  run 0 simulate plan.yaml --json b.json
  check "the plan has the time claimed" test "$(figure iteration_ns merged.json)" = "$(figure iteration_ns b.json)"
  run 2 merge part0.json part1.json
  check "a shard is missing" has "$err" "shard 2/3 is missing"
  run 2 merge part0.json part1.json part2.json part1.json
  check "a shard twice" has "$err" "shard 1/3 is there twice"
  run 0 "${search[@]}" --seed 5 --shard 1/3 --part foreign.json
  run 2 merge part0.json foreign.json part2.json
  check "a foreign shard" has "$err" "foreign.json: error: this part is of another search"
  run 0 search small.yaml "${tuner[@]}" --shard 1/2 --part none.json
  check "a shard without points" has "$err" "note: shard 1/2 has no points"
  run 0 search small.yaml "${tuner[@]}" --shard 0/2 --part all.json
  run 0 merge all.json none.json
}

mpi() {
  command -v mpirun >/dev/null || exit 77
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  local search=(search small.yaml --method adaptis --seed 3 --budget 2000evals --threads 1)
  mpirun --oversubscribe -n 1 "$program" "${search[@]}" >out 2>err
  case $(cat err) in *"built without MPI"* | *"not enough slots"*) exit 77 ;; esac
  for n in 1 2 3; do
    mpirun --oversubscribe -n "$n" "$program" "${search[@]}" --json "a$n.json" >out 2>err
    check "$n processes end well" test $? = 0
    check "one report of $n processes" test "$(grep -c 'best iteration' out)" = 1
  done
  check "the same for 1 and 2 processes" test "$(timeless a1.json)" = "$(timeless a2.json)"
  check "the same for 1 and 3 processes" test "$(timeless a1.json)" = "$(timeless a3.json)"
  mpirun --oversubscribe -n 2 "$program" search small.yaml --method none >out 2>err
  check "one message of 2 processes" test "$(grep -c 'unknown search method' err)" = 1
  run 0 "${search[@]}" --json alone.json
  check "the same without MPI" test "$(timeless a1.json)" = "$(timeless alone.json)"
}

"$case"
exit "$failed"
