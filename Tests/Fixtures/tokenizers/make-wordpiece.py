#!/usr/bin/env python3
"""Makes wordpiece.json: a small BERT vocabulary, trained on texts.json, and what Hugging Face's tokenizers say of the texts
with it, uncased and cased. Needs the package `tokenizers`."""
import json, os
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
texts = json.load(open(f"{HERE}/texts.json", encoding="utf-8"))
extra = [
    "Élève à l'ÉCOLE, naïve Ångström; İstanbul straße", "각 한국어", "漢字 and かな、 ｶﾀｶﾅ ﾞ", "a\u200bb\ufeffc\u00add", "x" * 100,
    "x" * 101, "don't stop: 3.14159 (ok?) ~`$+<=>^|", "ﬁ ﬀ ½ Ⅷ ㎏", "\u037e\u1fef\u2000a\u3000b\x0bc\x1cd\x85e", "[CLS] a [SEP] b [MASK]",
    "\U0001D400 \U0002F800 豈 \u0344 ậ ế Ạ́",
]
# Younger than the Unicode tables of that package: it takes them for letters.
YOUNG = set("\u0b55\u0c84\u0d3b\u2e56")
specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
flavours = {}
for name, lower in [("uncased", True), ("cased", False)]:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=lower)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=900, special_tokens=specials, show_progress=False, min_frequency=1, limit_alphabet=250)
    tokenizer.train_from_iterator([t for t in texts + extra if len(t) < 2000], trainer)
    # Text in brackets is text: the specials are not looked for.
    plain = Tokenizer(models.WordPiece(tokenizer.get_vocab(), unk_token="[UNK]", max_input_chars_per_word=100))
    plain.normalizer, plain.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    vocabulary = sorted(plain.get_vocab().items(), key=lambda item: item[1])
    # As GGUF has it: what begins a word has a mark before it, what goes on has none.
    written = [t if t in specials else t[2:] if t.startswith("##") else "▁" + t for t, _ in vocabulary]
    flavours[name] = {
        "tokens": written, "lowercase": lower, "texts": extra,
        "ids": [None if YOUNG & set(t) else plain.encode(t, add_special_tokens=False).ids for t in texts + extra]}
json.dump(flavours, open(f"{HERE}/wordpiece.json", "w", encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))
