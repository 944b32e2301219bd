#!/usr/bin/env python3
"""Runs the same workloads in our program and in PyTorch, alternately on the same cores, and compares their times.

    pip install -r tests/speed/requirements.txt
    python3 tests/speed/compare.py --only '*/wrn-10-1'

Prints markdown; progress goes to stderr. Each workload has a new process of `bench` and one of PyTorch, which warm up and then
run alternately, never at the same time. Machines are shared and change their clock rates, so only neighboring runs are compared.
PyTorch uses the faster of its two memory layouts, computes no unneeded gradients, and uses fused SGD.
"""
import argparse
import fnmatch
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

ROOT = Path(__file__).resolve().parents[2]
WORKLOADS = ["infer", "input-gradient", "pgd-10", "step-ce", "step-pgd", "step-otjr"]
MODELS = [("wrn-10-1", 64), ("wrn-16-2", 64), ("resnet-18", 16)]
LARGE = ("wrn-28-10", 4)
CLASSES, PROJECTIONS = 10, 32
LAMBDA_SW, LAMBDA_JAC = 64.0, 0.005
EPSILON, STEP, STEPS, NOISE = 0.031, 0.007, 10, 0.001
TURN = 200.0  # minimum duration of a turn in milliseconds
PAUSE = 0.05  # seconds before a turn, until the other program's idle threads have stopped spinning


def conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Module:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)


class Unit(nn.Module):
    """Block of a WideResNet: two 3 x 3 convolutions, each after batch normalization and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, 3)
        self.shortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x):
        active = self.bn1(x).relu_()
        skip = x if self.shortcut is None else self.shortcut(active)
        return self.conv2(self.bn2(self.conv1(active)).relu_()) + skip


class WideResNet(nn.Module):
    def __init__(self, depth: int, width: int):
        super().__init__()
        widths, layers = [16, 16 * width, 32 * width, 64 * width], []
        for stage in (1, 2, 3):
            for i in range((depth - 4) // 6):
                inputs = widths[stage - 1] if i == 0 else widths[stage]
                layers.append(Unit(inputs, widths[stage], 2 if stage > 1 and i == 0 else 1))
        self.conv1, self.units = conv(3, 16, 3), nn.Sequential(*layers)
        self.bn1, self.fc = nn.BatchNorm2d(widths[3]), nn.Linear(widths[3], CLASSES)

    def forward(self, x):
        return self.fc(self.bn1(self.units(self.conv1(x))).relu_().mean((2, 3)))


class Block(nn.Module):
    """Block of a ResNet-18: two 3 x 3 convolutions, each before batch normalization."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        hidden = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu_()))
        return (hidden + self.shortcut(x)).relu_()


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, blocks, inputs = conv(3, 64, 3), nn.BatchNorm2d(64), [], 64
        for stage in range(4):
            for i in range(2):
                blocks.append(Block(inputs, 64 << stage, 2 if stage > 0 and i == 0 else 1))
                inputs = 64 << stage
        self.blocks, self.linear = nn.Sequential(*blocks), nn.Linear(inputs, CLASSES)

    def forward(self, x):
        return self.linear(self.blocks(self.bn1(self.conv1(x)).relu_()).mean((2, 3)))


def network(name: str) -> nn.Module:
    if name == "resnet-18":
        return ResNet18()
    kind, depth, width = name.split("-")
    assert kind == "wrn", name
    return WideResNet(int(depth), int(width))


class Work:
    """One workload of `bench`, in PyTorch."""

    def __init__(self, workload: str, model: str, batch: int, layout: torch.memory_format):
        torch.manual_seed(0)
        self.layout, self.net = layout, network(model).to(memory_format=layout)
        self.weights = list(self.net.parameters())
        # As in `bench`, the rate is 0: everything is computed, but the weights do not change.
        self.optimiser = torch.optim.SGD(self.weights, lr=0.0, momentum=0.9, weight_decay=2e-4, fused=True)
        self.pictures = torch.randint(0, 256, (batch, 3, 32, 32), dtype=torch.uint8)
        self.labels = torch.randint(0, CLASSES, (batch,))
        self.x = self.pixels(self.pictures)
        if not workload.startswith("step-"):
            self.learn(False)
        self.once = {
            "infer": self.infer,
            "input-gradient": lambda: self.input_gradient(self.x.clone(), self.labels),
            "pgd-10": lambda: self.perturb(self.x, self.labels),
            "step-ce": lambda: self.step(self.cross_entropy),
            "step-pgd": lambda: self.step(lambda x, y: self.cross_entropy(self.attacked(x, y), y)),
            "step-otjr": lambda: self.step(self.otjr),
        }[workload]

    def pixels(self, pictures: torch.Tensor) -> torch.Tensor:
        return (pictures.float() / 255).contiguous(memory_format=self.layout)

    def learn(self, learns: bool):
        """Selects training mode, or inference mode without gradients of the weights."""
        self.net.train(learns).requires_grad_(learns)

    def infer(self):
        with torch.inference_mode():
            self.net(self.x)

    def input_gradient(self, x, y):
        x.requires_grad_()
        return torch.autograd.grad(F.cross_entropy(self.net(x), y, reduction="sum"), x)[0]

    def perturb(self, x, y):
        low, high = x - EPSILON, x + EPSILON
        x_adv = x + NOISE * torch.randn_like(x)
        for _ in range(STEPS):
            gradient = self.input_gradient(x_adv, y)
            x_adv = (x_adv.detach() + STEP * gradient.sign()).maximum(low).minimum(high).clamp_(0, 1)
        return x_adv

    def attacked(self, x, y):
        self.learn(False)
        x_adv = self.perturb(x, y)
        self.learn(True)
        return x_adv

    def step(self, loss):
        # Our program also converts its batch from bytes within the measured time.
        order = torch.randperm(len(self.labels))
        self.optimiser.zero_grad(set_to_none=True)
        value = loss(self.pixels(self.pictures[order]), self.labels[order])
        value.backward(inputs=self.weights)
        self.optimiser.step()
        value.item()

    def cross_entropy(self, x, y):
        return F.cross_entropy(self.net(x), y)

    def otjr(self, x, y):
        x_adv = self.attacked(x, y)
        x.requires_grad_()
        z, a = self.net(x), self.net(x_adv)
        theta = F.normalize(torch.rand(CLASSES, PROJECTIONS) * 2 - 1, dim=0)
        clean, adversarial = (z @ theta).T, (a @ theta).T  # [K, B]
        rank = adversarial.argsort(1).argsort(1)
        delta = clean.sort(1).values.gather(1, rank) - adversarial
        direction = F.normalize(delta.detach().T @ theta.T, dim=1)  # [B, C]
        gradient, = torch.autograd.grad(z, x, direction, create_graph=True)
        penalty = CLASSES / len(y) * gradient.square().sum()
        return F.cross_entropy(a, y) + LAMBDA_SW * delta.square().mean() + LAMBDA_JAC * penalty


LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def serve(workload: str, model: str, batch: str, threads: str, layout: str):
    """Implements the protocol of `bench --turns --json`."""
    torch.set_num_threads(int(threads))
    work = Work(workload, model, int(batch), LAYOUTS[layout])
    work.once()
    print("ready", flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        work.once()
        print(1e3 * (time.perf_counter() - begin), flush=True)
    print(json.dumps({"parameters": sum(weight.numel() for weight in work.weights)}))


class Side:
    """A process that runs its workload on request."""

    def __init__(self, command: list):
        self.command = list(map(str, command))
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.answer("ready")

    def answer(self, wanted: str = "") -> str:
        line = self.process.stdout.readline().strip()
        if not line or wanted not in line:
            sys.exit(f"answered {line!r}: {' '.join(self.command)}")
        return line

    def turn(self) -> float:
        """Returns the time in milliseconds. Short workloads are repeated, and the median counts, because the first run after the
        other program's is slow."""
        time.sleep(PAUSE)
        times = []
        while sum(times) < TURN:
            print(file=self.process.stdin, flush=True)
            times.append(float(self.answer()))
        return statistics.median(times)

    def memory(self) -> int | None:
        """Returns the peak memory in bytes, if the system reports it."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        return next((1024 * int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), None)

    def end(self) -> dict:
        self.process.stdin.close()
        report = json.loads(self.answer())
        self.process.wait()
        return report


def faster_layout(command: list) -> str:
    """Measures both layouts, because neither is faster for all workloads."""
    times = {}
    for layout in LAYOUTS:
        side = Side([*command, layout])
        times[layout] = min(side.turn() for _ in range(3))
        side.end()
    return min(times, key=times.get)


def compare(args, workload: str, model: str, batch: int) -> dict:
    print(f"{workload}/{model}", end=" ", file=sys.stderr, flush=True)
    command = [sys.executable, __file__, "--serve", workload, model, batch, args.threads]
    layout = faster_layout(command)
    ours = Side([args.bench, workload, "--model", model, "--batch", batch, "--threads", args.threads, "--on-stdin", "--json"])
    theirs = Side([*command, layout])
    pairs = []
    for i in range(args.pairs):
        # The order alternates, because a turn affects the next one through warm caches and the clock rate.
        first, second = (ours, theirs) if i % 2 == 0 else (theirs, ours)
        times = {first: first.turn(), second: second.turn()}
        pairs.append((times[ours], times[theirs]))
        print(f"{pairs[-1][0] / pairs[-1][1]:.2f}", end=" ", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    memory = [side.memory() for side in (ours, theirs)]
    parameters = [side.end()["parameters"] for side in (ours, theirs)]
    if parameters[0] != parameters[1]:
        sys.exit(f"{model}: {parameters[0]} parameters, in PyTorch {parameters[1]}: not the same network")
    return {"workload": workload, "model": model, "batch": batch, "layout": layout, "parameters": parameters[0],
            "pairs_ms": pairs, "memory_bytes": memory}


def markdown(args, rows: list[dict], load: list[float]) -> str:
    lines = [f"PyTorch {torch.__version__}, threads: {args.threads}, pairs: {args.pairs}; load average {load[0]:.1f} before, "
             f"{os.getloadavg()[0]:.1f} after. ours / PyTorch compares neighboring turns; below 1 ours is faster.", "",
             "| workload | model | batch | ours, ms | PyTorch, ms | ours / PyTorch | quartiles | least to most | ours, MB | PyTorch, MB | its layout |",
             "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        ours, theirs = (statistics.median(times) for times in zip(*row["pairs_ms"]))
        ratios = sorted(a / b for a, b in row["pairs_ms"])
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        megabytes = ["" if size is None else f"{size / 1e6:.0f}" for size in row["memory_bytes"]]
        cells = [row["workload"], row["model"], row["batch"], f"{ours:.1f}", f"{theirs:.1f}", f"{median:.2f}", f"{low:.2f} - {high:.2f}",
                 f"{ratios[0]:.2f} - {ratios[-1]:.2f}", *megabytes, row["layout"]]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def bench_binary() -> Path:
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "bench"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", type=Path, default=bench_binary(), help=f"our program ({bench_binary()})")
    parser.add_argument("--pairs", type=int, default=10, help="turns of each (10)")
    parser.add_argument("--threads", type=int, default=2, help="of either (2)")
    parser.add_argument("--only", nargs="+", default=["*"], metavar="WORKLOAD/MODEL", help="such as 'step-otjr/*'")
    parser.add_argument("--large", action="store_true", help=f"also {LARGE[0]}, in batches of {LARGE[1]}")
    parser.add_argument("--json", type=Path, help="writes everything measured to this file")
    parser.add_argument("--serve", nargs=5, metavar=("WORKLOAD", "MODEL", "BATCH", "THREADS", "LAYOUT"), help="PyTorch's side")
    args = parser.parse_args()
    if args.serve:
        return serve(*args.serve)
    if args.pairs < 2:
        parser.error("--pairs: at least 2 are needed to see a spread")
    if not args.bench.is_file():
        parser.error(f"there is no {args.bench}: build it (cargo build --release --bin bench) or say where it is (--bench)")
    jobs = [(workload, *model) for model in [*MODELS, *([LARGE] if args.large else [])] for workload in WORKLOADS
            if any(fnmatch.fnmatch(f"{workload}/{model[0]}", pattern) for pattern in args.only)]
    if not jobs:
        parser.error(f"--only {' '.join(args.only)}: nothing is called so")
    load, rows = os.getloadavg(), []
    for job in jobs:
        rows.append(compare(args, *job))
        if args.json:  # after every one: all of them take a while
            settings = {"threads": args.threads, "torch": torch.__version__, "bench": str(args.bench)}
            args.json.write_text(json.dumps({**settings, "rows": rows}, indent=1))
    print(markdown(args, rows, load))


if __name__ == "__main__":
    main()
