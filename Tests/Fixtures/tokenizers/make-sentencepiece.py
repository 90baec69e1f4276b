#!/usr/bin/env python3
"""Makes sentencepiece.json: a small SentencePiece BPE vocabulary, trained on texts.json, and what SentencePiece itself
says of the texts with it. Needs the package `sentencepiece`.

Two flavours: as Llama's (a space before the text) and as Gemma's (none; newlines and double spaces are tokens of the user's).
"""
import io, json, os
import sentencepiece as spm

HERE = os.path.dirname(os.path.abspath(__file__))
texts = json.load(open(f"{HERE}/texts.json", encoding="utf-8"))
corpus = [line for text in texts for line in text.split("\n") if line.strip() and "\0" not in line]
# Words of English: what byte-level merges made.
corpus += [line.replace(" ", "").replace("Ġ", " ").strip() for line in open(f"{HERE}/merges.txt", encoding="utf-8")]
corpus += ["The temperature in the kitchen rose by 2.5 degrees, and the door sensor's battery is low."] * 3
flavours = {}
for name, prefix, user in [("llama", True, []), ("gemma", False, ["\n", "\n\n", "▁▁", "<tool>"])]:
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_writer=model, model_type="bpe", vocab_size=1500, character_coverage=0.98,
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=prefix, split_digits=True, user_defined_symbols=user, allow_whitespace_only_pieces=True,
        hard_vocab_limit=False, num_threads=1, minloglevel=2)
    processor = spm.SentencePieceProcessor(model_proto=model.getvalue())
    count = processor.get_piece_size()
    # GGUF's token types: 1 normal, 2 unknown, 3 control, 4 user-defined, 6 byte.
    types = [2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i)
             else 4 if processor.id_to_piece(i) in user else 1 for i in range(count)]
    flavours[name] = {
        "tokens": [processor.id_to_piece(i) for i in range(count)],
        "scores": [round(processor.get_score(i), 4) for i in range(count)], "types": types, "addSpacePrefix": prefix,
        # SentencePiece takes NUL for the end of some texts.
        "ids": [processor.encode(text) if "\0" not in text else None for text in texts]}
json.dump(flavours, open(f"{HERE}/sentencepiece.json", "w", encoding="utf-8"), ensure_ascii=False, separators=(",", ":"))
