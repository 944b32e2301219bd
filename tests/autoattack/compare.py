#!/usr/bin/env python3
"""Runs our AutoAttack and the official one (PyTorch) on the same checkpoints and images, and compares them.

    git clone https://github.com/fra31/auto-attack /tmp/auto-attack
    pip install -r tests/autoattack/requirements.txt
    python3 tests/autoattack/compare.py --official /tmp/auto-attack --model runs/*/model.safetensors \\
        --dataset cifar10 --data-dir cifar-10-binary.tar.gz

Prints markdown: the robust accuracy after each attack of AutoAttack's standard version, ours and the official one, the seconds
both took, and how PyTorch classifies our adversarial images. Progress goes to stderr. Exits with 1 if an accuracy differs by more
than --tolerance points, or if an image that our program reports as adversarial is not one.
"""
import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "fixtures"))
from networks import WideResNet  # noqa: E402

ATTACKS = ["apgd-ce", "apgd-t", "fab-t", "square"]  # in the order in which both programs run them
OFFICIAL_NORM = {"linf": "Linf", "l2": "L2", "l1": "L1"}
USUAL_EPSILON = {"linf": "8/255", "l2": "0.5", "l1": "12"}
REQUIRED = {"misclassified": "misclassified in PyTorch", "within_epsilon": "within epsilon", "in_range": "in [0,1]"}
ROUNDING = 1e-6  # how far a float32 image may be outside the ball


class Network(WideResNet):
    """wrn-D-W in inference mode, from a checkpoint's tensors; their shapes determine depth, width and classes."""

    def __init__(self, weights: dict[str, torch.Tensor]):
        mean, std = (weights.pop(f"normalize.{name}", default).reshape(-1, 1, 1)
                     for name, default in (("mean", torch.zeros(1)), ("std", torch.ones(1))))
        blocks = sum(bool(re.fullmatch(r"block1\.layer\.\d+\.conv1\.weight", name)) for name in weights)
        classes, width = weights["fc.weight"].shape[0], weights["block1.layer.0.conv1.weight"].shape[0]
        super().__init__(6 * blocks + 4, width // 16, classes)
        self.classes, self.mean, self.std = classes, mean, std
        missing, unknown = self.load_state_dict(weights, strict=False)
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing or unknown:
            raise KeyError(f"lacks {missing}, has the unexpected {unknown}")
        # Both make the official attacks faster: FAB's backward would also go to every weight, and oneDNN prefers this layout.
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def forward(self, x):
        return super().forward((x - self.mean) / self.std)


def number(text: str) -> float:
    """8/255, 0.5"""
    over, _, under = text.partition("/")
    return float(over) / float(under or 1)


def load_network(path: Path) -> Network:
    try:
        return Network({name.removeprefix("model."): t for name, t in load_file(path).items() if name.startswith("model.")})
    except (KeyError, RuntimeError) as error:
        sys.exit(f"{path}: not a wrn-D-W, the only kind of network that this script supports: {error}")


def run_ours(args, model: Path, scratch: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    """Our program's report on one model, and the images that it saved."""
    program = [str(args.attack_program)] if args.attack_program else ["cargo", "run", "--release", "--bin", "attack", "--"]
    settings = dict(model=model, dataset=args.dataset, limit=args.limit, attack="autoattack", norm=args.norm, epsilon=args.epsilon,
                    seed=0, device="cpu", threads=args.threads, json=scratch / "report.json", save=scratch / "pictures.safetensors")
    if args.data_dir:  # a generated set has none
        settings["data-dir"] = args.data_dir
    command = [*program, *(word for name, value in settings.items() for word in (f"--{name}", str(value)))]
    print("+", *command, file=sys.stderr, flush=True)
    status = subprocess.run(command, cwd=ROOT, stdout=sys.stderr).returncode
    if status != 0:
        sys.exit(f"our attack failed on {model} (exit status {status})")
    return json.loads(settings["json"].read_text()), load_file(settings["save"])


class Recorder:
    """Replaces the official logger: only its messages contain the accuracy after each attack."""

    def __init__(self):
        self.clean, self.after, self.seconds, self.warnings = None, {}, {}, []
        self.last = time.perf_counter()

    def log(self, line: str):
        print(line, file=sys.stderr, flush=True)
        now = time.perf_counter()
        if found := re.match(r"initial accuracy: ([\d.]+)%", line):
            self.clean, self.last = float(found[1]), now
        elif found := re.match(r"robust accuracy after (\S+): ([\d.]+)%", line):
            name = found[1].lower()
            self.after[name], self.seconds[name], self.last = float(found[2]), now - self.last, now
        elif line.startswith("Warning: ") and line not in self.warnings:
            self.warnings.append(line)


def run_official(args, network: Network, clean: torch.Tensor, labels: torch.Tensor) -> tuple[Recorder, float]:
    from autoattack import AutoAttack  # found in --official
    recorder = Recorder()
    with contextlib.redirect_stdout(sys.stderr):
        auto = AutoAttack(network, norm=OFFICIAL_NORM[args.norm], eps=number(args.epsilon), version="standard",
                          device="cpu", seed=0)
        auto.logger = auto.apgd.logger = auto.apgd_targeted.logger = recorder
        # The targets are the classes next in line; the official code fails where there are fewer of them than it counts on.
        for attack in (auto.apgd_targeted, auto.fab):
            attack.n_target_classes = min(attack.n_target_classes, network.classes - 1)
        start = time.perf_counter()
        auto.run_standard_evaluation(clean, labels, bs=args.batch)
        return recorder, time.perf_counter() - start


def fill(count: int, clean: float, after: dict[str, float]) -> dict[str, float]:
    """Accuracies, clean and after each attack; one that had nothing left to do is missing and leaves the accuracy as it was.
    The official logger rounds to 0.01 %: this rounds to whole images."""
    filled, last = {}, clean
    for name in ("clean", *ATTACKS):
        last = after.get(name, last)
        filled[name] = 100 * round(count * last / 100) / count
    return filled


def verify(args, network: Network, images: dict[str, torch.Tensor]) -> dict:
    """Checks the images that our program reports as misclassified: PyTorch's prediction, the distance, the range."""
    labels = images["labels"].long()
    fooled = images["predictions"].long() != labels
    clean, adversarial, labels = images["clean"][fooled], images["adversarial"][fooled], labels[fooled]
    with torch.no_grad():
        logits = torch.cat([network(part) for part in adversarial.split(args.batch)]) if len(labels) else torch.zeros(0, network.classes)
    own = logits.gather(1, labels[:, None]).squeeze(1)
    margin = logits.scatter(1, labels[:, None], -torch.inf).amax(1) - own  # above 0: misclassified
    shift = (adversarial.double() - clean.double()).flatten(1)
    distance = torch.linalg.vector_norm(shift, {"linf": torch.inf, "l2": 2, "l1": 1}[args.norm], dim=1)
    # In this order of the comparison a NaN fails.
    return {
        "reported": len(labels),
        "misclassified": int((logits.argmax(1) != labels).sum()),
        "within_epsilon": int((distance <= number(args.epsilon) + ROUNDING).sum()),
        "in_range": int(((adversarial >= 0) & (adversarial <= 1)).flatten(1).all(1).sum()),
        "largest_distance": distance.max().item() if len(labels) else 0.0,
        "smallest_margin": margin.min().item() if len(labels) else 0.0,
    }


def compare(args, model: Path) -> dict:
    network = load_network(model)
    if network.classes < 4:
        sys.exit(f"{model}: {network.classes} classes, but APGD-T's loss needs four")
    with tempfile.TemporaryDirectory() as scratch:
        report, images = run_ours(args, model, Path(scratch))
    result, = report["models"][0]["results"]
    count = len(images["labels"])
    ours = fill(count, 100 * result["clean"], {attack["name"]: 100 * attack["accuracy"] for attack in result["attacks"]})
    recorder, seconds = run_official(args, network, images["clean"].contiguous(), images["labels"].long())
    official = fill(count, recorder.clean, recorder.after)
    checks = verify(args, network, images)

    failures = [f"{name}: {ours[name] - official[name]:+.2f} points" for name in ours
                if not abs(ours[name] - official[name]) <= args.tolerance + 1e-9]
    failures += [f"only {checks[name]} of our {checks['reported']} adversarial images are {what}"
                 for name, what in REQUIRED.items() if checks[name] != checks["reported"]]
    if not abs(100 * (1 - checks["reported"] / count) - ours["square"]) <= 50 / count:
        failures.append(f"{checks['reported']} of {count} are misclassified by the saved predictions, but the report has a robust accuracy of {ours['square']:.2f} %")
    if not abs(result["epsilon"] - number(args.epsilon)) <= 1e-5:
        failures.append(f"our program attacked within {result['epsilon']}, not {args.epsilon}")
    return {"model": str(model), "architecture": report["models"][0]["architecture"], "images": count, "device": report["device"],
            "ours": ours, "official": official, "checks": checks, "failures": failures,
            "ours_seconds": result["seconds"], "official_seconds": seconds,
            "ours_attack_seconds": {attack["name"]: attack["seconds"] for attack in result["attacks"]},
            "official_attack_seconds": recorder.seconds,
            "ours_flags": result["flags"], "official_flags": recorder.warnings}


def table(header: str, rows: list[list]) -> list[str]:
    """Text to the left, numbers to the right."""
    align = ["---" if name in ("model", "attack") else "---:" for name in header.split(" | ")]
    return ["", *("| " + " | ".join(map(str, cells)) + " |" for cells in (header.split(" | "), align, *rows))]


def markdown(args, rows: list[dict]) -> str:
    commit = subprocess.run(["git", "-C", args.official, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    lines = [f"{args.dataset}, {rows[0]['images']} images, {args.norm} {args.epsilon}, seed 0, threads: {args.threads}; official: "
             f"auto-attack {commit or '(not a git clone)'} on PyTorch {torch.__version__}, batches of {args.batch}."]
    both = []
    for row in rows:  # train writes RUN/model.safetensors
        path = Path(row["model"])
        both.append((f"{path.parent.name if path.stem == 'model' else path.stem} ({row['architecture']})", row))
    lines += table("model | attack | ours % | official % | difference",
                   [[name, attack, f"{ours:.2f}", f"{row['official'][attack]:.2f}", f"{ours - row['official'][attack]:+.2f}"]
                    for name, row in both for attack, ours in row["ours"].items()])
    lines += table("model | ours, s | official, s | ours / official",
                   [[name, f"{row['ours_seconds']:.1f}", f"{row['official_seconds']:.1f}",
                     f"{row['ours_seconds'] / row['official_seconds']:.2f}"] for name, row in both])
    lines += table(" | ".join(["model", "our adversarial images", *REQUIRED.values(), "largest distance", "smallest margin"]),
                   [[name, *(f"{value:.8g}" for value in row["checks"].values())] for name, row in both])
    notes = [f"- {name}, {who}: {flag}" for name, row in both for who in ("ours", "official") for flag in row[f"{who}_flags"]]
    return "\n".join([*lines, "", *notes, ""] if notes else [*lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    path = lambda text: Path(text).resolve()  # because our program is run in the repository's root
    parser.add_argument("--official", type=path, required=True, help="a clone of github.com/fra31/auto-attack")
    parser.add_argument("--model", type=path, nargs="+", required=True, help="checkpoints of WideResNets")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data-dir", type=path)
    parser.add_argument("--limit", type=int, default=1000, help="test images (1000)")
    parser.add_argument("--norm", choices=OFFICIAL_NORM, default="linf")
    parser.add_argument("--epsilon", help="8/255 for linf, 0.5 for l2, 12 for l1")
    parser.add_argument("--threads", type=int, default=2, help="of either program (2)")
    parser.add_argument("--batch", type=int, default=250, help="of the official program (250)")
    parser.add_argument("--tolerance", type=float, default=1.0, help="points by which accuracies may differ (1.0)")
    parser.add_argument("--json", type=path, help="writes everything measured to this file")
    parser.add_argument("--attack-program", type=path, help="ours, already built (cargo run --release --bin attack)")
    args = parser.parse_args()
    args.epsilon = args.epsilon or USUAL_EPSILON[args.norm]
    if not (args.official / "autoattack").is_dir():
        parser.error(f"{args.official} has no directory autoattack: it is no clone of github.com/fra31/auto-attack")
    sys.path.insert(0, str(args.official))
    torch.set_num_threads(args.threads)

    rows = []
    for model in args.model:
        rows.append(compare(args, model))
        if args.json:  # after every model: a run takes hours
            settings = {name: getattr(args, name) for name in ("dataset", "norm", "epsilon", "threads", "batch", "tolerance")}
            args.json.write_text(json.dumps({**settings, "torch": torch.__version__, "models": rows}, indent=1))
    print(markdown(args, rows))
    failures = [f"{row['model']}: {failure}" for row in rows for failure in row["failures"]]
    print("\n".join(f"FAIL {failure}" for failure in failures) or f"No accuracy differs by more than {args.tolerance:g} points.")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
