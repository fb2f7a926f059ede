"""Makes the golden fixtures of the optimizer and schedule tests.

    python Tests/Fixtures/make_optimizer_fixtures.py

Needs torch and transformers (last made with 2.15.0 and 5.23.0), no network. It rewrites `optimizers.json` and
`schedules.json` next to itself. Numbers are float64. JSON numbers are written by `repr`.

`optimizers.json`:

    shapes          of the tensors, which lie in one arena one after the other
    initial         the arena before the first update
    gradients       one arena for each step, exact in float32
    cases           [{optimizer, options, learning_rate, weight_decay, parameters: [the arena after each step]}]

`schedules.json`:

    total_steps, warmup_steps
    cases           [{name, minimum, decay_steps, decay, factors: [the multiplier at steps 0 through total_steps]}]
"""

import json
from pathlib import Path

import torch
import transformers

FIXTURES = Path(__file__).resolve().parent
SHAPES = ((4, 5), (7,), (1, 3), (3, 1))
STEPS = 6
# One row without gradients, an element with gradients of the size of AdamW's epsilon, and one with very large ones.
ZERO_ROW, TINY, HUGE = slice(5, 10), 12, 22

WARMUP, TOTAL = 5, 40


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, arXiv 2302.06675, algorithm 2, which torch does not have."""

    def __init__(self, parameters, lr, betas, weight_decay):
        super().__init__(parameters, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            (beta1, beta2), rate = group["betas"], group["lr"]
            for theta in group["params"]:
                m = self.state[theta].setdefault("m", torch.zeros_like(theta))
                c = beta1 * m + (1 - beta1) * theta.grad
                # The test runs in float32: a sign that rounding decides would be no golden value.
                assert ((c == 0) | (c.abs() > 1e-12)).all()
                theta -= rate * (c.sign() + group["weight_decay"] * theta)
                m.mul_(beta2).add_(theta.grad, alpha=1 - beta2)


def betas(options):
    return {"betas": (options["beta1"], options["beta2"])}


MAKERS = {
    "adamw": lambda p, o, **group: torch.optim.AdamW(p, eps=o["epsilon"], **betas(o), **group),
    "lion": lambda p, o, **group: Lion(p, **betas(o), **group),
    "rmsprop": lambda p, o, **group: torch.optim.RMSprop(
        p, alpha=o["alpha"], eps=o["epsilon"], momentum=o["momentum"], centered=o["centered"] == "yes", **group),
    "sgd": lambda p, o, **group: torch.optim.SGD(
        p, momentum=o["momentum"], dampening=o["dampening"], nesterov=o["nesterov"] == "yes", **group),
    "adafactor": lambda p, o, **group: transformers.optimization.Adafactor(
        p, eps=(o["epsilon1"], o["epsilon2"]), clip_threshold=o["clip_threshold"], decay_rate=o["decay_rate"],
        beta1=o["beta1"] or None, scale_parameter=o["scale_parameter"] == "yes", relative_step=False, **group),
}
DEFAULTS = {
    "adamw": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    "lion": {"beta1": 0.9, "beta2": 0.99},
    "rmsprop": {"alpha": 0.99, "epsilon": 1e-8, "momentum": 0.0, "centered": "no"},
    "sgd": {"momentum": 0.0, "dampening": 0.0, "nesterov": "no"},
    "adafactor": {"decay_rate": -0.8, "clip_threshold": 1.0, "epsilon1": 1e-30, "epsilon2": 1e-3, "beta1": 0.0,
                  "scale_parameter": "no"},
}
# Optimizer, learning rate, weight decay, options that are not the default.
CASES = (
    ("adamw", 1e-2, 0.0, {}),
    ("adamw", 1e-2, 0.1, {}),
    ("adamw", 3e-3, 0.01, {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3}),
    ("lion", 1e-3, 0.0, {}),
    ("lion", 1e-2, 0.3, {"beta1": 0.95, "beta2": 0.98}),
    ("rmsprop", 1e-3, 0.0, {}),
    ("rmsprop", 1e-3, 0.1, {"alpha": 0.9, "epsilon": 1e-4}),
    ("rmsprop", 1e-3, 0.0, {"momentum": 0.9}),
    ("rmsprop", 1e-3, 0.01, {"epsilon": 1e-4, "centered": "yes"}),
    ("rmsprop", 1e-3, 0.01, {"epsilon": 1e-4, "momentum": 0.5, "centered": "yes"}),
    ("sgd", 1e-2, 0.0, {}),
    ("sgd", 1e-2, 0.1, {}),
    ("sgd", 1e-3, 0.0, {"momentum": 0.9}),
    ("sgd", 1e-3, 0.1, {"momentum": 0.8, "dampening": 0.3}),
    ("sgd", 1e-3, 0.01, {"momentum": 0.9, "nesterov": "yes"}),
    ("adafactor", 1e-2, 0.0, {}),
    ("adafactor", 1e-2, 0.1, {"clip_threshold": 0.5, "decay_rate": -0.5}),
    ("adafactor", 1e-2, 0.01, {"beta1": 0.9}),
    ("adafactor", 1e-2, 0.1, {"scale_parameter": "yes", "epsilon1": 1e-6, "epsilon2": 0.5}),
)


def write_json(path, value):
    path.write_text(json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n")


def arena(generator, scale):
    """Random numbers that float32 and few digits hold exactly."""
    count = sum(torch.Size(shape).numel() for shape in SHAPES)
    return (torch.randn(count, generator=generator, dtype=torch.float64) * scale * 256).round() / 256


def make_gradients(generator):
    gradients = [arena(generator, 1.5) for _ in range(STEPS)]
    for gradient in gradients:
        gradient[ZERO_ROW] = 0
        gradient[TINY] *= 2.0**-26
        gradient[HUGE] *= 2.0**7
    return gradients


def tensors(flat):
    sizes = [torch.Size(shape).numel() for shape in SHAPES]
    return [part.reshape(shape) for part, shape in zip(flat.split(sizes), SHAPES, strict=True)]


def run(name, rate, weight_decay, changes, initial, gradients):
    options = DEFAULTS[name] | changes
    parameters = [tensor.clone().requires_grad_() for tensor in tensors(initial)]
    optimizer = MAKERS[name](parameters, options, lr=rate, weight_decay=weight_decay)
    arenas = []
    for gradient in gradients:
        for parameter, part in zip(parameters, tensors(gradient), strict=True):
            parameter.grad = part.clone()
        optimizer.step()
        arenas.append(torch.cat([parameter.detach().flatten() for parameter in parameters]).tolist())
    options = {key: str(value) for key, value in changes.items()}
    return {"optimizer": name, "options": options, "learning_rate": rate, "weight_decay": weight_decay,
            "parameters": arenas}


def write_optimizers():
    generator = torch.Generator().manual_seed(20)
    initial, gradients = arena(generator, 1.0), make_gradients(generator)
    cases = [run(*case, initial, gradients) for case in CASES]
    write_json(FIXTURES / "optimizers.json", {"shapes": SHAPES, "initial": initial.tolist(),
                                              "gradients": [g.tolist() for g in gradients], "cases": cases})


def lambda_of(name, minimum, decay_steps, decay):
    """The multiplier of transformers' schedule of a name; linear with a minimum is none of its own."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    warmup, total = {"num_warmup_steps": WARMUP}, {"num_training_steps": TOTAL}
    if name == "warmup_stable_decay":
        specific = {"num_decay_steps": decay_steps, "decay_type": decay, "min_lr_ratio": minimum}
        schedule = transformers.get_scheduler(name, optimizer, **warmup, **total, scheduler_specific_kwargs=specific)
    elif name == "cosine" and minimum > 0:
        specific = {"min_lr_rate": minimum}
        schedule = transformers.get_scheduler(
            "cosine_with_min_lr", optimizer, **warmup, **total, scheduler_specific_kwargs=specific)
    elif name == "constant":
        schedule = transformers.get_scheduler("constant_with_warmup", optimizer, **warmup)
    else:
        schedule = transformers.get_scheduler(name, optimizer, **warmup, **total)
    if name == "linear" and minimum > 0:
        plain = schedule.lr_lambdas[0]
        return lambda step: plain(step) if step < WARMUP else minimum + (1 - minimum) * plain(step)
    return schedule.lr_lambdas[0]


SCHEDULES = [(name, minimum, 0, "linear") for name in ("linear", "cosine") for minimum in (0.0, 0.1)]
SCHEDULES += [("constant", 0.0, 0, "linear")]
SCHEDULES += [("warmup_stable_decay", minimum, steps, decay) for decay in ("linear", "cosine", "1-sqrt")
              for minimum, steps in ((0.0, 10), (0.25, 4))]
# A fall that begins during the warm-up.
SCHEDULES += [("warmup_stable_decay", 0.1, TOTAL - 2, "linear")]


def write_schedules():
    cases = []
    for name, minimum, decay_steps, decay in SCHEDULES:
        multiplier = lambda_of(name, minimum, decay_steps, decay)
        cases.append({"name": name, "minimum": minimum, "decay_steps": decay_steps, "decay": decay,
                      "factors": [float(multiplier(step)) for step in range(TOTAL + 1)]})
    write_json(FIXTURES / "schedules.json", {"warmup_steps": WARMUP, "total_steps": TOTAL, "cases": cases})


def main():
    torch.set_num_threads(1)
    write_optimizers()
    write_schedules()


if __name__ == "__main__":
    main()
