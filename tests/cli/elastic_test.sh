#!/usr/bin/env bash
# Runs the program on scenarios that bring their data, as a user does: elastic_test.sh PROGRAM SOURCE_FOLDER CASE
# Cases are called by name at the end.
# shellcheck disable=SC2154,SC2317
# shellcheck source=tests/cli/support.sh
. "$(dirname "$0")/support.sh"
cd "$folder" || exit 1
# json EXPRESSION FILE: a Python expression over the result `r` must be true.
json() { python3 -c "import json, sys; r = json.load(open(sys.argv[1])); sys.exit(0 if $1 else 1)" "$2"; }

scenario=$source/scenarios/elastic/commoncrawl-7b.yaml
small=(--set training.global_batch=64 data.iterations=3)

simulate() {
  run 0 simulate "$scenario" "${small[@]}" --json result.json --html page.html --trace trace.json --formation plan.json
  check "figures in words" has "$out" "time goes into"
  check "figures" json 'r["feasible"] and r["iteration_ns"] == sum(r["parts_ns"].values()) > 0' result.json
  check "every token once" json 'sum(p["tokens"] for m in r["microbatches"] for s in m["slices"] for p in s["pieces"])
    == sum(s["tokens"] for s in r["sequences"])' plan.json
  check "every micro-batch in one pipeline" json 'sum(r["pipelines"]) == len(r["microbatches"]) == len(set(r["order"]))' plan.json
  run 0 simulate "$scenario" "${small[@]}" data.iteration=2 --formation plan.json
  check "pieces name their sequence" json 'all(s["tokens"] == sum(p["tokens"] for m in r["microbatches"] for u in m["slices"]
    for p in u["pieces"] if p["sequence"] == s["sequence"]) for s in r["sequences"]) and r["sequences"][0]["id"] > 63' plan.json
  run 0 simulate "$scenario" "${small[@]}" --schedule flexsp --format json --formation plan.json
  check "rounds of groups" json 'r["rounds"] and all(sum(round["gpus"]) <= 32 for round in r["rounds"])' plan.json
  run 2 simulate "$scenario" "${small[@]}" --schedule flexsp --html page.html
  check "no pipeline, no timeline" has "$err" "has no pipeline"
  run 2 simulate "$scenario" "${small[@]}" --schedule elastik
  check "the nearest strategy" has "$err" "did you mean 'elastic'?"
}

explicit() {
  run 0 simulate "$scenario" "${small[@]}" --json data.json --out iteration.yaml
  run 0 simulate iteration.yaml --json explicit.json
  check "the same times" [ "$(grep -m 1 '"fingerprint"' data.json)" = "$(grep -m 1 '"fingerprint"' explicit.json)" ]
  run 0 schedule "$scenario" "${small[@]}" --format ops
  cp out ops.txt
  run 0 schedule iteration.yaml --format ops
  check "the same ops" cmp -s out ops.txt
  run 0 search "$scenario" "${small[@]}" --budget 200evals --json search.json
  check "search begins with the plan" json "r['makespan_ns'] <= $(grep -m 1 '"makespan_ns"' data.json | tr -dc 0-9)" search.json
  run 2 simulate "$source/scenarios/unit-costs.yaml" --formation plan.json
  check "no data, no formation" has "$err" "section data"
}

compare() {
  run 0 compare "$scenario" "${small[@]}" --schedules elastic,1f1b,flexsp --json result.json --html page.html --threads 2
  check "a table" has "$out" "flexsp"
  check "all strategies, three iterations" json 'len(r["results"]) == 3 and all(len(one["iterations"]) == 3
    for one in r["results"])' result.json
  check "winners by length" json 'len(r["regimes"]) >= 3 and all("winner" in one for one in r["regimes"])' result.json
  cp result.json first.json
  mkfifo pipe
  seq 100 20 20000 >pipe &
  run 0 compare "$scenario" "${small[@]}" --set data.lengths="$PWD/pipe" --schedules 1f1b
  check "a pipe is read once" has "$err" "no winner by length"
  run 0 compare "$scenario" "${small[@]}" --schedules elastic,1f1b,flexsp --json result.json --threads 1
  check "the same on one thread" python3 - first.json result.json <<'PYTHON'
import json, sys
def timeless(value):
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if not k.startswith("planning_seconds")}
    return [timeless(v) for v in value] if isinstance(value, list) else value
a, b = (timeless(json.load(open(name))) for name in sys.argv[1:])
sys.exit(0 if a == b else 1)
PYTHON
  run 2 compare "$scenario" --schedules elastic,unknown
  check "unknown strategy" has "$err" "unknown strategy 'unknown'"
  run 2 compare "$scenario" --schedules elastic --trace trace.json
  check "no trace of many iterations" has "$err" "compares many"
  run 3 compare "$scenario" "${small[@]}" --schedules elastic,1f1b --set "profile={capacity: 10GiB}"
  check "nothing fits" has "$err" "none of the 2 strategies is feasible"
}

lists() {
  run 0 list strategies
  check "strategies" has "$out" "flexsp"
  run 0 list strategies elastic
  check "options" has "$out" "option"
  run 2 list strategies elastix
  run 0 list profiles
  check "profiles" has "$out" "a800-80gb-flexsp, model llama-13b"
  run 0 list keys
  check "keys" has "$out" "data.lengths"
}

wrong() {
  printf '100\n200\nabc\n300\n' >lengths.txt
  sed "s|lengths: commoncrawl|lengths: lengths.txt|" "$scenario" >mine.yaml
  run 2 simulate mine.yaml --set training.global_batch=3
  check "the line of the data" has "$err" "lengths.txt:3:1"
  run 0 simulate mine.yaml --set training.global_batch=3 data.skip_malformed=true
  check "skipped on request" has "$err" "1 malformed line was skipped"
  run 2 simulate mine.yaml --set data.skip_malformed=true data.epochs=1
  check "too little data" has "$err" "do not fill a global batch of 512"
  sed "s|lengths: commoncrawl|lengths: '-'|" "$scenario" >both.yaml
  run 2 simulate - <both.yaml
  check "one standard input, not two" has "$err" "<standard input>:11:12: error: the scenario itself is read from standard input"
  seq 100 10 9000 >in.txt
  run 0 simulate both.yaml --set training.global_batch=64 <in.txt
  check "lengths from standard input" has "$out" "time goes into"
  run 2 compare "$scenario" "${small[@]}" --schedules elastic --set 'profile.overlap={parameters: 1.5, exchange: 0.5}'
  check "a share is at most 1" has "$err" "'profile.overlap.parameters' is 1.5, expected a number from 0 to 1"
  run 2 execute "$scenario" --backend host --set schedule=flexsp
  check "no explicit costs without a pipeline" has "$err" "has no pipeline"
}

overrides() {
  for sets in "schedule.slices=8" "schedule.kind=elastic schedule.slices=8" "schedule.checkpoint=full"; do
    # shellcheck disable=SC2086
    run 0 simulate "$scenario" "${small[@]}" --set $sets --format json
  done
  sed 's/^schedule: .*/schedule: {kind: elastic, slices: 8, checkpoint: full}/' "$scenario" >map.yaml
  run 0 simulate map.yaml "${small[@]}" --set schedule.slices=4
  run 0 simulate map.yaml "${small[@]}" --set schedule.kind=1f1b
  check "the file's options do not bind another strategy" has "$out" "1f1b"
  run 2 simulate map.yaml "${small[@]}" --set schedule.kind=1f1b schedule.slices=8
  check "those of --set do" has "$err" "--set schedule.slices=8:1:1: error: strategy 1f1b has no option 'slices'"
  run 2 simulate "$scenario" "${small[@]}" --set schedule.slicess=8
  check "nearest option" has "$err" "did you mean 'schedule.slices'?"
  run 2 simulate "$scenario" "${small[@]}" --set schedule.slices=few
  check "a wrong value is the override's" has "$err" "--set schedule.slices=few:1:17: error: option 'slices'"
  run 2 simulate "$scenario" "${small[@]}" --set parallelism.pipeline=1024
  check "a layout that does not fit too" has "$err" "--set parallelism.pipeline=1024:1:22: error: "

  mkdir far
  cp "$scenario" far/mine.yaml
  seq 100 20 20000 >here.txt
  printf '100,500,9\n' >here.csv
  run 0 simulate far/mine.yaml "${small[@]}" --set data.lengths=here.txt
  run 0 simulate far/mine.yaml "${small[@]}" --set 'data.lengths="histogram(file=here.csv)"'
  run 2 simulate far/mine.yaml --set data.lengths=none.txt
  check "the path that was tried" has "$err" "error: none.txt: cannot read the file"
  sed 's/lengths: commoncrawl/lengths: here.txt/' "$scenario" >far/other.yaml
  run 2 simulate far/other.yaml
  check "in the scenario's folder" has "$err" "error: far/here.txt: cannot read the file"
  cp here.txt far
  run 0 simulate far/other.yaml "${small[@]}"
  run 0 simulate far/mine.yaml "${small[@]}" --set data.lengths=- <here.txt
  run 0 simulate far/mine.yaml "${small[@]}" --set "schedule={kind: seq1f1b, tokens: 96K}" --format json
  cp out suffix.json
  run 0 simulate far/mine.yaml "${small[@]}" --set "schedule={kind: seq1f1b, tokens: 98304}" --format json
  check "tokens take K" [ "$(grep fingerprint suffix.json)" = "$(grep fingerprint out)" ]
}

misfit() {
  local words="the batch does not fit: stage"
  misfit=(--set training.global_batch=3 data.lengths=1M data.context=0)
  for option in --html --out --svg --trace --formation; do
    run 3 simulate "$source/scenarios/elastic/github-13b.yaml" "${misfit[@]}" "$option" "x$option"
    check "$option: what does not fit" has "$err" "$words"
    check "$option: nothing written" test ! -e "x$option"
  done
  run 3 simulate "$source/scenarios/elastic/github-13b.yaml" "${misfit[@]}" --json x.json
  check "the record says so" json 'not r["feasible"]' x.json
  run 3 search "$source/scenarios/elastic/github-13b.yaml" "${misfit[@]}" --budget 10evals
  check "search says the same" has "$err" "$words"
}

lost() {
  cp "$scenario" mine.yaml
  run 2 simulate mine.yaml "${small[@]}" --out same.yaml --formation ./same.yaml
  check "two results in one file" has "$err" "--formation and --out both name the file"
  check "nothing written" test ! -e same.yaml
  run 2 simulate mine.yaml "${small[@]}" --out mine.yaml
  check "the scenario is not lost" cmp -s mine.yaml "$scenario"
  check "and that is said" has "$err" "--out names 'mine.yaml', which is the scenario: it would be lost"
  ln -s mine.yaml link.yaml
  run 2 compare mine.yaml "${small[@]}" --schedules 1f1b --html link.yaml
  run 2 search mine.yaml --json a --svg a
  run 2 execute mine.yaml --backend host --json "$PWD/mine.yaml"
  run 2 calibrate mine.yaml --device host --out mine.yaml
  seq 100 200 >lengths.txt
  run 2 data lengths.txt --html lengths.txt
  run 2 merge a.part b.part --out b.part
  check "a part to join is not lost" has "$err" "a part to join"
  check "nothing changed" cmp -s mine.yaml "$scenario"
  run 0 simulate mine.yaml "${small[@]}" --out /dev/null --json /dev/null
}

keys() {
  run 2 list profiles foo
  check "no such profile" has "$err" "unknown profile or model 'foo'"
  run 0 list profiles llama-7b
  check "one model" test "$(grep -c '^a800.*, model' out)" = 1
  run 2 list keys foo
  run 0 list strategies megatron deepspeed
  check "units once" test "$(grep -cE 'GPUs GPUs|layers of the model layers' out)" = 0
  printf '{"length": 300}\n{"length": 400}\n{"length": 500}\n' >lengths.json-lines
  for format in jsonl json-lines; do
    run 0 data lengths.json-lines --input-format "$format"
    run 0 simulate "$scenario" --set data.lengths=lengths.json-lines "data.format=$format" training.global_batch=2
  done
  run 2 simulate "$scenario" --set data.column=1
  check "no column of a stand-in" has "$err" "--set data.column=1:1:13: error: 'data.column' says how to read a file"
  run 2 simulate "$scenario" --set data.format=csv
  run 0 compare "$scenario" --schedules 1f1b \
    --set data.lengths=lengths.json-lines data.format=jsonl data.epochs=2 data.iterations=3 training.global_batch=3
  check "the data end early" has "$err" "note: the data end after 2 of 3 iterations"
  run 0 compare "$scenario" "${small[@]}" --schedules 1f1b
  check "no note otherwise" empty "$err"
}

own_model() {
  sed 's/^model: .*/model: mine/; s/^profile: .*/profile: {quadratic: 3, linear: 100000, layers: 24, hidden: 2048, kv_width: 512}/' \
    "$scenario" >mine.yaml
  run 2 simulate mine.yaml
  check "what is missing, at once" has "$err" \
    "takes 'profile' with these as well: vocabulary, parameters, activation, logits"
  sed -i 's/kv_width: 512/kv_width: 512, vocabulary: 32000, parameters: 3000000000, activation: 1.7MB, logits: 64kB/' mine.yaml
  run 0 simulate mine.yaml "${small[@]}"
  run 2 simulate mine.yaml --set profile.fixed_cost=fitted
  check "what only a fitted constant takes" has "$err" "these as well: fixed"
}

"$case"
exit "$failed"
