#!/usr/bin/env python3
"""Compares `martlet embed` with PyTorch: the cosine of both embeddings of 200 texts.

    bench/embeddings.py FOLDER MODEL.gguf…     FOLDER: all-MiniLM-L6-v2, or another BERT that averages its tokens

Prints the lowest and the mean cosine of each model and exits with 1 when a lowest is below --limit. The texts are
the 80 commands of the demo, 110 events of bench/events.txt, and ten of twenty events each, for length. Needs torch and
transformers.
"""
import argparse
import csv
import os
import subprocess
import sys

import torch
from transformers import AutoModel, AutoTokenizer, logging

logging.disable_progress_bar()
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", help="the checkpoint for PyTorch")
    parser.add_argument("models", nargs="+", metavar="MODEL.gguf", help="the same model for martlet")
    parser.add_argument("--martlet", default=os.environ.get("MARTLET", os.path.join(ROOT, ".build/release/martlet")))
    parser.add_argument("--limit", type=float, default=0.999, help="what the lowest cosine must reach; default 0.999")
    return parser.parse_args()


def texts():
    with open(os.path.join(ROOT, "Sources/martlet/DemoData/hwu64.csv"), encoding="utf-8", newline="") as file:
        commands = [row["text"] for row in csv.DictReader(file)]
    with open(os.path.join(ROOT, "bench/events.txt"), encoding="utf-8") as file:
        events = [line.strip() for line in file if line.strip()]
    return commands[:80] + events[:110] + [". ".join(events[i : i + 20]) for i in range(0, 200, 20)]


def reference(folder, texts):
    """(texts, width), each of length one: the last layer's states of all tokens, averaged."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(folder, local_files_only=True).float().eval()
    rows = []
    with torch.no_grad():
        for text in texts:
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
            rows.append(torch.nn.functional.normalize(states.mean(0), dim=0))
    return torch.stack(rows).double()


def embedded(martlet, model, texts):
    """The same by martlet."""
    command = [martlet, "embed", "--model", model, "--context", "512"]
    result = subprocess.run(command, input="\n".join(texts) + "\n", capture_output=True, encoding="utf-8", timeout=600)
    if result.returncode:
        sys.exit(f"embeddings: error: {model}: {result.stderr.strip().splitlines()[-1]}")
    rows = [[float(number) for number in line.split()] for line in result.stdout.splitlines()]
    if len(rows) != len(texts):
        sys.exit(f"embeddings: error: {model}: {len(rows)} embeddings of {len(texts)} texts")
    return torch.tensor(rows, dtype=torch.float64)


def main():
    options = arguments()
    lines = texts()
    expected = reference(options.folder, lines)
    status = 0
    for model in options.models:
        cosines = torch.nn.functional.cosine_similarity(embedded(options.martlet, model, lines), expected)
        # NaN is below every limit.
        passed = bool(cosines.min() >= options.limit)
        status = status if passed else 1
        print(f"{os.path.basename(model)}: {len(lines)} texts, cosine lowest {cosines.min():.6f}, "
              f"mean {cosines.mean():.6f}{'' if passed else f', below {options.limit}'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
