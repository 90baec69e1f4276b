#!/usr/bin/env python3
"""Prefill and decode of `martlet bench` and of llama.cpp's llama-bench, in turn on the same machine.

    MARTLET=…/martlet LLAMA_BENCH=…/llama-bench bench/speed.py MODEL.gguf…

A line for each model and number of threads: medians of tokens/s, and medians of the rounds' ratios, which are what
to read: the machine's own changes hit both sides of a round alike. Pack the models first (`martlet model pack`).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("models", nargs="+", metavar="MODEL")
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--threads", default="1,2", help="default 1,2")
parser.add_argument("--prompt", type=int, default=256)
parser.add_argument("--generate", type=int, default=64)
options = parser.parse_args()
missing = [name for name in ("MARTLET", "LLAMA_BENCH") if name not in os.environ]
if missing:
    sys.exit(f"speed: error: {' and '.join(missing)} not set. Give the paths of both programs")


def run(*command):
    try:
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        said = getattr(error, "stderr", None) or str(error).encode()
        sys.exit(f"speed: error: {command[0]}: {said.decode(errors='replace').strip().splitlines()[-1:]}")


def peer(model, threads):
    rows = run(
        os.environ["LLAMA_BENCH"], "-m", model, "-p", str(options.prompt), "-n", str(options.generate),
        "-t", str(threads), "-r", "2", "-o", "json")
    return {"prefill": max(r["avg_ts"] for r in rows if r["n_prompt"]), "decode": max(r["avg_ts"] for r in rows if r["n_gen"])}


def martlet(model, threads):
    # llama-bench decodes behind no prompt, so that is compared: behind one of 256 tokens attention takes longer.
    def bench(prompt, generate):
        return run(
            os.environ["MARTLET"], "bench", "--model", model, "--threads", str(threads), "--prompt", str(prompt),
            "--generate", str(generate), "--repeat", "3", "--json")

    decode = bench(1, options.generate)
    return {"prefill": bench(options.prompt, 0)["prefill_tps"], "decode": decode["decode_tps"],
            "share": decode["bandwidth_share"]}


for model in options.models:
    for threads in (int(text) for text in options.threads.split(",")):
        rounds = []
        for _ in range(options.rounds):
            theirs = peer(model, threads)
            rounds.append((martlet(model, threads), theirs))
        line = {"model": os.path.basename(model), "threads": threads}
        for step in ("prefill", "decode"):
            line[step] = round(statistics.median(o[step] for o, _ in rounds), 1)
            line[f"{step}_peer"] = round(statistics.median(t[step] for _, t in rounds), 1)
            line[f"{step}_ratio"] = round(statistics.median(o[step] / t[step] for o, t in rounds), 2)
        line["bandwidth_share"] = round(statistics.median(o["share"] for o, _ in rounds), 2)
        print(json.dumps(line), flush=True)
