#!/usr/bin/env python3
"""Makes two small GPTQ checkpoints and the SHA-256 of what each matrix stands for.

    make-gptq.py FOLDER     (needs numpy and safetensors)

`gptq`: AutoGPTQ's format, zeros stored less 1, one matrix for each layout of groups.
`gptq-v2`: GPTQModel's format, zeros as they are.
expected.json: of every matrix of weights, (out, in) float32 in row-major order, the digest; where the inputs must be
in another order to be stored without loss, of the matrix in that order.
"""
import hashlib, json, os, sys
import numpy as np
from safetensors.numpy import save_file

WIDTH = 128
random = np.random.default_rng(20261121)


def pack(levels):
    """(rows, columns) of 0…15 to (rows / 8, columns) of int32, the first row lowest."""
    rows, columns = levels.shape
    words = np.zeros((rows // 8, columns), np.uint32)
    for i in range(8):
        words |= levels[i::8].astype(np.uint32) << (4 * i)
    return words.view(np.int32)


def matrix(group, zeros, offset, order=None):
    """A packed matrix and its weights (out, in). `zeros`: the choices; `order`: the group of an input, or None."""
    groups = WIDTH // group
    levels = random.integers(0, 16, (WIDTH, WIDTH))
    zero = random.choice(zeros, (groups, WIDTH))
    scale = (random.random((groups, WIDTH)) * 0.05 + 0.01).astype(np.float16)
    index = np.arange(WIDTH) // group if order is None else order
    tensors = {
        "qweight": pack(levels), "qzeros": pack((zero - offset).T.copy()).T.copy(), "scales": scale,
        "g_idx": index.astype(np.int32),
    }
    weights = scale[index].astype(np.float32) * (levels - zero[index]).astype(np.float32)
    return tensors, np.ascontiguousarray(weights.T)


def shuffled(group):
    return random.permutation(np.arange(WIDTH) // group)


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array, np.float32).tobytes()).hexdigest()


def neighbours(weights, heads):
    """Rows of each head with the two halves of a rotated pair side by side."""
    rows = weights.reshape(heads, 2, WIDTH // heads // 2, WIDTH).swapaxes(1, 2)
    return rows.reshape(WIDTH, WIDTH)


def save(folder, tensors, settings):
    os.makedirs(folder, exist_ok=True)
    save_file(tensors, f"{folder}/model.safetensors", metadata={"format": "pt"})
    config = {
        "architectures": ["LlamaForCausalLM"], "hidden_size": WIDTH, "intermediate_size": WIDTH,
        "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 4, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "vocab_size": 32, "tie_word_embeddings": True, "quantization_config": settings,
    }
    tokens = {"<unk>": 0, "<s>": 1, "</s>": 2, **{chr(97 + i): i + 3 for i in range(26)}, "Ġ": 29, "ab": 30, "abc": 31}
    tokenizer = {
        "added_tokens": [{"id": i, "content": t, "special": True} for i, t in enumerate(["<unk>", "<s>", "</s>"])],
        "pre_tokenizer": {"type": "ByteLevel", "use_regex": True},
        "model": {"type": "BPE", "vocab": tokens, "merges": ["a b", ["ab", "c"]]},
    }
    json.dump(config, open(f"{folder}/config.json", "w"), indent=1)
    json.dump(tokenizer, open(f"{folder}/tokenizer.json", "w"))
    json.dump({"bos_token": "<s>", "eos_token": {"content": "</s>"}}, open(f"{folder}/tokenizer_config.json", "w"))


def main(root):
    expected = {}
    floats = {
        "model.embed_tokens.weight": random.standard_normal((32, WIDTH)).astype(np.float16),
        "model.norm.weight": np.ones(WIDTH, np.float16),
        "model.layers.0.self_attn.o_proj.bias": np.zeros(WIDTH, np.float16),
    }
    layer, any_zero, powers = "model.layers.0.", range(1, 17), [1, 2, 4, 8, 16]
    down_order = shuffled(32)
    plan = {  # module: (group, zeros, order, name in GGUF)
        "self_attn.q_proj": (32, [8], None, "attn_q"), "self_attn.k_proj": (128, [8], None, "attn_k"),
        "self_attn.v_proj": (64, any_zero, None, "attn_v"), "self_attn.o_proj": (32, powers, None, "attn_output"),
        "mlp.gate_proj": (64, [8], None, "ffn_gate"), "mlp.up_proj": (32, [8], shuffled(32), "ffn_up"),
        "mlp.down_proj": (32, [8], down_order, "ffn_down"),
    }
    tensors = dict(floats)
    order = np.argsort(down_order, kind="stable")
    for module, (group, zeros, index, name) in plan.items():
        packed, weights = matrix(group, list(zeros), 1, index)
        tensors.update({f"{layer}{module}.{part}": value for part, value in packed.items()})
        if name in ("attn_q", "attn_k"):
            weights = neighbours(weights, 4)
        if name in ("ffn_gate", "ffn_up"):
            weights = weights[order]
        if name == "ffn_down":
            weights = weights[:, order]
        expected[f"gptq/blk.0.{name}.weight"] = digest(weights)
    save(f"{root}/gptq", tensors, {"bits": 4, "quant_method": "gptq", "sym": False, "desc_act": True})
    packed, weights = matrix(64, list(range(0, 16)), 0)
    tensors = {"model.embed_tokens.weight": floats["model.embed_tokens.weight"]}
    tensors.update({f"{layer}self_attn.v_proj.{part}": value for part, value in packed.items() if part != "g_idx"})
    expected["gptq-v2/blk.0.attn_v.weight"] = digest(weights)
    save(f"{root}/gptq-v2", tensors, {"bits": 4, "quant_method": "gptq", "checkpoint_format": "gptq_v2"})
    json.dump(expected, open(f"{root}/expected.json", "w"), indent=1)


main(sys.argv[1])
