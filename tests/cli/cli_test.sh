#!/usr/bin/env bash
# Runs the program as a user does: cli_test.sh PROGRAM SOURCE_FOLDER CASE
# Cases are called by name at the end.
# shellcheck disable=SC2317
set -uo pipefail
program=$1 source=$2 case=$3
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
failed=0

# run STATUS ARGUMENT...: fails unless the exit status is STATUS; keeps both streams in $out and $err.
run() {
  local expected=$1 status
  shift
  "$program" "$@" >"$folder/out" 2>"$folder/err"
  status=$?
  out=$(cat "$folder/out") err=$(cat "$folder/err")
  if [ "$status" != "$expected" ]; then
    echo "stagecraft $*: exit status $status, expected $expected"
    echo "$err" | head -5
    failed=1
  fi
}
# check TEXT CONDITION...: fails unless the condition holds.
check() {
  local what=$1
  shift
  if ! "$@"; then
    echo "failed: $what"
    failed=1
  fi
}
has() { [[ $1 == *"$2"* ]]; }
empty() { [ -z "$1" ]; }

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
  for command in "" simulate compare schedule list; do
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
  run 2 search "$unit"
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
