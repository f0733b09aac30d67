#!/usr/bin/env bash
# Runs the program as a user does: cli_test.sh PROGRAM SOURCE_FOLDER CASE
# Cases are called by name at the end.
# shellcheck disable=SC2154,SC2317
# shellcheck source=tests/cli/support.sh
. "$(dirname "$0")/support.sh"

unit=$source/scenarios/unit-costs.yaml

statuses() {
  run 0 simulate "$unit"
  run 2 simulate "$folder/absent.yaml"
  check "names the absent file" has "$err" "absent.yaml"
  run 2 simulate "$folder"
  run 2 simulate
  run 2 simulate "$unit" --format pdf
  run 2 simulate "$unit" --schedule no-such-schedule
  run 2 compare "$unit" --schedules 1f1b,no-such-schedule
  run 2 simulate "$unit" --json "$folder/no/such/folder.json"
  run 2
  run 2 --no-such-option
  run 0 --version
  check "version" has "$out" "stagecraft 0."
}

streams() {
  run 0 simulate "$unit"
  check "results on standard output" has "$out" "makespan"
  check "nothing else on standard error" empty "$err"
  run 2 simulate "$source/tests/data/wrong/001-unknown-top-key.yaml"
  check "no result of a wrong file" empty "$out"
  check "place on standard error" has "$err" "001-unknown-top-key.yaml:3:1: error: unknown key 'shedule'"
  run 0 compare "$unit"
  check "no progress bar in a file" empty "$err"
  run 0 simulate "$unit" --format json
  check "JSON on standard output" has "$out" '"iteration_ns": 33000'
  out=$(sed 's/microbatches: 8/microbatches: 4/' "$unit" | "$program" simulate - --format json)
  check "a scenario from standard input" has "$out" '"makespan_ns": 21000'
}

help() {
  for command in "" simulate compare schedule search merge execute calibrate data list; do
    # shellcheck disable=SC2086
    run 0 $command --help
    check "help of '$command' on standard output" has "$out" "--help"
    check "nothing on standard error" empty "$err"
  done
}

names() {
  run 2 simluate "$unit"
  check "nearest command" has "$err" "did you mean 'simulate'?"
  run 2 simulate "$unit" --shedule gpipe
  check "nearest option" has "$err" "did you mean '--schedule'?"
  run 2 simulate "$unit" --schedule interleaving
  check "nearest schedule" has "$err" "did you mean 'interleaved'?"
  run 2 list models
  check "models come later" has "$err" "list models is not supported yet"
  run 2 list hardware
  check "hardware comes later" has "$err" "list hardware is not supported yet"
  run 2 list schedule
  check "nearest list" has "$err" "did you mean 'schedules'?"
  run 2 searhc "$unit"
  check "nearest command" has "$err" "did you mean 'search'?"
}

files() {
  cd "$folder" || return
  run 0 simulate "$unit" --json a.json --trace a.trace --html a.html --svg a.svg
  for file in a.json a.trace a.html a.svg; do
    check "$file is there" test -s "$file"
  done
  check "no temporary file is left" test "$(find . -name '*.tmp*' | wc -l)" = 0
  cp a.json before.json
  run 2 simulate "$unit" --set pipeline.devices=x --json a.json
  check "a failed run leaves the file alone" cmp -s a.json before.json
  run 0 simulate "$unit" --json -
  check "- is standard output" has "$out" '"fingerprint"'
  check "and has it for itself" test "$(printf '%s' "$out" | tail -n 1)" = "}"
  run 2 simulate "$unit" --json - --trace -
  check "one result on standard output" empty "$out"
}

overrides() {
  run 0 simulate "$unit" --set pipeline.microbatches=32 --format json
  check "32 micro-batches" has "$out" '"makespan_ns": 105000'
  run 0 simulate "$unit" --set pipeline.microbatches=4 costs.transfer=1 --format json
  check "two values after one --set" has "$out" '"makespan_ns": 31000'
  run 2 simulate "$unit" --set pipeline.foo=3
  check "unknown key at its place" has "$err" "--set pipeline.foo=3:1:1: error: unknown key 'pipeline.foo'"
  run 2 simulate "$unit" --set devices=3
  check "key without its section" has "$err" "did you mean 'pipeline.devices'?"
  run 2 simulate "$unit" --set pipeline.devices
  run 2 simulate "$unit" --set pipeline.devices=
  check "no value" has "$err" "'pipeline.devices' gets no value, expected pipeline.devices=VALUE"
  sed 's/^schedule:.*/schedule: {kind: greedy, defer: false}/' "$unit" >"$folder/options.yaml"
  run 0 simulate "$folder/options.yaml" --set schedule.kind=1f1b
  run 2 simulate "$folder/options.yaml" --set schedule.kind=1f1b --set schedule.defer=true
  check "an option of another schedule" has "$err" "schedule 1f1b has no option"
}

schedules() {
  run 0 schedule "$unit" --format ops
  check "one line per device" test "$(wc -l <"$folder/out")" = 4
  check "1f1b on the last device" has "$out" "F0@3 BW0@3 F1@3 BW1@3"
  run 0 schedule "$unit" --format json
  check "JSON" has "$out" '"stagecraft_schedule"'
  run 0 schedule "$unit" --format pytorch-csv
  check "CSV" has "$out" "0F0,"
  run 0 list schedules
  check "1f1b is listed" has "$out" "1f1b"
  run 0 list schedules 1f1b
  check "details" has "$out" "2006.09503"
  run 2 list schedules 1f2b3
  run 0 list keys
  check "reference of keys" has "$out" "pipeline.devices"
}

round_trip() {
  cd "$folder" || return
  local bidirectional
  for bidirectional in dualpipe chimera; do
    run 0 schedule "$unit" --schedule "$bidirectional" --set pipeline.placement=bidirectional --format json
    cp out a.json
    run 0 schedule "$unit" --schedule "$bidirectional" --set pipeline.placement=bidirectional --format ops
    cp out a.ops
    run 0 simulate "$unit" --schedule "$bidirectional" --set pipeline.placement=bidirectional --format json
    fingerprint=$(grep '"fingerprint"' out)
    for file in a.json a.ops; do
      run 0 simulate "$unit" --set pipeline.placement=bidirectional \
        --set "schedule={kind: file, file: $folder/$file}" --format json
      check "$bidirectional comes back from $file" has "$out" "$fingerprint"
    done
  done
}

compare() {
  run 0 compare "$unit" --schedules gpipe,1f1b --threads 1 --json "$folder/one.json"
  run 0 compare "$unit" --schedules gpipe,1f1b --threads 4 --json "$folder/four.json"
  check "the same on any number of threads" cmp -s "$folder/one.json" "$folder/four.json"
  run 0 compare "$unit" --schedules 1f1b,1f1b
  check "a schedule named twice is one row" test "$(grep -c "^.  1f1b" "$folder/out")" = 1
  check "and one warning" has "$err" "warning: --schedules names '1f1b' more than once"
  run 0 compare "$unit" --schedules 1f1b,gpipe
  check "no warning without a repetition" empty "$err"
  run 2 compare "$unit" --schedules ''
  check "no names" has "$err" "--schedules names no schedule"
  run 0 simulate "$unit" --schedule interleaved --set pipeline.chunks=1 --format json
  check "interleaved on one chunk" has "$out" '"note": "1 chunk per device: the order of 1f1b"'
  run 0 compare "$unit" --schedules all --format json
  check "a list of results" has "$out" '"results"'
}

infeasible() {
  run 3 simulate "$unit" --set memory.capacity=7
  check "names what would fit" has "$err" "smallest change: memory.capacity of 8 bytes"
  run 0 simulate "$unit" --set memory.capacity=8
  run 3 compare "$unit" --schedules gpipe --set memory.capacity=7
  run 3 simulate "$source/scenarios/rendezvous-deadlock.yaml"
  check "a lowering that works" has "$err" "schedule.p2p"
  run 0 simulate "$source/scenarios/rendezvous-deadlock.yaml" --set schedule.p2p=batched
}

# Four devices, eight micro-batches, ops of a millisecond or more.
real=(--set time_unit=ms --runs 1 --iterations 2)

# True where `--backend cuda` would find a GPU.
gpu_here() { command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; }

execute() {
  cd "$folder" || return
  run 0 execute "$unit" --backend host "${real[@]}" --json a.json --trace a.trace --html a.html --svg a.svg
  check "both times are printed" has "$out" "iteration time  "
  check "the error of the timer is printed" has "$out" "timer of this machine: "
  check "no progress bar in a file" empty "$err"
  json=$(cat a.json)
  for key in backend predicted measured comparison makespans_ns iterations_ns timer iteration_error \
    mean_start_error worst_error predicted_busy_ns; do
    check "JSON key $key" has "$json" "\"$key\":"
  done
  check "the prediction is that of simulate" has "$json" '"iteration_ns": 33000000,'
  check "the page shows both" has "$(cat a.html)" '"schedule":"1f1b measured"'
  check "the trace shows both" has "$(cat a.trace)" '1f1b measured: '
  check "the picture shows both" has "$(cat a.svg)" '1f1b measured'
  check "no temporary file is left" test "$(find . -name '*.tmp*' | wc -l)" = 0
  run 0 execute "$unit" --backend host "${real[@]}" --schedule zb-h1 --body busy --format json
  check "split backwards ran: 32 of each kind" test "$(grep -c '"count": 32,' "$folder/out")" = 3
  check "a JSON record of one schedule" has "$out" '"schedule": "zb-h1"'
  run 0 execute "$unit" --backend host "${real[@]}" --json -
  check "- is standard output and has it for itself" test "$(printf '%s' "$out" | head -c 1)" = "{"
}

execute_table() {
  cd "$folder" || return
  run 0 execute "$unit" --backend host "${real[@]}" --schedules 1f1b,gpipe,zbv,dualpipe --json a.json --html a.html
  check "a line of the ranking" has "$out" "came out the other way round"
  check "a row of every schedule" test "$(grep -cE '^(1f1b|gpipe|zbv|dualpipe) ' "$folder/out")" = 4
  json=$(cat a.json)
  check "a list of results" has "$json" '"results": ['
  check "the ranking" has "$json" '"inverted":'
  check "all timelines on one page" test "$(grep -o '"schedule":"[a-z0-9]* measured"' a.html | wc -l)" = 4
  run 0 execute "$unit" --backend host "${real[@]}" --schedules 1f1b,gpipe --set memory.capacity=8
  check "what cannot run is named with its reason" has "$out" "gpipe: "
  run 3 execute "$unit" --backend host "${real[@]}" --schedules gpipe --set memory.capacity=7
  check "nothing to run" has "$err" "none of the 1 schedules could be run"
  run 2 execute "$unit" --backend host --schedules 1f1b,no-such
  check "unknown schedule" has "$err" "no-such"
}

execute_wrong() {
  cd "$folder" || return
  run 2 execute "$unit"
  check "the backend is missing" has "$err" "--backend"
  run 2 execute "$unit" --backend tpu
  run 2 execute "$unit" --backend host --body stage
  check "nothing to compute" has "$err" "no section 'execute'"
  run 2 execute "$unit" --backend host --schedule 1f1b --schedules gpipe
  run 2 execute "$unit" --backend host --watchdog 5
  check "and how it is written" has "$err" "such as 500ms or 5s"
  run 2 execute "$unit" --backend host --watchdog 2h
  run 2 execute "$unit" --backend host --runs 0
  run 2 execute "$unit" --backend host --gpus whole
  check "options of another backend are refused" has "$err" "--backend cuda only"
  run 2 execute "$unit" --backend host --no-graphs
  run 2 execute "$unit" --backend cuda --body busy
  check "a body that cuda has not" has "$err" "'busy' is for --backend host"
  run 2 execute "$unit" --backend host --set time_unit=s --json "$folder/no/such.json" --html "$folder"
  check "files are tried before anything is run" test "$(grep -c 'cannot write' "$folder/err")" = 2
  check "so no time is announced" test "$(grep -c '^note' "$folder/err")" = 0
  run 2 execute "$unit" --backend host --schedule zbv
  check "the shape is stated" has "$err" "schedule zbv needs 2 chunks per device, vee"
  run 3 execute "$unit" --backend host "${real[@]}" --set memory.capacity=7 --json a.json
  check "not run without being asked" has "$err" "--anyway runs it all the same"
  check "and says so in its record" test "$(grep -c '"measured":' a.json)" = 0
  run 3 execute "$unit" --backend host "${real[@]}" --set memory.capacity=7 --anyway --json a.json
  check "run all the same" has "$(cat a.json)" '"comparison":'
  deadlock=$source/scenarios/rendezvous-deadlock.yaml
  run 3 execute "$deadlock" --backend host
  check "a deadlock is predicted" has "$err" "deadlock: "
  run 3 execute "$deadlock" --backend host --anyway --watchdog 300ms --runs 1 --json a.json
  check "a deadlock is found by the watchdog" has "$err" "deadlock: "
  run 3 execute "$deadlock" --backend host --html a.html --svg a.svg --trace a.trace
  check "a page names what cannot run" has "$(cat a.html)" '"schedule":"1f1b predicted"'
  check "its words are in the record" test "$(grep -c '"message": "deadlock: ' a.json)" = 2
  if ! gpu_here; then
    run 2 execute "$unit" --backend cuda
    check "what a GPU takes" has "$err" "CUDA"
  fi
}

interrupt() {
  cd "$folder" || return
  "$program" execute "$unit" --backend host --set time_unit=s --json a.json --html a.html >out 2>err &
  local pid=$!
  sleep 1
  kill -INT "$pid"
  wait "$pid"
  check "ends as the signal would have it" test $? = 130
  check "a long run is announced" has "$(cat err)" "note: this takes about 7 min: 1 schedule x 4 runs"
  check "says so" has "$(cat err)" "interrupted: nothing written"
  check "no file is left" test "$(find . -name 'a.*' | wc -l)" = 0
}

calibrate() {
  cd "$folder" || return
  cat >tiny.yaml <<'YAML'
pipeline: {devices: 2, microbatches: 4}
execute: {hidden: 32, heads: 4, ffn: 64, layers: [1, 2], tokens: [16, 8, 16, 8]}
memory: {capacity: 1GiB}
YAML
  run 2 simulate tiny.yaml
  check "costs are to be measured" has "$err" "tiny.yaml:2:1: error: the costs are missing"
  check "and how" has "$err" "stagecraft calibrate tiny.yaml"
  run 2 execute tiny.yaml --backend host
  run 0 calibrate tiny.yaml --device host --out measured.yaml --json measured.json --repeat 3
  check "a table of ops" has "$out" "quartiles"
  check "who measured on what" has "$(cat measured.yaml)" "# Measured by stagecraft"
  check "the model is kept" has "$(cat measured.yaml)" "layers: [1, 2]"
  check "memory is kept" has "$(cat measured.yaml)" "capacity: 1073741824"
  check "samples are recorded" has "$(cat measured.json)" '"median_ns":'
  check "no temporary file is left" test "$(find . -name '*.tmp*' | wc -l)" = 0
  run 0 simulate measured.yaml --format json
  check "memory of the model" has "$out" '"peak_memory_bytes"'
  for schedule in 1f1b zb-h1 gpipe; do
    run 0 execute measured.yaml --backend host --body stage --schedule "$schedule" --runs 1 --json a.json
    check "memory was really held" has "$(cat a.json)" '"held_bytes":'
  done
  run 0 calibrate tiny.yaml --device host --out - --alone --repeat 3
  check "the scenario alone on standard output" test "$(printf '%s' "$out" | head -c 1)" = "#"
  run 0 simulate <(printf '%s' "$out")
  run 0 execute measured.yaml --backend host --body stage --schedules 1f1b,zbv --runs 1
  check "a schedule that does not fit the model is named" has "$out" "zbv: the 1 layers of stage 0 cannot"
  run 2 calibrate tiny.yaml --device host --out no/such.yaml --repeat 100000
  check "a file is tried before anything is measured" has "$err" "no/such.yaml: error: cannot write"
  run 2 calibrate "$unit" --device host --out b.yaml
  check "no model to measure" has "$err" "no section 'execute'"
  check "and nothing written" test ! -e b.yaml
  if ! gpu_here; then
    run 2 calibrate tiny.yaml --device cuda --out b.yaml
    check "what a GPU takes" has "$err" "CUDA"
  fi
}

adaptis() {
  run 0 simulate "$source/scenarios/nemotron-nano-v2-9b.yaml" --format json
  check "fused 1F1B" has "$out" '"makespan_ns": 1331210000,'
  run 0 simulate "$source/scenarios/nemotron-nano-v2-9b-adaptis.yaml" --format json
  check "published plan" has "$out" '"makespan_ns": 898700000,'
  if command -v python3 >/dev/null; then
    check "scenarios are as generated" "$source/tools/make_adaptis_scenarios.py" --check
  fi
}

"$case"
exit "$failed"
