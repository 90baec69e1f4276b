#!/usr/bin/env python3
"""Renders every case of chat-templates.json again with Jinja, the way transformers does, and writes what it says.

BOS, which the tokenizer adds, is taken off the front.
"""
import json, os
from jinja2.sandbox import ImmutableSandboxedEnvironment

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chat-templates.json")


def raise_exception(message):
    raise ValueError(message)


environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
environment.globals["raise_exception"] = raise_exception
models = json.load(open(PATH, encoding="utf-8"))
for model in models:
    template = environment.from_string(model["source"])
    for case in model["cases"]:
        case["expected"] = template.render(
            messages=case["messages"], add_generation_prompt=case["addGenerationPrompt"],
            bos_token="<s>", eos_token=model["eos"]).removeprefix("<s>")
json.dump(models, open(PATH, "w", encoding="utf-8"), ensure_ascii=False, indent=1)
