#!/usr/bin/env python3
"""Makes pre-tokenizers.json: what llama.cpp's llama-tokenize says of texts.json with the reduced vocabulary.

Usage: make-pre-tokenizers.py PATH_TO_LLAMA_TOKENIZE. The vocabulary is laid out as TokenizersTests/Support.swift lays it out.
"""
import json, os, struct, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
KINDS = ["gpt-2", "smollm", "starcoder", "llama-bpe", "dbrx", "qwen2", "qwen35", "seed-coder", "falcon", "default"]
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def alphabet():
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printed]
    table = {b: chr(b) for b in printed}
    table.update({b: chr(256 + i) for i, b in enumerate(rest)})
    return [table[b] for b in range(256) if b not in (0x04, 0xC0)]


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def vocabulary(pre, merges):
    tokens = SPECIAL + alphabet() + list(dict.fromkeys(m.replace(" ", "", 1) for m in merges)) + ["<tool>"]
    types = [3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL) - 1) + [4]
    keys = [
        ("general.architecture", 8, string("llama")), ("general.name", 8, string("test")),
        *((f"llama.{k}", 4, struct.pack("<I", v)) for k, v in {
            "block_count": 1, "context_length": 64, "embedding_length": 64, "feed_forward_length": 64,
            "attention.head_count": 1, "attention.head_count_kv": 1, "rope.dimension_count": 64,
            "vocab_size": len(tokens)}.items()),
        ("llama.attention.layer_norm_rms_epsilon", 6, struct.pack("<f", 1e-5)),
        ("tokenizer.ggml.model", 8, string("gpt2")), ("tokenizer.ggml.pre", 8, string(pre)),
        ("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, len(tokens)) + b"".join(map(string, tokens))),
        ("tokenizer.ggml.token_type", 9, struct.pack(f"<IQ{len(types)}i", 5, len(types), *types)),
        ("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, len(merges)) + b"".join(map(string, merges))),
        ("tokenizer.ggml.bos_token_id", 4, struct.pack("<I", 1)),
        ("tokenizer.ggml.eos_token_id", 4, struct.pack("<I", 2)),
    ]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys)) + b"".join(string(k) + struct.pack("<I", t) + v for k, t, v in keys)


def main():
    merges = open(f"{HERE}/merges.txt", encoding="utf-8").read().splitlines()
    texts = json.load(open(f"{HERE}/texts.json", encoding="utf-8"))
    expected = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            open(f"{folder}/v.gguf", "wb").write(vocabulary(kind, merges))
            # A special token between two texts cuts them apart before any other rule applies.
            open(f"{folder}/t", "w", encoding="utf-8", newline="").write(SPECIAL[0].join(texts))
            out = subprocess.run(
                [sys.argv[1], "-m", f"{folder}/v.gguf", "-f", f"{folder}/t", "--ids", "--no-bos", "--log-disable"],
                capture_output=True, text=True, check=True).stdout
            rows = [[]]
            for token in json.loads(out):
                rows.append([]) if token == 0 else rows[-1].append(token)
            assert len(rows) == len(texts), (kind, len(rows))
            expected[kind] = rows
    lines = [f'"{k}": [\n' + ",\n".join(json.dumps(r, separators=(",", ":")) for r in v) + "\n]" for k, v in expected.items()]
    open(f"{HERE}/pre-tokenizers.json", "w").write("{\n" + ",\n".join(lines) + "\n}\n")


main()
