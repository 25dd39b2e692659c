"""What training minimises. Each takes logits [n], gives one value a row [n], and is added up in `train.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

MARGIN = 4.0  # logits: a safe text is safe enough at a probability of 2 %
TWIN_MARGIN = 2.0  # logits between a text and its harmless twin


def verdict_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross entropy with targets between 0 and 1, so that smoothed and taught labels fit."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    return binary_cross_entropy_with_logits(logits, targets, reduction="none")


def category_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross entropy over the categories that are known: [n, k] logits, targets 0, 1 or nan for unknown."""
    known = ~targets.isnan()
    # Summed over categories: the mean over fifteen would drown the one that is there.
    return (verdict_loss(logits, targets.nan_to_num()) * known).sum(1)


def energy_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Squared excess of a safe row over -MARGIN; 0 for unsafe rows.

    With one logit the free energy of the pair (0, z) is softplus(z): pushing z of harmless texts below a margin is the
    loss that Prompt Guard 2 credits for its recall at few false alarms (after Liu et al. 2020).
    """
    from torch.nn.functional import relu

    return relu(logits + MARGIN).square() * (1 - targets) / MARGIN**2


def agreement_loss(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Symmetric Kullback-Leibler divergence of two Bernoulli verdicts, in closed form."""
    return (one - other) * (one.sigmoid() - other.sigmoid()) / 2


def twin_loss(unsafe: torch.Tensor, safe: torch.Tensor) -> torch.Tensor:
    """Hinge between the logits of texts and those of their harmless twins."""
    from torch.nn.functional import relu

    return relu(TWIN_MARGIN - (unsafe - safe))


def hardness(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """How wrong each row was, from 0 to 1: the distance of the probability from the target."""
    return (logits.sigmoid() - targets).abs()
