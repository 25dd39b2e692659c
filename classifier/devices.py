"""Where the numbers are crunched: one device, or the several processes of `accelerate launch`.

Every process holds the whole guard, takes every n-th row of each batch and averages gradients with the others, so the
samples of a step are the same however many processes share them. Only the first one writes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
Answer = TypeVar("Answer")


class Devices:
    """This process's device and its place among the others."""

    def __init__(self, *, alone: bool = False) -> None:
        """`alone` leaves the other processes out: for work that only this one does."""
        import torch

        self.count = 1 if alone else int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = 0 if alone else int(os.environ.get("RANK", "0"))
        local = int(os.environ.get("LOCAL_RANK", "0"))
        self.device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
        if self.count > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        self._patient = _patient_group() if self.count > 1 else None

    @property
    def first(self) -> bool:
        """Whether this process writes and reports."""
        return self.rank == 0

    def share(self, rows: list[int]) -> list[int]:
        """The rows of a batch that are this process's."""
        return rows[self.rank :: self.count]

    def sum_gradients(self, parameters: Iterable[Any]) -> None:
        """Add every parameter's gradient over all processes; each loss is already a share of the whole batch's."""
        import torch

        if self.count == 1:
            return
        for parameter in parameters:
            if parameter.requires_grad:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                torch.distributed.all_reduce(parameter.grad)

    def largest(self, value: float) -> float:
        """The largest of a number over all processes: what each must know alike, such as the time that is spent."""
        import torch

        if self.count == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
        return float(shared.item())

    def merged(self, values: torch.Tensor) -> torch.Tensor:
        """The element-wise largest of a tensor over all processes."""
        import torch

        if self.count == 1:
            return values.clone()
        shared = values.to(self.device, copy=True)
        torch.distributed.all_reduce(shared, torch.distributed.ReduceOp.MAX)
        return shared.to(values.device)

    def wait(self) -> None:
        """Let every process come this far."""
        import torch

        if self.count > 1:
            torch.distributed.barrier(self._patient)

    def decided(self, work: Callable[[], T]) -> T:
        """What comes of work that the first process alone does, told to all."""
        import torch

        if self.count == 1:
            return work()
        told: list[Any] = [work() if self.first else None]
        torch.distributed.broadcast_object_list(told, group=self._patient)
        answer: T = told[0]
        return answer

    def answered(self, work: Callable[[list[T]], list[Answer]], rows: list[T]) -> list[Answer]:
        """The answers to this process's rows; the first process answers the rows of all at once, in their order."""
        import torch

        if self.count == 1:
            return work(rows)
        parts: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(parts, rows, group=self._patient)
        answers = self.decided(lambda: work([row for part in parts for row in part]))
        before = sum(map(len, parts[: self.rank]))
        return answers[before : before + len(rows)]

    def leave(self) -> None:
        """End together: who exits alone tears connections that the others use, and may be aborted for it."""
        import torch

        if self.count > 1:
            self.wait()
            torch.distributed.destroy_process_group()

    def precision(self, bf16: bool) -> Any:
        """The context of a forward pass: bfloat16 where it was asked for and is not emulated (fifty times as slow)."""
        import torch

        return torch.autocast(self.device.type, torch.bfloat16, enabled=bf16 and has_bfloat16())


@cache
def _patient_group() -> Any:
    """What processes say to each other on the CPU: one may work for hours before it answers, and NCCL gives up."""
    import torch

    return torch.distributed.new_group(backend="gloo", timeout=timedelta(days=7))


def has_bfloat16() -> bool:
    """Whether bfloat16 is quick here: on a GPU, or on a CPU with instructions for it. Elsewhere it is emulated."""
    import torch

    return bool(torch.cuda.is_available() or torch.ops.mkldnn._is_mkldnn_bf16_supported())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch says that memory ran out, on a graphics card or off it."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in said or "can't allocate memory" in said


def tensor(values: Any, device: torch.device) -> torch.Tensor:
    """An array of numpy on a device."""
    import torch

    return torch.from_numpy(values).to(device)
