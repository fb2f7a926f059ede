"""Makes the golden fixtures of the adapter tests.

    python Tests/Fixtures/make_adapter_fixtures.py

Needs torch, transformers, peft and safetensors (last made with 2.15.0, 5.23.0, 0.21.2 and 0.8.0), no network. It rewrites
`adapters/NAME/` next to itself: a PEFT adapter of `models/llama-gqa` as `save_pretrained` writes it, and `expected.json`.

The model is that of `make_model_fixtures.py`; the adapters have random weights. Numbers are natural logarithms, computed
by PEFT with the adapter attached, not merged, in float64 but for the casts to float32 inside transformers.

`expected.json`:

    pairs    those of the model's `expected.json`
    logps    4 x {chosen, rejected}: log p(completion | prompt); of a reward model, its scores of prompt + completion
    merged   {NAME: [sum, sum of squares]} of the tensors of the merged model that differ from the base model's
"""

import json
import shutil
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

FIXTURES = Path(__file__).resolve().parent
BASE = FIXTURES / "models" / "llama-gqa"
ADAPTERS = {
    "plain": dict(task_type="CAUSAL_LM", r=4, lora_alpha=6, lora_dropout=0.3, target_modules=["q_proj", "v_proj"]),
    # Keys are regular expressions; of several that match the first counts.
    "patterns": dict(
        task_type="CAUSAL_LM", r=2, lora_alpha=3, use_rslora=True,
        target_modules=["q_proj", "k_proj", "o_proj", "up_proj", "down_proj"],
        rank_pattern={r"layers\.0\.self_attn\.[qk]_proj": 5, "down_proj": 3, "layers.0.mlp.down_proj": 4},
        alpha_pattern={r"model\.layers\.1\..*_proj": 7, "o_proj": 11, "proj": 13, r"mlp\.(up|gate)_proj": 17}),
    "reward": dict(task_type="SEQ_CLS", r=3, lora_alpha=5, target_modules="all-linear"),
}


def base_model(name):
    if ADAPTERS[name]["task_type"] == "SEQ_CLS":
        return AutoModelForSequenceClassification.from_pretrained(BASE, num_labels=1, dtype=torch.float32)
    return AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)


def attach(name, generator):
    """The base model with a random adapter."""
    model = get_peft_model(base_model(name), LoraConfig(**ADAPTERS[name]))
    for key, parameter in model.named_parameters():
        if "lora_" in key or "modules_to_save" in key:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return model


def outputs(model, pair, side):
    ids = torch.tensor([pair["prompt"] + pair[side]])
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0]
    if logits.ndim == 1:
        return float(logits[0])
    logps = torch.log_softmax(logits[:-1], -1).gather(1, ids[0, 1:, None])[:, 0]
    return float(logps[len(pair["prompt"]) - 1:].sum())


def make(name):
    directory = FIXTURES / "adapters" / name
    shutil.rmtree(directory, ignore_errors=True)
    model = attach(name, torch.Generator().manual_seed(sum(name.encode())))
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    config = json.loads((directory / "adapter_config.json").read_text())
    # The order of a set, and the path of this machine.
    config["base_model_name_or_path"] = "models/llama-gqa"
    if isinstance(config["target_modules"], list):
        config["target_modules"].sort()
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    # PEFT sorts the keys of patterns when it saves, and then another may match first.
    model = PeftModel.from_pretrained(base_model(name), directory).double().eval()
    pairs = json.loads((BASE / "expected.json").read_text())["pairs"]
    expected = {"pairs": pairs, "logps": [{side: outputs(model, p, side) for side in ("chosen", "rejected")} for p in pairs]}
    before = {key.replace("base_model.model.", "").replace(".base_layer", ""): value.clone()
              for key, value in model.state_dict().items() if "lora_" not in key}
    merged = model.merge_and_unload().state_dict()
    expected["merged"] = {
        key: [float(value.sum()), float(value.square().sum())]
        for key, value in merged.items() if key not in before or not torch.equal(value, before[key])}
    (directory / "expected.json").write_text(json.dumps(expected) + "\n")
    print(name, len(expected["merged"]), "tensors", sorted(p.name for p in directory.iterdir()))


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    for adapter in ADAPTERS:
        make(adapter)
