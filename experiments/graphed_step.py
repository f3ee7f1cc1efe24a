"""A training step recorded once as a CUDA graph and replayed: small networks then wait for no launch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

Step = Callable[[Tensor, Tensor], Tensor]
"""Images and labels to the loss: forward, backward and optimiser's step, with gradients that start at None."""

WARM_UP_STEPS = 3


class GraphedStep:
    """Does what `step` does, for batches of one shape, without Python between the kernels.

    The optimiser must be capturable, and a learning rate that is to change must be a tensor, changed in place. The
    steps that warm up are taken back: parameters, buffers and the optimiser's state are left as they were.
    """

    def __init__(
        self, step: Step, model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor
    ) -> None:
        """Record on copies of `images` and `labels`. Raises ValueError if something cannot be recorded.

        Where the step itself raises, parameters, buffers and the optimiser's state are as before, too.
        """
        _require_recordable(optimizer, images)
        self.images, self.labels = images.clone(), labels.clone()
        before = Snapshot(model, optimizer)
        try:
            _warm_up(step, self.images, self.labels)
            self.graph = torch.cuda.CUDAGraph()
            optimizer.zero_grad(set_to_none=True)  # gradients are born in the graph, so that a replay overwrites them
            with torch.cuda.graph(self.graph):
                self.loss = step(self.images, self.labels)
        finally:
            before.restore()

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch; the loss is overwritten by the next call. Raises ValueError for another shape."""
        if images.shape != self.images.shape:
            raise ValueError(
                f"a recorded step takes batches of shape {tuple(self.images.shape)}, got {tuple(images.shape)}"
            )
        self.images.copy_(images, non_blocking=True)
        self.labels.copy_(labels, non_blocking=True)
        self.graph.replay()
        return self.loss


class Snapshot:
    """The values of everything that a step changes."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._model, self._optimizer = model, optimizer
        self._values = {tensor: tensor.detach().clone() for tensor in self._tensors()}

    @torch.no_grad()
    def restore(self) -> None:
        """Set it back in place. State that the optimiser has made since then becomes zero: so it begins."""
        for tensor in self._tensors():
            if tensor in self._values:
                tensor.copy_(self._values[tensor])
            else:
                tensor.zero_()

    def _tensors(self) -> Iterator[Tensor]:
        yield from self._model.parameters()
        yield from self._model.buffers()
        for state in self._optimizer.state.values():
            yield from (value for value in state.values() if isinstance(value, Tensor))


def _warm_up(step: Step, images: Tensor, labels: Tensor) -> None:
    # Autotuning, lazy state and the libraries' workspaces must come before the recording, and on another stream.
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_STEPS):
            step(images, labels)
    torch.cuda.current_stream().wait_stream(stream)


def _require_recordable(optimizer: torch.optim.Optimizer, images: Tensor) -> None:
    if not images.is_cuda:
        raise ValueError(f"a step is recorded on a GPU, got images on {images.device}; call the step itself")
    if not all(group.get("capturable", False) for group in optimizer.param_groups):
        raise ValueError("a recorded optimiser must be capturable, got capturable=False; make it with capturable=True")
