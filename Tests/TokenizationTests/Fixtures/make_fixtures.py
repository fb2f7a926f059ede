"""Writes the tokenizer fixtures of this directory: NAME.tokenizer.json and NAME.expected.json.

Usage: make_fixtures.py [OUTPUT_DIRECTORY]      (needs the PyPI package `tokenizers`, made with 0.23.3)

Each tokenizer is trained here on the text below and then configured like the tokenizers of a model family. What is
expected comes from `tokenizers.Tokenizer.from_file`. strings.json holds the texts; entry i of NAME.expected.json is
[ids, special, decoded, skipped]: ids without the template's special tokens, ids with them, and the two decodings
of the ids, without and with skipping special tokens. `null` means: as ids, as the text, as decoded.
"""

import json
import pathlib
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXT = """
The quick brown fox jumps over the lazy dog. It's what they've said; we'll see if I'd agree, and you're right: don't!
Human: How can I help you?  Assistant: I'm sorry, I can't do that. She told him 12 times, in 1984 and again in 2024.
def encode(text, add_special_tokens=False):\n    ids = []\n    for word in text.split():\n        ids.append(word)\n
Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë. Zwölf Boxkämpfer jagen Viktor quer über Sylt.
Съешь же ещё этих мягких французских булок, да выпей чаю. Η ζωή είναι ωραία. 日本語のテキストと中文文本。 한국어 텍스트 예시입니다.
the there then them these they this that than thank thing think other another mother father brother weather leather
\t\tindented\ttext\r\nwith carriage returns\r\n\r\nand blank lines\n\n\n   trailing spaces   \n 3.14159 1,000,000 50% $20
😀 😃 👍🏽 👩‍👩‍👧‍👦 🇩🇪 naïve café résumé coöperate e\u0301 n\u0303 مرحبا بالعالم שלום עולם हिन्दी भाषा ไทย
""" * 2

STRINGS = [
    "", " ", "  ", "   ", "\n", "\r\n", "\t", "\0", "a", "a\0b", "Hello", " Hello", "Hello world", "Hello  world ",
    "It's they're we'll I'd you've I'm don't", "IT'S THEY'RE WE'LL I'D", "it\u2019s", "'\u017f 'S '\u017ft x'\u017f",
    "12 345 6789 0", "year 2024", "3.14 1,000", "\u00b2\u00b3 \u00bd \u2460 \u0664\u0665 \u0967 \u4e00\u4e8c",
    "日本語のテキスト", "中文 文本。", "한국어 텍스트", "\u1112\u1161\u11ab", "\u304b\u3099\u30ab\u3099",
    "e\u0301 e\u0301\u0302 \u0301a", "a\u0323\u0307 a\u0307\u0323", "\u212b \u2126 \ufb01 \u1e9b\u0323", "\u0344\u0958\u2adc",
    "\u0f71\u0f72\u0f74 \U0001d15e", "😀", "😀😃 👍🏽", "👩‍👩‍👧‍👦", "🇩🇪🇫", "❤️ ❤", "a\u200db\u200cc",
    "line one\r\nline two\r\n\r\nline four", "a\n\n\nb", "\n \n  \n", "a \n b", "  \n  x", "\r\r\n", "x\t\ty ", "a\u00a0b\u3000c\u2028d\u0085e",
    "    four", "a    b", "def f():\n        return 1\n", "trailing   ", "\u00a0\u00a0x", "\u2003 x",
    "<|endoftext|>", "Hi<|endoftext|>there", "Hi  <|endoftext|>  there", "<|endoftext|><|endoftext|>", "<|endof<|endoftext|>",
    "<s>", "</s>", "a<s>b</s>c", " <s> </s> ", "<unk>", "<0x0A><0x41>", "<mask> <mask>  <mask>x x<mask>", "word xword wordx word",
    "word", "word_ -word- w\u00f6rd\u0301word", "<right>  x", "x  <left>", "  <both>  ", "<both>  <both> \u3000<both>\n<right>\n <left>",
    "<right>  <left>", "e\u0301\u0301tok", "caf\u00e9tok cafe\u0301tok", "▁", "▁▁a ▁b", " ▁ a▁", "!?...--==++ #@&", "(a) [b] {c}",
    "ĠHello Ċ", "\u0378\U000e0001\ufffe\uffff", "\U0001e4d0\U0001e4d1\U00031350\U00031351 \U00011f04\u0cf3",
    "\U00010d40\U00010d41 \u1c89\u1c8a \ua7da \U000105c0\U00016d63 \U00016d70", "\U0001e5d0\U0001e5f1 \U0001ccf0\U0001ccf9x",
    "\u0897 x\u0897y \u1ac8", "\U00032000\U0003ffff\U000f0000", "Привет, мир! Ёлка", "مرحبا 123", "हिन्दी", "ไทย", "the the the theres",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "thethethethethethethethethethethethethethethethethethethethethethethethethethethethe", "a-b-c--d---e", "-", "--a", "x,y,,z,",
    "\uc5b4\u11ba \uac00\u11a7\u11a8", "\u0330\u08cc\u0358 \u0663\u0898\u0897", "\U00011935\U00011930\U00011938", "\U00018dd0word word\U00016ec0",
]

BYTE_CHARACTERS = sorted(pre_tokenizers.ByteLevel.alphabet())
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(**options):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, **options}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": invert}


def sequence(kind, *steps):
    return {"type": "Sequence", kind: list(steps)}


def added(content, **flags):
    defaults = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": None, "content": content, **defaults, **flags}


def replace(old, new):
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def template(before, after=()):
    pieces = [{"SpecialToken": {"id": name, "type_id": 0}} for name in before]
    pieces.append({"Sequence": {"id": "A", "type_id": 0}})
    pieces += [{"SpecialToken": {"id": name, "type_id": 0}} for name in after]
    return {"type": "TemplateProcessing", "single": pieces, "pair": pieces, "names": [*before, *after]}


def train(size, special=(), alphabet=(), pre_tokenizer=None):
    """Returns a vocabulary and merges as lists of two."""
    tokenizer = Tokenizer(models.BPE())
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), initial_alphabet=list(alphabet), show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"]]


def bytes_model(size=420, legacy=False, **flags):
    """A model over the alphabet of bytes, with the merges in the old or the new form."""
    vocab, merges = train(size, alphabet=BYTE_CHARACTERS, pre_tokenizer=pre_tokenizers.ByteLevel(add_prefix_space=False))
    return bpe(vocab, [" ".join(pair) for pair in merges] if legacy else merges, **flags)


def text_model(size=440, bytes_to=256, legacy=True, unk="<unk>", split_words=False, **flags):
    """A SentencePiece-like model; byte tokens below `bytes_to` are in the vocabulary."""
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(bytes_to)]
    pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=split_words)
    vocab, merges = train(size, special=names, pre_tokenizer=pre_tokenizer)
    return bpe(vocab, [" ".join(p) for p in merges] if legacy else merges, unk_token=unk, **flags)


def bpe(vocab, merges, **flags):
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None}
    model |= {"end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}
    return {**model, **flags, "vocab": vocab, "merges": merges}


def with_words(model, *words):
    """Adds tokens that no merge reaches."""
    alphabet = {byte: character for byte, character in zip(range(256), byte_table())}
    for word in words:
        mapped = "".join(alphabet[byte] for byte in word.encode())
        if mapped not in model["vocab"]:
            model["vocab"][mapped] = len(model["vocab"])
    return model


def byte_table():
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in visible]
    return [chr(byte) if byte in visible else chr(0x100 + others.index(byte)) for byte in range(256)]


def tokenizer(model, tokens=(), normalizer=None, pre_tokenizer=None, post_processor=None, decoder=None):
    """The complete file, with the ids that the library would assign to the added tokens."""
    ids = {}
    for token in tokens:
        ids.setdefault(token["content"], model["vocab"].get(token["content"]))
        if ids[token["content"]] is None:
            ids[token["content"]] = len(model["vocab"]) + sum(i is not None and i >= len(model["vocab"]) for i in ids.values())
        token["id"] = ids[token["content"]]
    for step in [post_processor] + (post_processor or {}).get("processors", []):
        if step and "names" in step:
            names = step.pop("names")
            step["special_tokens"] = {n: {"id": n, "ids": [ids[n]], "tokens": [n]} for n in names}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": list(tokens), "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer, "post_processor": post_processor, "decoder": decoder, "model": model,
    }  # fmt: skip


def strip_tokens():
    return [
        added("<|endoftext|>"), added("<mask>", lstrip=True), added("<right>", rstrip=True), added("<left>", lstrip=True, special=False),
        added("<both>", lstrip=True, rstrip=True), added("word", single_word=True, special=False),
    ]  # fmt: skip


def llama2_decoder():
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    return sequence("decoders", replace("▁", " "), {"type": "ByteFallback"}, {"type": "Fuse"}, strip)


def llama2_tokens(**flags):
    return [added("<unk>", **flags), added("<s>", **flags), added("</s>", **flags)]


def shapes():
    spaces = [added(" " * n, normalized=True, special=False) for n in range(8, 1, -1)]
    prepend = sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, replace(" ", "▁"))
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    yield "gpt2", tokenizer(
        bytes_model(legacy=True), strip_tokens(), None, byte_level(), byte_level(), byte_level())
    yield "neox", tokenizer(
        bytes_model(400), [added("<|endoftext|>"), *spaces, added("cafétok", normalized=True, special=False)],
        {"type": "NFC"}, byte_level(), byte_level(), byte_level())
    yield "smollm2", tokenizer(
        bytes_model(400), [added("<|endoftext|>"), added("<s>"), added("</s>", special=False)], None,
        sequence("pretokenizers", {"type": "Digits", "individual_digits": True}, byte_level(use_regex=True)), None, byte_level())
    yield "llama3", tokenizer(
        with_words(bytes_model(400, ignore_merges=True), " Hello", "日本語のテキスト", "thethe", "e\u0301", "'\u017f"),
        [added("<s>"), added("</s>"), added("<|endoftext|>")], None,
        sequence("pretokenizers", split({"Regex": LLAMA3}), byte_level(use_regex=False)),
        sequence("processors", byte_level(), template(["<s>"])), byte_level())
    yield "qwen2", tokenizer(
        with_words(bytes_model(400, unk_token=None), " Hello", "thethe"), [added("<|endoftext|>"), added("<both>", special=False)],
        {"type": "NFC"}, sequence("pretokenizers", split({"Regex": QWEN2}), byte_level(use_regex=False)), byte_level(), byte_level())
    yield "tekken", tokenizer(
        bytes_model(380, ignore_merges=True), [added("<s>"), added("</s>")], None,
        sequence("pretokenizers", split({"Regex": TEKKEN}), byte_level(use_regex=False)), template(["<s>"], ["</s>"]), byte_level())
    yield "llama2", tokenizer(
        text_model(520, byte_fallback=True, fuse_unk=True), llama2_tokens(), prepend, None, template(["<s>"]), llama2_decoder())
    yield "llama2-normalized", tokenizer(
        text_model(400, bytes_to=0xC0, byte_fallback=True, fuse_unk=True), llama2_tokens(normalized=True),
        prepend, None, template(["<s>"]), llama2_decoder())
    yield "llama2-metaspace", tokenizer(
        text_model(480, bytes_to=0xF0, legacy=False, byte_fallback=True, fuse_unk=True), llama2_tokens(),
        None, metaspace, template(["<s>"]), llama2_decoder())
    yield "metaspace-split", tokenizer(
        text_model(300, bytes_to=0, split_words=True), [added("<s>"), added("word", single_word=True, rstrip=True)], None,
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}, template(["<s>"], ["<s>"]),
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True})
    yield "prefix-space", tokenizer(
        bytes_model(340, legacy=True), [added("<mask>", lstrip=True, normalized=True)],
        {"type": "Replace", "pattern": {"Regex": r"\s*\n"}, "content": " $1 "},
        sequence("pretokenizers", {"type": "Digits", "individual_digits": False}, byte_level(add_prefix_space=True)), None, None)
    yield "splits", tokenizer(
        text_model(320, bytes_to=0, unk=None), [], {"type": "Replace", "pattern": {"String": "=="}, "content": ""},
        sequence("pretokenizers", split({"String": "-"}, "MergedWithPrevious"), split({"String": ","}, "MergedWithNext"),
                 split({"Regex": r"\s"}, "Removed"), split({"Regex": r"\p{L}+|\d*"}, "Contiguous", invert=True)), None,
        sequence("decoders", {"type": "Strip", "content": "e", "start": 0, "stop": 1}, {"type": "Replace", "pattern": {"Regex": "t(?=h)"}, "content": "T"}))


def expected(reference, text):
    ids = reference.encode(text, add_special_tokens=False).ids
    special = reference.encode(text, add_special_tokens=True).ids
    decoded = reference.decode(ids, skip_special_tokens=False)
    skipped = reference.decode(ids, skip_special_tokens=True)
    return [ids, None if special == ids else special, None if decoded == text else decoded,
            None if skipped == decoded else skipped]  # fmt: skip


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def main():
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent
    write(directory / "strings.json", STRINGS)
    for name, content in shapes():
        path = directory / f"{name}.tokenizer.json"
        write(path, content)
        reference = Tokenizer.from_file(str(path))
        for token in content["added_tokens"]:
            assert reference.token_to_id(token["content"]) == token["id"], (name, token)
        write(directory / f"{name}.expected.json", [expected(reference, text) for text in STRINGS])


main()
