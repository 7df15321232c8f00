#!/bin/sh
# cel-expr-python: the same expression over the same data answers differently from process to process.
#
# Versions: cel-expr-python 0.1.3, CPython 3.11.7 on Linux x86-64.
# Behaviour: the macros `map` and `filter` walk over the keys of a map in an order that is drawn anew in each process. An expression that
#   makes a list of a map and looks at a place of that list is true in some processes and false in others. `exists`, `all`, `size` and
#   `in` do not depend on it. PYTHONHASHSEED has no part in it.
# Source: the specification of CEL (cel-spec, language definition: maps are unordered); that the order changes between two runs of one
#   program was seen by running it as below.
# Why it matters to people who run sagas: an engine that evaluates a branch's condition again when it replays a saga after a crash may take
#   the other branch: a step that had been skipped runs after its successor. Keep the answer in the log, or let no condition see the order.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check cel-expr-python==0.1.3
cat >"$folder/answer.py" <<'PROGRAM'
import sys

from cel_expr_python import cel

environment = cel.NewEnv(variables={"input": cel.Type.DYN})
data = {"input": {"prices": {"tea": 1, "milk": 2, "sugar": 3, "lemon": 4, "honey": 5}}}
print(environment.compile(sys.argv[1]).eval(data=data).value())
PROGRAM
answers() { # of 40 processes: how many different answers
  for _ in $(seq 40); do PYTHONHASHSEED=0 "$folder/venv/bin/python" "$folder/answer.py" "$1"; done | sort | uniq -c | tr -s ' \n' ' '
}
"$folder/venv/bin/python" -V
by_place=$(answers 'input.prices.map(k, input.prices[k])[0] == 4')
by_value=$(answers 'input.prices.exists(k, input.prices[k] == 4)')
echo "the first of a map's values is 4:$by_place"
echo "one of a map's values is 4:$by_value"
case $by_place in *False*True*) ;; *) echo "this has changed: look again" >&2; exit 1 ;; esac
[ "$by_value" = " 40 True " ] || { echo "this has changed: look again" >&2; exit 1; }
echo "as described"
