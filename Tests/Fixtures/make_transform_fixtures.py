"""Makes `transforms.json`, the golden fixture of the transforms between logits and the token that is drawn.

    python Tests/Fixtures/make_transform_fixtures.py

Needs torch and transformers (last made with 2.15.0 and 5.23.0), no network. Same versions, same bytes. A list of

    name
    logits       [number], representable in float32
    seen         [id], the prompt and what was drawn, duplicates included
    logps_model  [number]: log-softmax of the logits
    cases        [{settings, logps}]: the settings that are not neutral, of repetition_penalty, temperature, top_k, top_p
                 and min_p; log-probabilities of what is left after transformers' processors and warpers, in the order in
                 which `generate` applies them, in float64; null is left out
"""

import functools
import json
from pathlib import Path

import torch
import transformers
from transformers.generation import logits_process as lp

SETTINGS = [
    {}, {"temperature": 0.7}, {"temperature": 3.0}, {"repetition_penalty": 1.3}, {"repetition_penalty": 0.8},
    {"top_k": 1}, {"top_k": 5}, {"top_k": 1000}, {"top_p": 0.9}, {"top_p": 0.3}, {"top_p": 1e-6}, {"top_p": 0.9999},
    {"min_p": 0.05}, {"min_p": 1.0}, {"temperature": 1.7, "top_p": 0.8}, {"top_k": 9, "top_p": 0.7},
    {"top_p": 0.95, "min_p": 0.2},
    {"repetition_penalty": 1.2, "temperature": 0.6, "top_k": 20, "top_p": 0.9, "min_p": 0.02},
]


# Which of several equal tokens top-p leaves out is up to the sort; a stable one leaves out those with the smallest ids.
torch.sort = functools.partial(torch.sort, stable=True)


def rows():
    generator = torch.Generator().manual_seed(20)
    normal = lambda count, scale: torch.randn(count, generator=generator) * scale
    yield "random", normal(61, 2.0)
    yield "flat", normal(140, 0.05)
    yield "peaked", normal(40, 12.0)
    yield "ties", torch.round(normal(53, 2.0))
    yield "equal", torch.full((19,), 1.5)
    yield "extreme", torch.cat([normal(20, 1.0), torch.tensor([3e4, 3e4 - 1, -3e4, -3e38, 0.0, -0.0])])
    yield "negative", -50 - normal(33, 3.0).abs()


def transform(scores, seen, settings):
    """`generate` applies the processors in this order; those with neutral settings are left out."""
    ids = torch.tensor([seen])
    s = settings
    steps = []
    if "repetition_penalty" in s:
        steps.append(lp.RepetitionPenaltyLogitsProcessor(s["repetition_penalty"]))
    if "temperature" in s:
        steps.append(lp.TemperatureLogitsWarper(s["temperature"]))
    if "top_k" in s:
        steps.append(lp.TopKLogitsWarper(s["top_k"]))
    if "top_p" in s:
        steps.append(lp.TopPLogitsWarper(s["top_p"]))
    if "min_p" in s:
        steps.append(lp.MinPLogitsWarper(s["min_p"]))
    for step in steps:
        scores = step(ids, scores)
    return scores.log_softmax(-1)[0]


def rounded(values):
    """Ten digits, and null for what was left out."""
    return [None if x == float("-inf") else float(f"{x:.10g}") for x in values.tolist()]


def main():
    result = []
    for name, logits in rows():
        seen = [1, 4, 4, 7, 0, len(logits) - 1]
        exact = logits.double()
        cases = [{"settings": s, "logps": rounded(transform(exact[None], seen, s))} for s in SETTINGS]
        result.append({"name": name, "logits": logits.tolist(), "seen": seen,
                       "logps_model": rounded(exact.log_softmax(-1)), "cases": cases})
    path = Path(__file__).resolve().parent / "transforms.json"
    path.write_text("[" + ",\n".join(json.dumps(row) for row in result) + "]\n")
    print(f"{len(result) * len(SETTINGS)} cases, torch {torch.__version__}, transformers {transformers.__version__}")


main()
