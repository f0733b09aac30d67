# What the tests of the command line share; sourced by them with PROGRAM SOURCE_FOLDER CASE.
# shellcheck shell=bash disable=SC2034
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
