#!/usr/bin/env python3
"""Records what the deterministic parts of the official AutoAttack (PyTorch) compute. tests/core/golden.rs compares OTJR with it.

    git clone https://github.com/fra31/auto-attack /tmp/auto-attack
    pip install -r tests/autoattack/requirements.txt
    python3 tests/autoattack/golden.py --official /tmp/auto-attack

Writes tests/fixtures/autoattack.safetensors: projections, losses, Square's schedule, bumps and proposals, and whole trajectories of
APGD. A trajectory is recorded only if a change of a millionth in the weights does not change it: another order of operations in
float32 must not make a test fail.
"""
import argparse
import sys
from pathlib import Path
from unittest import mock

import torch
from safetensors.torch import save_file

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SHAPE = (3, 6, 6)  # of an image; small, because whole trajectories are stored
D = 108
CLASSES = 10
ITERATIONS = 24
NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}
# name, norm, loss, epsilon, whether it starts at a given point (as APGD does in L1, in its smaller balls)
TRAJECTORIES = [("linf", "Linf", "ce", 0.03, False), ("l2", "L2", "ce", 0.3, False), ("l2-dlr", "L2", "dlr", 0.3, False),
          ("l1", "L1", "ce", 3.0, False), ("l1-sparse", "L1", "ce", 3.0, True)]


def images(n: int, shape=SHAPE) -> torch.Tensor:
    """Random images with many values at 0 and 1, where clipping has an effect."""
    return (1.6 * torch.rand(n, *shape) - 0.3).clamp(0, 1)


class Net:
    """The network z = V tanh(U x) + c. It records the images that it is evaluated on."""

    def __init__(self):
        self.u, self.v, self.c = torch.randn(D, 8) / 2, torch.randn(8, CLASSES), 5 * torch.randn(1, CLASSES)
        self.evaluated = []

    def __call__(self, x):
        self.evaluated.append(x.detach().clone())
        return torch.tanh(x.flatten(1) @ self.u) @ self.v + self.c


def projections(out):
    from autoattack.autopgd_base import L1_projection
    from autoattack.fab_projections import projection_l1, projection_l2, projection_linf
    x, y = images(4).flatten(1), 1.5 * torch.rand(4, D) - 0.75
    out |= {"ball.x": x, "ball.y": y, "ball.epsilon": torch.tensor([0.1, 2.0, 10.0, 1000.0])}
    for i, epsilon in enumerate(out["ball.epsilon"]):
        out[f"ball.{i}"] = x + y + L1_projection(x, y, epsilon.item())
    t, w = images(8).flatten(1), torch.randn(8, D)
    w[:, ::9] = 0
    c = torch.tensor([-1e4, -20.0, -3.0, -1e-2, 1e-2, 3.0, 20.0, 1e4])  # the box [0, 1] does not reach the first and the last plane
    out |= {"plane.t": t, "plane.w": w, "plane.c": c}
    for name, projection in (("linf", projection_linf), ("l2", projection_l2), ("l1", projection_l1)):
        out[f"plane.{name}"] = projection(t.clone(), w.clone(), (w * t).sum(1) + c)


def losses(out):
    from autoattack.autopgd_base import APGDAttack, APGDAttack_targeted
    z, y, target = 3 * torch.randn(6, CLASSES), torch.randint(CLASSES, (6,)), torch.randint(CLASSES, (6,))
    y[:3] = z[:3].argmax(1)  # three are classified correctly
    target[target == y] = (y[target == y] + 1) % CLASSES
    out |= {"loss.z": z, "loss.y": y, "loss.target": target}
    towards = APGDAttack_targeted(None, eps=1.0)
    towards.y_target = target
    functions = {"dlr": APGDAttack(None, eps=1.0).dlr_loss, "dlr-towards": towards.dlr_loss_targeted,
             "ce": lambda z, y: torch.nn.functional.cross_entropy(z, y, reduction="none")}
    for name, loss in functions.items():
        leaf = z.double().requires_grad_()
        value = loss(leaf, y)
        value.sum().backward()
        out |= {f"loss.{name}": value.detach(), f"loss.{name}.gradient": leaf.grad}


def square(out):
    from autoattack.square import SquareAttack

    class Watched(SquareAttack):
        """Records what it draws."""

        def random_int(self, low=0, high=1, shape=[1]):
            drawn = super().random_int(low, high, shape)
            self.places.append(drawn.item())
            return drawn

        def random_choice(self, shape):
            drawn = super().random_choice(shape)
            self.signs = drawn.flatten()
            return drawn

        def eta(self, side):
            self.bump = super().eta(side)
            return self.bump

    iterations = [0, 10, 11, 50, 51, 200, 201, 500, 501, 1000, 1001, 2000, 2001, 4000, 4001, 4999]
    schedule = SquareAttack(None, eps=1.0, p_init=0.8, resc_schedule=False)
    out |= {"square.at": torch.tensor(iterations), "square.share": torch.tensor([schedule.p_selection(i) for i in iterations])}
    for norm in ("l2", "l1"):
        attack = SquareAttack(None, NORMS[norm], eps=1.0)
        with mock.patch("torch.rand", lambda shape: torch.zeros(shape)):  # no bump is rotated
            for side in (3, 5, 6, 9, 14):
                out[f"square.{norm}.bump{side}"] = attack.eta(side)
        # The first proposal after the start: side 3 and side 7 of 10.
        for case, (share, epsilon) in enumerate([(0.1, 0.5), (0.5, 0.5), (0.1, 20.0)]):
            x, queries = images(1, (3, 10, 10)), []

            def model(x):
                queries.append(x.clone())
                return x.flatten(1)[:, :2] * torch.tensor([1e-3, 0.0]) + torch.tensor([1.0, 0.0])  # it is never fooled

            attack = Watched(model, NORMS[norm], n_queries=1, eps=epsilon, p_init=share, resc_schedule=False)
            attack.init_hyperparam(x)
            attack.places = []
            attack.attack_single_run(x, torch.tensor([0]))
            start, proposal = queries
            out |= {f"square.{norm}.{case}.{name}": value for name, value in dict(
                x=x, start=start, proposal=proposal, places=torch.tensor(attack.places), signs=attack.signs,
                bump=attack.bump.contiguous(), epsilon=torch.tensor([epsilon])).items()}


def trajectory(net, x, y, norm, loss, epsilon, start):
    """The points at which APGD evaluates the network, `[ITERATIONS + 1, B, D]`, and whether every image resists."""
    from autoattack.autopgd_base import APGDAttack
    attack = APGDAttack(net, n_iter=ITERATIONS, norm=norm, eps=epsilon, loss=loss)
    attack.init_hyperparam(x)
    net.evaluated = []
    torch.manual_seed(1)
    acc = attack.attack_single_run(x.clone(), y, start)[1]
    return torch.stack(net.evaluated).flatten(2), bool(acc.all())


def trajectories(out):
    from autoattack.autopgd_base import L1_projection
    for name, norm, loss, epsilon, given in TRAJECTORIES:
        for seed in range(200):
            torch.manual_seed(seed)
            net, x = Net(), images(2)
            y = net(x).argmax(1)
            start = None
            if given:
                drawn = torch.randn_like(x)
                start = x + drawn + L1_projection(x, drawn, epsilon)
                # Rounding leaves tiny values where the projection should give 0. The official code counts them as changed
                # values when it computes the sparsity, OTJR does not.
                start = torch.where((start - x).abs() < 1e-6, x, start)
            points, robust = trajectory(net, x, y, norm, loss, epsilon, start)
            net.u *= 1 + 1e-6
            again, _ = trajectory(net, x, y, norm, loss, epsilon, start)
            net.u /= 1 + 1e-6
            moves = (points[ITERATIONS // 2] - points[ITERATIONS // 2 + 1]).abs().max()
            # OTJR stops at images that are fooled, the official code continues. Trajectories that stop moving test little.
            if robust and moves > 1e-3 and (points - again).abs().max() < 1e-4:
                break
        else:
            sys.exit(f"{name}: no seed gives a suitable trajectory")
        print(f"trajectory {name}: seed {seed}", file=sys.stderr)
        out |= {f"climb.{name}.{key}": value for key, value in dict(
            u=net.u, v=net.v, c=net.c, x=x, y=y, points=points, epsilon=torch.tensor([epsilon])).items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--official", type=Path, required=True, help="a clone of github.com/fra31/auto-attack")
    parser.add_argument("--out", type=Path, default=FIXTURES, metavar="DIR", help="where to write autoattack.safetensors")
    args = parser.parse_args()
    sys.path.insert(0, str(args.official.resolve()))
    torch.manual_seed(0)
    out = {}
    for record in (projections, losses, square, trajectories):
        record(out)
    path = args.out / "autoattack.safetensors"
    save_file({name: value.float().contiguous() for name, value in out.items()}, path)
    print(f"{len(out)} arrays, {path.stat().st_size / 1024:.0f} KB in {path}")


if __name__ == "__main__":
    main()
