"""Training repeats bit for bit, goes on where it was saved, learns, and says why it cannot."""

import dataclasses
import math

import pytest
import torch

from experiments.checkpoint_names import STATE_FILE, WEIGHTS_FILE
from experiments.data.config import DataConfig
from experiments.data.load import load_dataset
from experiments.fidelity import Fidelity
from experiments.recipe import Recipe
from experiments.spec import TrialSpec
from experiments.trainable import ProxyTrial
from experiments.training import EVALUATION_PIXELS, Training, TrainingFailed, learning_rate

CPU = torch.device("cpu")
TIMES = ("seconds",)  # all that may differ between two runs of a spec


@pytest.fixture(scope="module")
def spec(tmp_path_factory, small_arch):
    """Two epochs of a small network on a tenth of the digits at 16 px, with drop path: all randomness there is."""
    data = DataConfig("digits", cache=str(tmp_path_factory.mktemp("cache")))
    return TrialSpec(
        arch=small_arch.replace(image_size=(16, 16), in_channels=1, num_classes=10),
        recipe=Recipe(batch_size=32, drop_path=0.3),
        fidelity=Fidelity(image_size=16, data_share=0.1, epochs=2),
        data=data,
        data_fingerprint=load_dataset(data, 16).fingerprint,
        seed=0,
    )


def with_recipe(spec, **changes):
    return dataclasses.replace(spec, recipe=dataclasses.replace(spec.recipe, **changes))


def with_fidelity(spec, **changes):
    return dataclasses.replace(spec, fidelity=dataclasses.replace(spec.fidelity, **changes))


def measured(metrics):
    """What an epoch measured, without its times."""
    plain = metrics if isinstance(metrics, dict) else metrics.to_dict()
    return {name: value for name, value in plain.items() if name not in (*TIMES, "done", "should_checkpoint")}


def outcome(spec):
    """All epochs of a spec: what they measured, and the weights at the end."""
    training = Training(spec, CPU)
    epochs = [measured(training.run_epoch()) for _ in range(spec.fidelity.epochs)]
    return epochs, training.model.state_dict()


def same(one, other):
    """Whether two outcomes are equal to the last bit."""
    weights = all(torch.equal(tensor, other[1][name]) for name, tensor in one[1].items())
    return one[0] == other[0] and one[1].keys() == other[1].keys() and weights


@pytest.fixture(scope="module")
def reference(spec):
    """What the spec gives."""
    return outcome(spec)


def started(spec):
    """A trial as Ray would set it up, without Ray."""
    trial = ProxyTrial.__new__(ProxyTrial)
    trial.setup(config_of(spec))
    return trial


def config_of(spec):
    """What Ray gives a trial."""
    how = {"threads": 1, "on_gpu": False, "kernels": "auto", "checkpoint": None, "checkpoint_s": 1e9}
    return {"spec": spec.to_dict(), **how}


def test_one_spec_gives_one_result_whatever_ran_before_it(spec, reference):
    other = dataclasses.replace(spec, seed=1)
    first = outcome(other)
    assert same(outcome(spec), reference)
    assert same(outcome(other), first)


@pytest.fixture(scope="module")
def varied(spec):
    """The spec with every augmentation and all other randomness there is."""
    changes = {"rand_augment_magnitude": 9.0, "erasing": 0.5, "mixup": 0.8, "cutmix": 1.0, "mix_probability": 0.8}
    return with_recipe(spec, **changes)


def test_a_trial_with_every_augmentation_repeats_bit_for_bit(varied, reference):
    first = outcome(varied)
    Training(dataclasses.replace(varied, seed=9), CPU).run_epoch()  # somebody else uses random numbers
    assert same(outcome(varied), first)
    assert not same(first, reference)


def test_a_trial_with_every_augmentation_goes_on_from_its_checkpoint(varied, tmp_path):
    whole = outcome(varied)
    before = started(varied)
    before.step()
    before.save_checkpoint(str(tmp_path))
    after = started(varied)
    after.load_checkpoint(str(tmp_path))
    assert same(([measured(after.step())], after.trial.training.model.state_dict()), (whole[0][1:], whole[1]))


def test_what_the_network_draws_does_not_change_the_batches(varied):
    plain, dropping = (Training(with_recipe(varied, drop_path=rate), CPU) for rate in (0.0, 0.3))
    plain.run_epoch()
    dropping.run_epoch()
    for (images, targets), (same_images, same_targets) in zip(plain.batches, dropping.batches, strict=True):
        assert torch.equal(images, same_images)
        assert torch.equal(targets, same_targets)


def test_a_trial_without_a_gpu_keeps_to_the_cpu_where_there_is_one(spec, monkeypatch):
    monkeypatch.setattr("experiments.training.default_device", lambda: torch.device("cuda"))
    assert started(spec).trial.training.device == CPU


def test_each_parameter_gets_a_gradient(spec):
    """The flat optimiser would take a missing one for zeros."""
    training = Training(spec, CPU)
    images, targets = next(iter(training.batches))
    for parameter in training.model.parameters():
        parameter.grad = None
    torch.nn.functional.cross_entropy(training._forward(images), targets).backward()
    assert all(parameter.grad is not None for parameter in training.model.parameters())


def test_seeds_differ(spec, reference):
    assert not same(outcome(dataclasses.replace(spec, seed=1)), reference)


def test_amp_changes_nothing_on_a_cpu(spec, reference):
    assert spec.recipe.amp
    assert same(outcome(with_recipe(spec, amp=False)), reference)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_amp_trains_on_a_gpu(spec):
    training = Training(with_recipe(spec, amp=True))
    assert training.device.type == "cuda"
    assert math.isfinite(training.run_epoch().train_loss)


@pytest.mark.parametrize("change", [{"drop_path": 0.0}, {"label_smoothing": 0.0}, {"weight_decay": 0.5}])
def test_the_recipe_is_felt(spec, reference, change):
    assert not same(outcome(with_recipe(spec, **change)), reference)


def test_mirroring_is_not_felt_where_it_would_change_the_class(spec, reference):
    assert spec.recipe.flip
    assert same(outcome(with_recipe(spec, flip=False)), reference)


def test_a_trial_goes_on_from_its_checkpoint_as_if_nothing_had_happened(spec, tmp_path):
    spec = with_fidelity(spec, epochs=3)
    whole = outcome(spec)
    before = started(spec)
    before.step()
    before.save_checkpoint(str(tmp_path))
    Training(dataclasses.replace(spec, seed=7), CPU).run_epoch()  # somebody else uses the random numbers
    after = started(spec)
    after.load_checkpoint(str(tmp_path))
    epochs = [measured(after.step()), measured(after.step())]
    assert same((epochs, after.trial.training.model.state_dict()), (whole[0][1:], whole[1]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_a_gpu_drew_is_in_the_state(spec):
    training = Training(spec)
    state = training.state()
    drawn = torch.rand(8, device="cuda")
    training.load_state(state)
    assert torch.equal(torch.rand(8, device="cuda"), drawn)


def test_the_state_of_another_kind_of_device_loads(spec, monkeypatch):
    training = Training(spec, CPU)
    assert "random_cuda" not in training.state()
    monkeypatch.setattr(training, "device", torch.device("cuda"))
    drawn = torch.arange(16, dtype=torch.uint8)
    kept = []
    monkeypatch.setattr("torch.cuda.get_rng_state", lambda device: drawn)
    monkeypatch.setattr("torch.cuda.set_rng_state", lambda state, device: kept.append(state))
    state = training.state()
    training.load_state({name: value for name, value in state.items() if name != "random_cuda"})
    assert kept == []
    training.load_state(state)
    assert torch.equal(kept[0], drawn)


def test_a_checkpoint_is_two_files_that_run_no_code(spec, tmp_path):
    trial = started(spec)
    trial.step()
    trial.save_checkpoint(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [WEIGHTS_FILE, STATE_FILE]
    assert torch.load(tmp_path / STATE_FILE, weights_only=True)["epoch"] == 1


def test_a_worker_that_is_used_again_gives_the_result_of_a_new_one(spec):
    other = dataclasses.replace(spec, seed=1)
    used = started(spec)
    used.step()
    assert used.reset_config(config_of(other))
    result = measured(used.step())
    assert result == measured(started(other).step())


def test_the_last_epoch_is_done(spec):
    trial = started(spec)
    assert [trial.step()["done"] for _ in range(2)] == [False, True]


def test_a_network_learns_the_digits(spec):
    spec = with_fidelity(with_recipe(spec, drop_path=0.0, learning_rate=5e-3), data_share=1.0, epochs=3)
    training = Training(spec, CPU)
    epochs = [training.run_epoch() for _ in range(3)]
    assert epochs[-1].val_accuracy > 0.6  # chance is 0.1
    assert epochs[-1].train_loss < epochs[0].train_loss
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]


def test_the_validation_split_alone_is_looked_at(spec, monkeypatch):
    training = Training(spec, CPU)
    looked_at = []
    evaluate = training.evaluate
    monkeypatch.setattr(training, "evaluate", lambda split: looked_at.append(split) or evaluate(split))
    training.run_epoch()
    assert looked_at == [training.dataset.validation]


def test_evaluation_is_the_mean_over_all_images(spec, monkeypatch):
    training = Training(spec, CPU)
    whole = training.evaluate(training.dataset.validation)
    monkeypatch.setitem(EVALUATION_PIXELS, "cpu", 7 * 16**2)  # seven images a batch, the last one smaller
    assert training.evaluate(training.dataset.validation) == pytest.approx(whole, rel=1e-5)


def test_an_epoch_reports_the_rate_of_its_last_step(spec):
    training = Training(spec, CPU)
    steps = len(training.batches)
    rates = [training.run_epoch().learning_rate for _ in range(2)]
    assert rates == [learning_rate(spec.recipe, epoch * steps + steps - 1, 2 * steps) for epoch in range(2)]
    assert rates[1] == spec.recipe.min_learning_rate


def test_biases_norms_and_position_tables_do_not_decay(spec):
    training = Training(with_recipe(spec, weight_decay=0.5), CPU)
    decay = {id(parameter): rate for parameter, rate in training.optimizer.decays}
    named = dict(training.model.named_parameters())
    assert decay.keys() == {id(parameter) for parameter in named.values()}
    free = {name for name, parameter in named.items() if decay[id(parameter)] == 0}
    assert free == {
        name for name, p in named.items() if p.ndim <= 1 or name.endswith(("position_table", "idconv.biases"))
    }


@pytest.fixture(scope="module")
def exploding(spec):
    return with_recipe(spec, learning_rate=1e30, clip_grad_norm=0.0)


def test_a_loss_that_is_no_number_ends_the_training(exploding):
    with pytest.raises(TrainingFailed, match=r"loss is (nan|inf) in epoch 1; lower recipe\.learning_rate"):
        Training(exploding, CPU).run_epoch()


def test_a_training_whose_weights_are_not_finite_has_failed_even_if_its_loss_is(spec):
    training = Training(with_fidelity(spec, epochs=1), CPU)
    name = "stages.0.blocks.0.ffn.norm.running_var"  # infinite, it makes zeros of all that it divides
    training.model.get_buffer(name)[0] = torch.inf
    with pytest.raises(TrainingFailed, match=f"weights are NaN or infinite at the end, first in {name}; lower"):
        training.run_epoch()


def test_a_trial_that_cannot_go_on_tells_why_and_its_worker_lives_on(exploding, spec, tmp_path):
    trial = started(exploding)
    result = trial.step()
    assert result["done"]
    assert "loss is" in result["failure"]
    trial.save_checkpoint(str(tmp_path))
    assert not list(tmp_path.iterdir()), "weights of a failed training must not be kept"
    trial.reset_config(config_of(spec))
    assert "failure" not in trial.step()


def failing_with(spec, monkeypatch, error):
    """A trial whose epochs raise `error`."""

    def raises():
        raise error

    trial = started(spec)
    monkeypatch.setattr(trial.trial.training, "run_epoch", raises)
    return trial


@pytest.mark.skipif(not hasattr(torch, "AcceleratorError"), reason="this torch has no AcceleratorError")
def test_a_gpu_that_broke_ends_its_worker_too(spec, monkeypatch):
    broken = failing_with(spec, monkeypatch, torch.AcceleratorError("illegal memory access"))
    with pytest.raises(torch.AcceleratorError, match="illegal memory access"):
        broken.step()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("no memory left"), "out of memory: no memory left ("),
        (MemoryError(), "out of memory: MemoryError ("),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "out of memory: DefaultCPUAllocator"),
    ],
)
def test_a_worker_without_memory_left_tells_it_and_lives_on(spec, monkeypatch, error, said):
    full = failing_with(spec, monkeypatch, error)
    assert full.step()["failure"].startswith(said)
    full.reset_config(config_of(spec))
    assert "failure" not in full.step()


def test_other_data_than_those_of_the_study_are_refused(spec):
    changed = dataclasses.replace(spec, data_fingerprint="f" * 16)
    with pytest.raises(ValueError, match="the data digits must be those that the study began with"):
        Training(changed, CPU)
    result = started(changed).step()
    assert result["done"]
    assert "must be those that the study began with" in result["failure"]


def test_a_batch_that_the_data_do_not_fill_is_refused(spec):
    with pytest.raises(ValueError, match="batch_size must be at most the number of training images, got 5000"):
        Training(with_recipe(spec, batch_size=5000), CPU)


def test_the_place_of_the_cache_is_not_felt(spec, reference, tmp_path):
    elsewhere = dataclasses.replace(spec.data, cache=str(tmp_path / "made again"))
    assert same(outcome(dataclasses.replace(spec, data=elsewhere)), reference)
