#!/usr/bin/env python3
"""Writes a llama of two blocks with random weights: a model that answers in a millisecond, for measurements in which
the engine is not what is measured.

    bench/tiny_model.py OUT.gguf
"""
import random
import struct
import sys

WIDTH, HIDDEN, BLOCKS, HEADS, HEADS_KV = 64, 96, 2, 4, 2
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
UINT32, INT32, FLOAT32, STRING, ARRAY = 4, 5, 6, 8, 9


def byte_texts():
    """How GPT-2 writes each byte as a visible character."""
    following, texts = 256, []
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174:
            texts.append(chr(byte))
        else:
            texts.append(chr(following))
            following += 1
    return texts


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, content):
    if kind == STRING:
        return text(content)
    if kind == ARRAY:
        element, items = content
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, item) for item in items)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f"}[kind], content)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tokens = CONTROL + byte_texts() + ["in"]
    metadata = [("general.architecture", STRING, "llama")]
    metadata += [(f"llama.{key}", UINT32, count) for key, count in [
        ("block_count", BLOCKS), ("embedding_length", WIDTH), ("feed_forward_length", HIDDEN),
        ("attention.head_count", HEADS), ("attention.head_count_kv", HEADS_KV), ("context_length", 512)]]
    metadata += [
        ("llama.attention.layer_norm_rms_epsilon", FLOAT32, 1e-5),
        ("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "smollm"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (INT32, [3 if index < 3 else 1 for index in range(len(tokens))])),
        ("tokenizer.ggml.merges", ARRAY, (STRING, ["i n"])),
        ("tokenizer.ggml.bos_token_id", UINT32, 1), ("tokenizer.ggml.eos_token_id", UINT32, 2)]
    keys = WIDTH // HEADS * HEADS_KV
    tensors = [("token_embd", [WIDTH, len(tokens)]), ("output_norm", [WIDTH])]
    for block in range(BLOCKS):
        tensors += [(f"blk.{block}.{name}", shape) for name, shape in [
            ("attn_norm", [WIDTH]), ("attn_q", [WIDTH, WIDTH]), ("attn_k", [WIDTH, keys]), ("attn_v", [WIDTH, keys]),
            ("attn_output", [WIDTH, WIDTH]), ("ffn_norm", [WIDTH]), ("ffn_gate", [WIDTH, HIDDEN]),
            ("ffn_up", [WIDTH, HIDDEN]), ("ffn_down", [HIDDEN, WIDTH])]]
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + struct.pack("<I", kind) + value(kind, content) for key, kind, content in metadata)
    offset, data, dice = 0, b"", random.Random(1)
    for name, shape in tensors:
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        head += text(name + ".weight") + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        scale = 2 / shape[0] ** 0.5
        weights = [1.0 if "norm" in name else scale * dice.uniform(-1, 1) for _ in range(count)]
        data += struct.pack(f"<{count}f", *weights)
        data += bytes(-len(data) % 32)
        offset = len(data)
    with open(sys.argv[1], "wb") as file:
        file.write(head + bytes(-len(head) % 32) + data)


main()
