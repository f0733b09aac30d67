#!/usr/bin/env bash
# Runs `stagecraft data` as a user does: data_test.sh PROGRAM SOURCE_FOLDER CASE
# Cases are called by name at the end.
# shellcheck disable=SC2154,SC2317
# shellcheck source=tests/cli/support.sh
. "$(dirname "$0")/support.sh"
cd "$folder" || exit 1

describe() {
  seq 1 4000 >lines.txt
  run 0 data lines.txt --context 2K --json a.json --html a.html --svg a.svg
  check "how many" has "$out" "4 000 sequences"
  check "what is cut" has "$out" "context 2K: 1 952 sequences (48.8 %) are cut"
  check "silent" empty "$err"
  check "a page" grep -q "</html>" a.html
  check "a picture" grep -q "</svg>" a.svg
  check "a file is no sample" grep -q '"sampled": false' a.json
  run 0 data lines.txt --format json
  check "JSON on standard output" has "$out" '"sequences": 4000'
  run 0 data lines.txt --samples 10
  check "a part of a file" has "$out" "sample of 10 sequences"
  run 0 data lines.txt --samples 4000
  check "all of it" has "$out" $'\n4 000 sequences'
  gzip -k lines.txt
  run 0 data lines.txt.gz
  check "compressed" has "$out" "4 000 sequences"
  printf 'a,n\nx,3\ny,5\n' >b.csv
  run 0 data b.csv --column n
  check "a column" has "$out" "2 sequences of 8 tokens"
  printf '{"m": {"n": 3}}\n{"m": {"n": 4}}\n' >c.jsonl
  run 0 data c.jsonl --field m.n --json -
  check "a field, as JSON alone" has "$out" '"tokens": 7'
  out=$(seq 1 5 | "$program" data -)
  check "standard input" has "$out" "5 sequences of 15 tokens"
}

synthetic() {
  run 0 data github --samples 2000 --seed 3 --json a.json
  run 0 data github --samples 2000 --seed 3 --json b.json
  check "the same seed" cmp a.json b.json
  run 0 data github --samples 2000 --seed 4 --json b.json
  check "another seed" test "$(cmp a.json b.json | wc -l)" = 1
  check "what it is" has "$out" "log-normal"
  run 0 data 'mix(90 github(max=48K), 10 uniform(32K, 48K))' --samples 1000
  check "an expression" has "$out" "sample of 1 000 sequences"
}

wrong() {
  printf '5\nx\n7\n0\n' >bad.txt
  run 2 data bad.txt
  check "the place" has "$err" "bad.txt:2:1: error: 'x' is not a whole number of tokens"
  run 0 data bad.txt --skip-malformed
  check "what is left" has "$out" "2 sequences of 12 tokens"
  check "how many are skipped" has "$err" "2 malformed lines were skipped"
  check "which" has "$err" "bad.txt:4:1: error: 0 is no length"
  run 2 data none.txt
  check "the system's reason" has "$err" "No such file or directory"
  run 2 data githb
  check "the nearest name" has "$err" "did you mean 'github'?"
  run 2 data 'uniform(5'
  check "the character" has "$err" "at character 10"
  run 2 data github --column 3
  check "no file" has "$err" "expected no --column"
  run 2 data github --context 48Q
  check "a context" has "$err" "is not a count of tokens"
  run 2 data github --samples 0
  : >empty.txt
  run 2 data empty.txt
  check "empty" has "$err" "there is no length"
  run 2 data github --json none/a.json
  check "no folder" has "$err" "none/a.json"
}

list() {
  run 0 list data
  for word in commoncrawl github wikipedia "59.2 %" "lognormal(median=" "histogram(file="; do
    check "list data: $word" has "$out" "$word"
  done
  run 0 list data wikipedia
  check "one of them" has "$out" "FlexSP"
  check "no others" test "$(printf '%s' "$out" | grep -c InfiniPipe)" = 0
  run 2 list data wikipdia
  check "the nearest" has "$err" "did you mean 'wikipedia'?"
}

# Ctrl-C ends the reading of a pipe that says nothing more, at once; no file is begun.
interrupt() {
  local status
  mkfifo pipe
  exec 3<>pipe
  seq 1 1000 >&3
  "$program" data - --json a.json <pipe >out 2>err &
  local reader=$!
  sleep 1
  # A shell starts background jobs deaf to SIGINT, which the program leaves as it is.
  kill -TERM "$reader"
  wait "$reader"
  status=$?
  exec 3>&-
  check "ended by the signal" test "$status" = 143
  check "no file" test ! -e a.json
  check "no result" test ! -s out
}

"$case"
exit "$failed"
