"""The flat optimiser does what torch.optim.AdamW does with the same parameter groups."""

import copy

import pytest
import torch
from timm.optim import param_groups_weight_decay
from torch import nn

from experiments.flat_adamw import FlatAdamW

LEARNING_RATE, DECAY = 1e-2, 0.3
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
]


def make_model(memory_format=torch.contiguous_format, device="cpu"):
    """Dense, depthwise and 1x1 weights, norms and biases; 7 and 5 channels leave room between parameters."""
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 7, 3, padding=1, bias=False),  # a bias before a norm has no gradient but rounding
        nn.BatchNorm2d(7),
        nn.GELU(),
        nn.Conv2d(7, 7, 5, padding=2, groups=7),
        nn.Conv2d(7, 5, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ]
    return nn.Sequential(*layers).to(device, memory_format=memory_format)


def batches(count, device="cpu"):
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(4, 3, 8, 8, generator=generator).to(device),
            torch.randint(0, 5, (4,), generator=generator).to(device),
        )
        for _ in range(count)
    ]


def flat_optimizer(model):
    return FlatAdamW(param_groups_weight_decay(model, DECAY), LEARNING_RATE)


def train(model, optimizer, data, clip=None):
    for images, labels in data:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        if clip is not None:
            clip()
        optimizer.step()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("largest_norm", [None, 0.05])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_it_takes_the_steps_of_adamw(memory_format, largest_norm, device):
    model, reference = make_model(memory_format, device), make_model(memory_format, device)
    flat = flat_optimizer(model)
    plain = torch.optim.AdamW(param_groups_weight_decay(reference, DECAY), lr=LEARNING_RATE)
    data = batches(5, device)
    train(model, flat, data, largest_norm and (lambda: flat.clip_grad_norm(largest_norm)))
    train(
        reference,
        plain,
        data,
        largest_norm and (lambda: nn.utils.clip_grad_norm_(reference.parameters(), largest_norm)),
    )
    start = make_model(device=device).state_dict()
    for (name, value), expected in zip(model.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6)
        assert not torch.equal(value, start[name]), f"{name} was not trained"


def test_the_norm_is_that_of_all_gradients():
    model = make_model()
    optimizer = flat_optimizer(model)
    images, labels = batches(1)[0]
    nn.functional.cross_entropy(model(images), labels).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
    assert optimizer.clip_grad_norm(1e-3) == pytest.approx(expected.item())
    clipped = torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).norm()
    assert clipped.item() == pytest.approx(1e-3, rel=1e-3)


def test_parameters_keep_their_values_and_their_memory_format():
    model = make_model(torch.channels_last)
    before = {name: (value.clone(), value.stride()) for name, value in model.named_parameters()}
    optimizer = flat_optimizer(model)
    train(model, optimizer, [])
    for name, value in model.named_parameters():
        assert torch.equal(value, before[name][0])
        assert value.stride() == before[name][1]
        assert value.grad.stride() == value.stride()


def test_gradients_stay_in_place_and_are_set_to_zero():
    model = make_model()
    optimizer = flat_optimizer(model)
    places = [parameter.grad.data_ptr() for parameter in model.parameters()]
    for set_to_none in (True, False):
        train(model, optimizer, batches(1))
        assert any(parameter.grad.any() for parameter in model.parameters())
        optimizer.zero_grad(set_to_none=set_to_none)
        assert not any(parameter.grad.any() for parameter in model.parameters())
    assert [parameter.grad.data_ptr() for parameter in model.parameters()] == places


def test_it_goes_on_exactly_from_its_saved_state(tmp_path):
    model, data = make_model(torch.channels_last), batches(6)
    optimizer = flat_optimizer(model)
    train(model, optimizer, data[:3])
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "state.pt")
    train(model, optimizer, data[3:])

    again = make_model(torch.channels_last)
    optimizer = flat_optimizer(again)
    train(again, optimizer, data[4:])  # something to be overwritten
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    again.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    train(again, optimizer, data[3:])
    for name, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[name]), name


def test_a_copy_of_the_model_is_its_own():
    model = make_model()
    optimizer = flat_optimizer(model)
    kept = copy.deepcopy(model.state_dict())
    train(model, optimizer, batches(1))
    assert not torch.equal(kept["0.weight"], model.state_dict()["0.weight"])


@pytest.mark.parametrize(
    "disturb",
    [
        lambda model: model.zero_grad(),
        lambda model: model.load_state_dict({k: v.clone() for k, v in model.state_dict().items()}, assign=True),
        lambda model: model.double(),
    ],
    ids=["zero_grad", "load_state_dict", "double"],
)
@pytest.mark.parametrize("backward", [True, False])
def test_parameters_and_gradients_that_were_moved_are_told(disturb, backward):
    model = make_model()
    optimizer = flat_optimizer(model)
    train(model, optimizer, batches(1))
    disturb(model)
    if backward:
        images, labels = batches(1)[0]
        nn.functional.cross_entropy(model(images.to(model[0].weight.dtype)), labels).backward()
    with pytest.raises(RuntimeError, match="must stay where it put them, got others; call its zero_grad"):
        optimizer.step()


def test_parameters_that_do_not_fit_one_tensor_are_refused():
    def group(*parameters):
        return [{"params": [nn.Parameter(parameter) for parameter in parameters], "weight_decay": 0.0}]

    with pytest.raises(ValueError, match=r"one dtype on one device, got torch\.float32 on cpu, torch\.float64 on cpu"):
        FlatAdamW(group(torch.zeros(2), torch.zeros(2, dtype=torch.float64)), LEARNING_RATE)
    with pytest.raises(ValueError, match=r"without gaps in memory, got one of shape \[2, 2\] with strides \[8, 2\]"):
        FlatAdamW(group(torch.zeros(4, 4)[::2, ::2]), LEARNING_RATE)
