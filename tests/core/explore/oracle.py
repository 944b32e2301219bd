#!/usr/bin/env python3
"""Writes tests/fixtures/explore.safetensors: what NumPy and PyTorch compute in float64 of the page's robust model.

    pip install -r tests/autoattack/requirements.txt
    python3 tests/core/explore/oracle.py
        --out DIR writes the file to DIR

public/models/otjr.safetensors classifies six generated shapes and their adversarial images (PGD, L-infinity, 8/255). The fixture
contains both, the shift of every layer, the principal components of all latents with the predicted classes of their plane, the
sliced transport of the logits, and the input gradients along its directions. Everything is stored in float32, also indices.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "autoattack"))
from compare import Network, load_network  # noqa: E402

SEED, PROJECTIONS, CELLS, EPSILON = 7, 16, 16, 8 / 255
SHAPES = {  # label: which points are inside, in units of the radius
    0: lambda u, v: u * u + v * v < 0.72,
    1: lambda u, v: (u * u + v * v > 0.3) & (u * u + v * v < 0.95),
    2: lambda u, v: np.maximum(abs(u), abs(v)) < 0.78,
    3: lambda u, v: (v < 0.7) & (abs(u) < (v + 0.95) * 0.58),
    4: lambda u, v: (np.minimum(abs(u), abs(v)) < 0.28) & (np.maximum(abs(u), abs(v)) < 0.95),
    7: lambda u, v: (abs(u) < 0.8) & (abs(v) > 0.27) & (abs(v) < 0.8),
}


def draw(rng: np.random.Generator, inside) -> np.ndarray:
    """A shape of one color on a shaded background of another, [3, 32, 32], in multiples of 1/255."""
    y, x = np.mgrid[:32, :32]
    background, color = rng.uniform(0.15, 0.35, (3, 1, 1)), rng.uniform(0.6, 0.9, (3, 1, 1))
    if rng.random() < 0.5:
        background, color = color, background
    center, radius = rng.uniform(14, 18, 2), rng.uniform(9, 12)
    mask = inside((x - center[0]) / radius, (y - center[1]) / radius)
    image = np.where(mask, color, background + 0.002 * (x - 16)) + rng.uniform(-0.01, 0.01, (3, 32, 32))
    return (np.round(image.clip(0, 1) * 255) / 255).astype(np.float32)


def record(net: Network, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Every layer's output under its name, in order, from pixels to logits."""
    layers = {"pixels": x}
    hooks = [net.conv1.register_forward_hook(lambda _, inputs, output: layers.update(conv1=output))]
    for s in (1, 2, 3):
        for i, unit in enumerate(getattr(net, f"block{s}").layer):
            hooks.append(unit.register_forward_hook(lambda _, inputs, output, name=f"block{s}.layer.{i}": layers.update({name: output})))
    hooks.append(net.bn1.register_forward_hook(lambda _, inputs, output: layers.update(bn1=torch.relu(output))))
    hooks.append(net.fc.register_forward_hook(lambda _, inputs, output: layers.update(latent=inputs[0], logits=output)))
    with torch.no_grad():
        net(x)
    for hook in hooks:
        hook.remove()
    return {name: layer.numpy() for name, layer in layers.items()}


def attack(net: Network, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """PGD-10 on the cross-entropy, rounded to float32."""
    x_adv = x.clone()
    for _ in range(10):
        x_adv.requires_grad_(True)
        (gradient,) = torch.autograd.grad(torch.nn.functional.cross_entropy(net(x_adv), y, reduction="sum"), x_adv)
        x_adv = (x_adv.detach() + 2 / 255 * gradient.sign()).clamp(x - EPSILON, x + EPSILON).clamp(0, 1)
    return x_adv.float().double()


def input_gradient(net: Network, x: torch.Tensor, v: np.ndarray) -> np.ndarray:
    """d(v_i . z_i)/dx_i"""
    x = x.clone().requires_grad_(True)
    return torch.autograd.grad((net(x) * torch.from_numpy(v)).sum(), x)[0].numpy()


def flat(a: np.ndarray) -> np.ndarray:
    return a.reshape(len(a), -1)


def length(a: np.ndarray) -> np.ndarray:
    return np.linalg.norm(flat(a), axis=1)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (flat(a) * flat(b)).sum(1) / length(a) / length(b)


def transport(z: np.ndarray, a: np.ndarray, theta: np.ndarray) -> dict[str, np.ndarray]:
    """The transport that matches equal ranks on each line theta[:, k]."""
    clean, attacked = z @ theta, a @ theta  # [B, K]
    clean_order, attacked_order = clean.argsort(0, kind="stable"), attacked.argsort(0, kind="stable")
    delta = np.zeros_like(clean)
    np.put_along_axis(delta, attacked_order, np.take_along_axis(clean, clean_order, 0), 0)
    delta -= attacked
    square = (delta**2).mean(0)
    movement = delta @ theta.T
    return {"value": square.mean(keepdims=True), "share": square / square.sum(), "movement": movement / theta.shape[1],
            "cumulative": square.cumsum() / np.arange(1, len(square) + 1),
            "direction": movement / length(movement)[:, None], "clean_order": clean_order.T, "attacked_order": attacked_order.T}


def principal(points: np.ndarray) -> dict[str, np.ndarray]:
    """The first two right singular vectors of the centerd points, the largest entry of each positive."""
    mean = points.mean(0)
    _, values, axes = np.linalg.svd(points - mean, full_matrices=False)
    axes = axes[:2] * np.sign(axes[[0, 1], abs(axes[:2]).argmax(1)])[:, None]
    return {"mean": mean, "axes": axes, "explained": values[:2] ** 2 / (values**2).sum(), "points": (points - mean) @ axes.T}


def regions(net: Network, plane: dict[str, np.ndarray], low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The predicted class at the center of each cell; rows are along the second axis."""
    steps = low + (high - low) * (np.arange(CELLS)[:, None] + 0.5) / CELLS  # [CELLS, 2]
    u, v = np.meshgrid(steps[:, 0], steps[:, 1])
    latents = plane["mean"] + u[..., None] * plane["axes"][0] + v[..., None] * plane["axes"][1]
    logits = np.sort(net.fc(torch.from_numpy(latents)).detach().numpy(), axis=-1)
    assert (logits[..., -1] - logits[..., -2]).min() > 1e-3, "the center of a cell is on a decision boundary: choose other bounds"
    return net.fc(torch.from_numpy(latents)).argmax(-1).numpy()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "tests/fixtures", metavar="DIR")
    path = parser.parse_args().out / "explore.safetensors"
    rng = np.random.default_rng(SEED)
    net = load_network(ROOT / "public/models/otjr.safetensors").double()
    y = torch.tensor(list(SHAPES))
    x = torch.from_numpy(np.stack([draw(rng, inside) for inside in SHAPES.values()])).double()
    x_adv = attack(net, x, y)
    clean, attacked = record(net, x), record(net, x_adv)
    z, a = clean["logits"], attacked["logits"]
    print("clean", z.argmax(1), "attacked", a.argmax(1), "labels", y.numpy())

    theta = rng.uniform(-1, 1, (z.shape[1], PROJECTIONS))
    theta = (theta / np.linalg.norm(theta, axis=0)).astype(np.float32).astype(np.float64)
    moved = transport(z, a, theta)
    gradient = input_gradient(net, x, moved["direction"])
    single = input_gradient(load_network(ROOT / "public/models/otjr.safetensors"), x.float(), moved["direction"].astype(np.float32))
    print(f"float32 gradients differ by {abs(single - gradient).max() / abs(gradient).max():.1e}")
    plane = principal(np.concatenate([clean["latent"], attacked["latent"]]))
    low, high = plane["points"].min(0) - 1, plane["points"].max(0) + 1
    ce = {name: torch.nn.functional.cross_entropy(torch.from_numpy(logits), y, reduction="none").numpy()
          for name, logits in (("clean", z), ("attacked", a))}

    arrays = {
        "x": x.numpy(), "x_adv": x_adv.numpy(), "labels": y.numpy(), "theta": theta, "z": z, "a": a,
        "shift.relative": np.stack([length(attacked[name] - clean[name]) / length(clean[name]) for name in clean]),
        "shift.cosine": np.stack([cosine(attacked[name], clean[name]) for name in clean]),
        "loss.clean": ce["clean"], "loss.attacked": ce["attacked"],
        "gradient": gradient, "gradient.norm": length(gradient), "gradient.alignment": cosine(gradient, (x_adv - x).numpy()),
        "regions.bounds": np.stack([low, high]), "regions.classes": regions(net, plane, low, high),
        **{f"transport.{name}": value for name, value in moved.items()},
        **{f"pca.{name}": value for name, value in plane.items()},
    }
    save_file({name: np.ascontiguousarray(value, dtype=np.float32) for name, value in arrays.items()}, path)
    print(f"{path}: {path.stat().st_size} bytes; layers {list(clean)}; explained {plane['explained']}; L_SW {moved['value']}")


if __name__ == "__main__":
    main()
