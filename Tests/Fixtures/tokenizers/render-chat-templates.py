#!/usr/bin/env python3
"""Renders the conversations of chat-templates.json with Jinja, the way transformers' apply_chat_template does, and writes what
it says: for each template and conversation, with and without generation prompt, or null where the template refuses.

`render-chat-templates.py NAME BOS EOS FILE` first adds a template or replaces one.
"""
import datetime, json, os, sys
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.sandbox import ImmutableSandboxedEnvironment

PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "chat-templates.json")
# 15 January 2027; ChatTemplateTests has it too.
NOW = datetime.datetime.fromtimestamp(1_800_000_000, datetime.timezone.utc)


class Generation(Extension):
    tags = {"generation"}

    def parse(self, parser):
        next(parser.stream)
        return parser.parse_statements(["name:endgeneration"], drop_needle=True)


def raise_exception(message):
    raise ValueError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def rendered(model, messages, prompt):
    try:
        return environment.from_string(model["source"]).render(
            messages=messages, add_generation_prompt=prompt, bos_token=model["bos"], eos_token=model["eos"], tools=None,
            documents=None)
    except ValueError:
        return None


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
environment.filters["tojson"] = tojson
environment.globals.update(raise_exception=raise_exception, strftime_now=NOW.strftime)
fixture = json.load(open(PATH, encoding="utf-8"))
if len(sys.argv) > 1:
    name, bos, eos, path = sys.argv[1:]
    source = open(path, encoding="utf-8", newline="").read()
    fixture["models"] = [m for m in fixture["models"] if m["model"] != name]
    fixture["models"].append({"model": name, "name": "", "bos": bos, "eos": eos, "source": source})
for model in fixture["models"]:
    model["expected"] = [[rendered(model, c, True), rendered(model, c, False)] for c in fixture["conversations"]]
json.dump(fixture, open(PATH, "w", encoding="utf-8"), ensure_ascii=False, indent=0)
