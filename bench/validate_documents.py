"""Validates documents that `martlet extract --json` wrote: lines of a schema's path, a tab, and the result."""

import collections
import json
import sys

from jsonschema import Draft202012Validator


def unique(pairs):
    """An object, refused when it has a name twice."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice")
    return members


def no_constant(text):
    raise ValueError(f"{text} is not JSON")


def main():
    counts = collections.defaultdict(lambda: [0, 0, 0, 0])
    decode = constraint = 0.0
    for line in sys.stdin:
        path, result = line.rstrip("\n").split("\t", 1)
        count = counts[path]
        count[0] += 1
        try:
            result = json.loads(result, object_pairs_hook=unique, parse_constant=no_constant)
            with open(path, encoding="utf-8") as file:
                schema = json.load(file)
            Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(result["data"])
            count[1] += 1
            count[2] += result["cut"]
            count[3] += result["tokens"]["generated"]
            decode += result["decode_ms"]
            constraint += result["constraint_ms"]
        except Exception as error:  # Whatever is wrong with a document, it is one that counts as wrong.
            print(f"{path}: {str(error).splitlines()[0]}: {line[:300]}", file=sys.stderr)
    for path, (documents, valid, cut, tokens) in counts.items():
        print(f"{path.rsplit('/', 1)[-1]:28} {valid:4} of {documents:4} valid, {cut:4} cut, {tokens:6} tokens")
    documents = sum(count[0] for count in counts.values())
    valid = sum(count[1] for count in counts.values())
    share = constraint / decode if decode else 0
    print(f"{valid} of {documents} documents valid under {len(counts)} schemas; constraints took {share:.2%} of {decode / 1000:.0f} s")
    return 0 if documents and valid == documents else 1


if __name__ == "__main__":
    sys.exit(main())
