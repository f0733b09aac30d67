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

"$case"
exit "$failed"
