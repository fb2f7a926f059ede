"""Makes the golden fixtures of the model and objective tests.

    python Tests/Fixtures/make_model_fixtures.py

Needs torch, transformers and safetensors (last made with 2.15.0, 5.23.0 and 0.8.0), no network. It rewrites
`models/NAME/` (a Hugging Face model directory plus `expected.json`) next to itself, checks the numbers as it goes and
fails if a check does. Same library versions and kind of CPU, same bytes.

The models are random and tiny. There is no tokenizer: all data are token ids. Numbers are float64 and natural logarithms:
the stored weights are widened exactly and transformers runs in double, with its casts to float32 (RMSNorm, attention
softmax) removed. Only the rotary tables stay float32, as transformers makes them. JSON numbers are written by `repr`.

`expected.json`, where a PAIR is an object with the keys `chosen` and `rejected`:

    pairs           4 x {prompt: [id], chosen: [id], rejected: [id]}
    token_logps     4 x PAIR of [log p(token | prompt and the completion before it)]
    dpo             beta, reference_logps (4 x PAIR of made-up sums), loss = mean(per_pair), per_pair, grad_norm,
                    tensors: {NAME: {shape, l2, sum, entries}}, all of the gradient of the loss
    sft             loss = mean negative log-probability over all chosen tokens, grad_norm, tensors: {NAME: {l2, entries}}
    weighted_dpo    per_pair = w (-q log s(x) - (1-q) log s(-x)) with x = beta * margin, s logistic, w of `weights`,
                    q of `soft_labels`, beta and reference as in `dpo`; by_count (sum / N) and by_weight (sum / sum w),
                    each {loss, grad_norm}
    train           only some models: DPO as in `dpo`, all 4 pairs in each step; AdamW with decoupled weight decay on every
                    parameter, global-norm clipping with factor min(1, max_grad_norm / (norm + 1e-6)); the hyperparameters,
                    steps: [{loss, grad_norm}] (before update and clipping), final_norms: {NAME: l2 after the last step}

Tensors are named and laid out as in the safetensors file; a tied embedding appears once, with the gradient of both uses.
`entries` are [flat row-major index, value], the two largest magnitudes first. `grad_norm` is the global L2 norm.
"""

import json
import math
import shutil
import types
import zlib
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import load_file
from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM
from transformers.masking_utils import eager_mask

FIXTURES = Path(__file__).resolve().parent
SIDES = ("chosen", "rejected")
# Tokens of prompt, chosen and rejected; the completions of the pair at SHARED_FIRST_TOKEN begin with the same token.
PAIR_LENGTHS = ((1, 15, 8), (7, 1, 5), (20, 6, 15), (12, 9, 9))
SHARED_FIRST_TOKEN = 3
BETA = 0.1
# Added to the policy's summed log-probs to make up a reference, (chosen, rejected) per pair.
REFERENCE_OFFSETS = ((-4.0, 3.0), (1.5, -2.5), (6.0, -5.0), (0.75, 0.25))
PAIR_WEIGHTS = (0.5, 1.0, 2.0, 0.25)
SOFT_LABELS = (1.0, 0.8, 1.0, 0.6)
TRAINED = ("llama-gqa", "llama-biased")
TRAINING = {"learning_rate": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.01, "max_grad_norm": 1.0}
TRAINING_STEPS = 10
# Largest difference allowed between a log-prob in float64 and in plain transformers float32, in nats.
FLOAT32_TOLERANCE = 1e-4


def spec(model_type, hidden, heads, kv_heads, inner, vocab, eps, theta, *, layers=2, scaling=None, positions=64,
         storage=torch.float32, shard="1GB", version4=False, **config):
    """One model: what `AutoConfig.for_model` takes, and how it is stored."""
    config |= dict(hidden_size=hidden, num_attention_heads=heads, num_key_value_heads=kv_heads, intermediate_size=inner,
                   num_hidden_layers=layers, vocab_size=vocab, rms_norm_eps=eps, max_position_embeddings=positions,
                   rope_parameters={"rope_theta": theta} | (scaling or {"rope_type": "default"}),
                   bos_token_id=1, eos_token_id=2, pad_token_id=None)
    return types.SimpleNamespace(model_type=model_type, config=config, storage=storage, shard=shard, version4=version4)


# Wavelengths of llama-gqa are 6.3, 13.3, 28.1 and 59.4 positions: below 32 / 4, twice between, and above 32 / 1.
LLAMA3_SCALING = {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                  "original_max_position_embeddings": 32}
MODELS = {
    "llama-gqa": spec("llama", 24, 6, 2, 32, 112, 3e-3, 20.0, scaling=LLAMA3_SCALING, positions=128, head_dim=8,
                      tie_word_embeddings=True),
    "llama-biased": spec("llama", 24, 4, 4, 28, 80, 2e-2, 200.0, scaling={"rope_type": "linear", "factor": 2.0},
                         attention_bias=True, mlp_bias=True),
    "llama-sharded-v4": spec("llama", 16, 4, 2, 36, 101, 7e-4, 5000.0, layers=3, shard="16KB", version4=True),
    "llama-bf16": spec("llama", 32, 4, 2, 44, 128, 4e-3, 1000.0, storage=torch.bfloat16, tie_word_embeddings=True),
    "llama-f16": spec("llama", 24, 2, 1, 40, 96, 1e-3, 300.0, storage=torch.float16),
    "mistral": spec("mistral", 20, 4, 2, 30, 90, 5e-3, 700.0, head_dim=8, sliding_window=7),
    "qwen2": spec("qwen2", 24, 3, 1, 36, 100, 8e-3, 400.0, tie_word_embeddings=True),
    "qwen3": spec("qwen3", 20, 4, 2, 28, 97, 1e-2, 2000.0, head_dim=16, tie_word_embeddings=True),
    "smollm3": spec("smollm3", 16, 4, 2, 36, 110, 6e-3, 900.0, layers=3, no_rope_layers=[1, 0, 1],
                    tie_word_embeddings=True),
}


def randomize(model, generator):
    """Weights for logits with a standard deviation near 2 and attention that is neither flat nor one-hot."""
    tied = model.config.tie_word_embeddings
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if name.endswith("norm.weight"):
            parameter.data = 1 + 0.3 * noise.tanh()
        elif name.endswith("bias"):
            parameter.data = 0.2 * noise
        elif "embed_tokens" in name and not tied:
            parameter.data = noise
        else:
            gain = 2.0 if "lm_head" in name or "embed" in name else 1.4 if "q_proj" in name or "k_proj" in name else 1.0
            parameter.data = noise * gain / math.sqrt(parameter.shape[1])


def save_model(name, directory):
    model_spec = MODELS[name]
    config = transformers.AutoConfig.for_model(model_spec.model_type, **model_spec.config)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    randomize(model, torch.Generator().manual_seed(zlib.crc32(name.encode())))
    shutil.rmtree(directory, ignore_errors=True)
    model.to(model_spec.storage).save_pretrained(directory, max_shard_size=model_spec.shard)
    if model_spec.version4:
        rewrite_config_for_version4(directory / "config.json")


def rewrite_config_for_version4(path):
    """The keys as transformers 4 wrote them before it knew `head_dim` in a Llama config."""
    config = json.loads(path.read_text())
    theta = config.pop("rope_parameters")["rope_theta"]
    config |= {"rope_theta": theta, "rope_scaling": None, "torch_dtype": config.pop("dtype"),
               "transformers_version": "4.40.0"}
    del config["head_dim"]
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def exact_attention(module, query, key, value, attention_mask, scaling, **_):
    """Eager attention without the cast of the softmax to float32."""
    key, value = (x.repeat_interleave(module.num_key_value_groups, dim=1) for x in (key, value))
    scores = query @ key.transpose(2, 3) * scaling + attention_mask
    return (scores.softmax(-1) @ value).transpose(1, 2).contiguous(), None


def exact_norm(module, hidden):
    """RMSNorm without the cast to float32."""
    return module.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + module.variance_epsilon)


def load_exact(directory):
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="exact").double()
    norms = [module for module in model.modules() if type(module).__name__.endswith("RMSNorm")]
    assert len(norms) >= 2 * model.config.num_hidden_layers + 1
    for norm in norms:
        norm.forward = types.MethodType(exact_norm, norm)
    return model.eval()


def load_plain(directory):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()


def make_pairs(vocab, generator):
    pairs = [{key: torch.randint(vocab, (count,), generator=generator).tolist()
              for key, count in zip(("prompt", *SIDES), lengths)} for lengths in PAIR_LENGTHS]
    pairs[SHARED_FIRST_TOKEN]["rejected"][0] = pairs[SHARED_FIRST_TOKEN]["chosen"][0]
    return pairs


def token_logps(model, prompt, completion):
    """The log-prob of each completion token, given all before it."""
    logits = model(torch.tensor([prompt + completion]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(completion)[:, None])[:, 0]


def pair_logps(model, pairs):
    return [{side: token_logps(model, pair["prompt"], pair[side]) for side in SIDES} for pair in pairs]


def dpo_losses(model, pairs, reference, weights=(1, 1, 1, 1), soft_labels=(1, 1, 1, 1)):
    """One loss per pair; without weights and soft labels, -log sigmoid(beta * margin)."""
    x = torch.stack([BETA * (policy["chosen"].sum() - policy["rejected"].sum() - (made_up["chosen"] - made_up["rejected"]))
                     for policy, made_up in zip(pair_logps(model, pairs), reference, strict=True)])
    w, q = (torch.tensor(values, dtype=x.dtype) for values in (weights, soft_labels))
    return w * (-q * F.logsigmoid(x) - (1 - q) * F.logsigmoid(-x))


def sft_loss(model, pairs):
    return -torch.cat([token_logps(model, pair["prompt"], pair["chosen"]) for pair in pairs]).mean()


def made_up_reference(logps):
    return [{side: round(pair[side].sum().item() + offset, 2) for side, offset in zip(SIDES, offsets)}
            for pair, offsets in zip(logps, REFERENCE_OFFSETS)]


def backward(model, loss):
    """`{loss, grad_norm}`; the parameters then hold the gradient of this `loss` only."""
    model.zero_grad()
    loss.backward()
    squares = sum(parameter.grad.pow(2).sum() for parameter in model.parameters())
    return {"loss": loss.item(), "grad_norm": math.sqrt(squares.item())}


def gradient_entries(gradient, count, generator):
    flat = gradient.flatten()
    largest = flat.abs().topk(2).indices.tolist()
    others = [i for i in torch.randperm(flat.numel(), generator=generator).tolist() if i not in largest]
    return [[i, flat[i].item()] for i in largest + sorted(others[: count - 2])]


def tensors(model, count, fields, generator):
    """Of each gradient: `count` entries and those of shape, l2 and sum that `fields` names."""
    records = {}
    for name, parameter in sorted(model.named_parameters()):
        gradient = parameter.grad
        record = {"shape": list(gradient.shape), "l2": gradient.norm().item(), "sum": gradient.sum().item()}
        records[name] = {field: record[field] for field in fields}
        records[name]["entries"] = gradient_entries(gradient, count, generator)
    return records


def expected(model, pairs, generator):
    """All of `expected.json` but `train`."""
    logps = pair_logps(model, pairs)
    reference = made_up_reference(logps)
    losses = dpo_losses(model, pairs, reference)
    dpo = {"beta": BETA, "reference_logps": reference, "per_pair": losses.tolist()}
    dpo |= backward(model, losses.mean()) | {"tensors": tensors(model, 8, ("shape", "l2", "sum"), generator)}
    sft = backward(model, sft_loss(model, pairs)) | {"tensors": tensors(model, 4, ("l2",), generator)}
    weighted = {"weights": PAIR_WEIGHTS, "soft_labels": SOFT_LABELS}
    for key, normalizer in (("by_count", len(pairs)), ("by_weight", sum(PAIR_WEIGHTS))):
        losses = dpo_losses(model, pairs, reference, PAIR_WEIGHTS, SOFT_LABELS)
        weighted |= {"per_pair": losses.tolist(), key: backward(model, losses.sum() / normalizer)}
    return {"pairs": pairs, "token_logps": [{side: p[side].tolist() for side in SIDES} for p in logps],
            "dpo": dpo, "sft": sft, "weighted_dpo": weighted}


def adamw(parameters, settings):
    options = {key: settings[key] for key in ("betas", "eps", "weight_decay")}
    return torch.optim.AdamW(parameters, lr=settings["learning_rate"], foreach=False, **options)


def train(model, pairs, reference):
    """Changes `model`."""
    optimizer = adamw(model.parameters(), TRAINING)
    steps = []
    for _ in range(TRAINING_STEPS):
        steps.append(backward(model, dpo_losses(model, pairs, reference).mean()))
        torch.nn.utils.clip_grad_norm_(model.parameters(), TRAINING["max_grad_norm"])
        optimizer.step()
    norms = {name: parameter.norm().item() for name, parameter in sorted(model.named_parameters())}
    return TRAINING | {"steps": steps, "final_norms": norms}


@torch.no_grad()
def check_float32(model, result):
    """Against plain transformers: its logits per token, and its own language-model loss per completion."""
    token_error = sum_error = 0
    for pair, logps in zip(result["pairs"], result["token_logps"]):
        for side in SIDES:
            prompt, completion = pair["prompt"], pair[side]
            plain = token_logps(model, prompt, completion).double()
            token_error = max(token_error, (plain - torch.tensor(logps[side], dtype=torch.float64)).abs().max().item())
            labels = torch.tensor([[-100] * len(prompt) + completion])
            loss = model(torch.tensor([prompt + completion]), labels=labels).loss.item() * len(completion)
            sum_error = max(sum_error, abs(loss + sum(logps[side])))
    assert max(token_error, sum_error) < FLOAT32_TOLERANCE, (token_error, sum_error)
    return f"float32 error per token {token_error:.1e}, per sum {sum_error:.1e}"


def check_gradient(model, pairs, reference, generator, step=1e-6):
    """Relative error of the DPO gradient along a random direction, against a central difference."""
    backward(model, dpo_losses(model, pairs, reference).mean())
    directions = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in model.parameters()]
    slope = sum((p.grad * d).sum() for p, d in zip(model.parameters(), directions)).item()
    losses = []
    with torch.no_grad():
        for move in (step, -2 * step, step):
            for p, d in zip(model.parameters(), directions):
                p += move * d
            losses.append(dpo_losses(model, pairs, reference).mean().item())
    error = abs((losses[0] - losses[1]) / (2 * step) - slope) / abs(slope)
    assert error < 1e-6, error
    return f"gradient error {error:.1e}"


def check_training(model, result):
    """Largest relative difference of a loss or norm of the same training in plain transformers float32."""
    runs = train(model, result["pairs"], result["dpo"]["reference_logps"]), result["train"]
    values = [[x for step in run["steps"] for x in step.values()] + [*run["final_norms"].values()] for run in runs]
    error = max(abs(a / b - 1) for a, b in zip(*values, strict=True))
    assert error < 1e-4, error
    return f"float32 training error {error:.1e}"


def write_json(path, value):
    path.write_text(json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n")


def write_model(name):
    directory = FIXTURES / "models" / name
    save_model(name, directory)
    model = load_exact(directory)
    stored = {key for path in directory.glob("*.safetensors") for key in load_file(path)}
    assert stored == {key for key, _ in model.named_parameters()}
    generator = torch.Generator().manual_seed(zlib.crc32(f"{name} data".encode()))
    pairs = make_pairs(model.config.vocab_size, generator)
    result = expected(model, pairs, generator)
    reference = result["dpo"]["reference_logps"]
    report = [check_float32(load_plain(directory), result)]
    report.append(check_gradient(load_exact(directory), pairs, reference, generator))
    if name in TRAINED:
        result["train"] = train(model, pairs, reference)
        report.append(check_training(load_plain(directory), result))
    write_json(directory / "expected.json", result)
    print(f"{name}: {', '.join(report)}")


def main():
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    AttentionInterface.register("exact", exact_attention)
    AttentionMaskInterface.register("exact", eager_mask)
    for name in MODELS:
        write_model(name)


if __name__ == "__main__":
    main()
