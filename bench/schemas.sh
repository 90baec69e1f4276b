#!/bin/bash
# Writes documents under the schemas of Tests/Fixtures/schemas and has another program validate them.
#
#   MODEL=F.gguf MARTLET=PROGRAM [DOCUMENTS=500] [MAX_TOKENS=192] [TOP_K=0] bench/schemas.sh
#
# At temperature 1 without top-p and min-p, a seed for each document. The validator is jsonschema of Python with its
# format checks (pip install jsonschema rfc3339-validator). The last line says how many documents are valid and what
# share of the time for writing (without the prompt) the constraint took; status 1 when one is not valid.
set -euo pipefail
cd "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
: "${MODEL:?path of a GGUF file}" "${MARTLET:?path of the martlet program}"
schemas=(Tests/Fixtures/schemas/*.json)
each=$(((${DOCUMENTS:-500} + ${#schemas[@]} - 1) / ${#schemas[@]}))
text='The freezer in the cellar of Anna Berg (anna.berg@example.org, +49 30 1234567) reported -18.5 °C and 41 % humidity at 2024-02-29T06:30:00Z; battery 85 %. A red and a green light are on.'
for schema in "${schemas[@]}"; do
    "$MARTLET" extract --model "$MODEL" --schema "$schema" --json --temperature 1 --top-k "${TOP_K:-0}" --top-p 1 \
        --min-p 0 --max-tokens "${MAX_TOKENS:-192}" --repeats "$each" "$text" | sed "s|^|$schema\t|"
done | python3 bench/validate_documents.py
