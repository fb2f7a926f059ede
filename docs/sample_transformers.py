"""Times `generate` of transformers on prompts of a JSONL file, as one padded batch; prints a JSON line.

    python docs/sample_transformers.py MODEL PROMPTS.jsonl [--count 8] [--samples 4] [--new-tokens 128] [--top-p 1]
"""

import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("prompts")
parser.add_argument("--count", type=int, default=8)
parser.add_argument("--samples", type=int, default=4)
parser.add_argument("--new-tokens", type=int, default=128)
parser.add_argument("--top-p", type=float, default=1.0)
parser.add_argument("--threads", type=int, default=1)
options = parser.parse_args()

torch.set_num_threads(options.threads)
tokenizer = AutoTokenizer.from_pretrained(options.model, padding_side="left")
model = AutoModelForCausalLM.from_pretrained(options.model, dtype=torch.float32).eval()
with open(options.prompts, encoding="utf-8") as file:
    texts = [json.loads(line)["prompt"] for line in file][:options.count]
batch = tokenizer(texts, return_tensors="pt", padding=True)


@torch.no_grad()
def generate(new_tokens):
    return model.generate(
        **batch, do_sample=True, temperature=1.0, top_p=options.top_p, top_k=0, num_return_sequences=options.samples,
        min_new_tokens=new_tokens, max_new_tokens=new_tokens, pad_token_id=tokenizer.pad_token_id)


generate(4)
begin = time.perf_counter()
output = generate(options.new_tokens)
seconds = time.perf_counter() - begin
tokens = output.shape[0] * (output.shape[1] - batch["input_ids"].shape[1])
print(json.dumps({"top_p": options.top_p, "tokens_per_second": tokens / seconds}))
