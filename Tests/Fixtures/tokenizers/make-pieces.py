#!/usr/bin/env python3
"""Makes pieces.json: where the published expressions of some pre-tokenizers cut texts.json, as lengths in bytes. Needs the
package `regex`.

For kinds whose expression llama.cpp does not follow to the letter, or only with a vocabulary too large for a fixture.
"""
import json, os, re
import regex

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = open(f"{HERE}/../../../Sources/Tokenizers/CasedLetters.swift", encoding="utf-8").read()
LETTERS = "A-Za-z" + "".join(
    f"\\U{int(a, 16):08X}-\\U{int(b, 16):08X}" for a, b in re.findall(r"\(0x(\w+), 0x(\w+)\)", SOURCE))
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"


def cased(digits, contraction):
    prefix = r"[^\r\n\p{L}\p{N}]?"
    return [rf"{prefix}{UPPER}*{LOWER}+{contraction}|{prefix}{UPPER}+{LOWER}*{contraction}|\p{{N}}{digits}"
            r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"]


KINDS = {
    "tekken": cased("", ""),
    "gpt-4o": cased("{1,3}", CONTRACTION),
    "deepseek-llm": [r"[\r\n]", rf"\s?[{LETTERS}]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$",
                     "[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
                    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
}


def cut(text, expression):
    """Matches and what lies between them, as Hugging Face's `Split` with `isolated`."""
    pieces, end = [], 0
    for match in regex.finditer(expression, text):
        pieces += [text[end:match.start()], match.group()]
        end = match.end()
    return [p for p in pieces + [text[end:]] if p]


texts = json.load(open(f"{HERE}/texts.json", encoding="utf-8"))
result = {}
for kind, expressions in KINDS.items():
    rows = []
    for text in texts:
        pieces = [text] if text else []
        for expression in expressions:
            # `\s` is White_Space: Python's also takes U+001C to U+001F.
            expression = expression.replace(r"\s", r"\p{White_Space}").replace(r"[^\p{White_Space}", r"[^\p{White_Space}")
            expression = expression.replace(r"\S", r"\P{White_Space}")
            pieces = [p for piece in pieces for p in cut(piece, expression)]
        rows.append([len(p.encode()) for p in pieces])
    result[kind] = rows
lines = [f'"{k}":{json.dumps(v, separators=(",", ":"))}' for k, v in result.items()]
open(f"{HERE}/pieces.json", "w").write("{\n" + ",\n".join(lines) + "\n}\n")
